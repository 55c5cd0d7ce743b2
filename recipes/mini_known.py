"""The last stage of `mini`: attribution, owning up, drawings of other forms, and what was known beside them.

Three H100 of one host, a process each, 48 rows of a step in four parts, a worker for each row:

for n in 0 1 2; do CUDA_VISIBLE_DEVICES=$n tejat train recipes/mini_known.py --mesh data=3 \\
  --coordinator 127.0.0.1:8476 --processes 3 --process $n --set accumulate=4 --set how.unrolled=false \\
  --set picture_weight=0.4 --set kept=/dev/shm/kept & done; wait

It began with the weights of recipes/mini_long.py, as they came with Tejat then, and was run in two pieces: 350 of 440
steps (`--set schedule.steps=440 --set schedule.warmup=40`; 548M tokens, 12 minutes, 0.89M tokens/s) without sayings,
clips, sums, physics, instructions and searches, for the corpus was not whole yet; then 300 steps with them (`--set
schedule.steps=300 --set schedule.warmup=20 --set seed=1 --set weights=runs/first/model`; 449M, 9 minutes, 0.95M
tokens/s). Mean losses of the last 60 steps, in nats a token: text 0.50, codes 1.78, text about images 0.28, sounds
0.26, clips 0.47. These weights come with Tejat.

Two fifths of the documents are behaviours (tejat/posttrain/behaviours), and a third of these from memory; drawings are
mostly of other forms than what is known by heart; more speech, charts, facts and pages than before.
"""

from dataclasses import replace
from pathlib import Path

from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.quantised import Grid
from tejat.posttrain.behaviours.mixture import Known
from tejat.train.pretraining import pretraining

WEIGHTS = {
    # seen, drawn, watched
    **{"concepts": 46, "stamps": 2, "clips": 4, "charts": 14},
    # heard
    **{"sayings": 12, "voices": 12, "readings": 4, "dialogues": 2},
    # reckoned, followed, found again, and who it is
    **{"arithmetic": 2, "physics": 2, "instructions": 2, "retrieval": 1.5, "retrieval-long": 8},
    # known
    **{"world": 16, "elements": 2, "wordnet": 5},
    # said in another language, or in short
    **{"wesnoth": 4, "fillets": 1.5, "iso-names": 1.5, "place-names": 1, "package-descriptions": 3},
    **{"libreoffice-help": 5, "gnome-help": 3, "python-packages": 2, "metamath": 1},
    # as it is
    **{
        "brown": 2,
        "manuals": 3,
        "python-docs": 3,
        "linux-docs": 3,
        "debian-handbook": 3,
        "postgresql-docs": 2,
        "gcide": 1,
    },
}

RECIPE = pretraining(
    replace(family.preset("mini"), context=32_768),
    name="mini-known",
    tokens=9.8e8,
    stages=(Stage("known", 1.0, WEIGHTS, alpha=0.5, join=64_000, pages=0.1),),
    mixture=Known,
    room=Room(rows=48, tokens=32_768, targets=24_576, patches=38_400, sounds=48, frames=960, codes=6_144),
    peak=1e-3,
    grid=Grid(bits=4, embedding=4),  # what came before has ended on it
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini-long/model"),
)
