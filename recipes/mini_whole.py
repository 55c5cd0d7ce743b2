"""The stage of `mini` after recipes/mini_reading.py: what that forgot beside what it learnt, in rows of 32,768 tokens.

On two H100 of one host, a process each, 32 rows of a step in four parts, a worker for each row: 400 steps, 412M tokens,
11.4 minutes, 1.5 of them compiling, 0.91 to 0.64M tokens/s (what loaders gave: a fifth of the time went to waiting).
Mean losses at its end: text 0.51, codes 1.72, text about images 0.29, sounds 0.26, clips 0.49; at its beginning 0.61,
1.87, 0.33, 0.42, 0.61. It began with the file of `mini_reading` in four bits. What is asked to be drawn, and some other
dialogues, have changed since.

for n in 0 1; do CUDA_VISIBLE_DEVICES=$n tejat train recipes/mini_whole.py --mesh data=2 \\
  --coordinator 127.0.0.1:8476 --processes 2 --process $n --set accumulate=4 --set how.unrolled=false \\
  --set picture_weight=0.4 --set schedule.warmup=157 --set seed=1 --set kept=/dev/shm/kept & done; wait

Half of the documents are behaviours (tejat/posttrain/behaviours), of which more are questions from memory than in the
stage before; the others are what mini_again and mini_long were trained on: four times mini_again's share of facts,
whole pages, searches in long lists, and speech.
"""

from dataclasses import replace
from pathlib import Path

from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.quantised import Grid
from tejat.posttrain.behaviours.mixture import Whole
from tejat.train.pretraining import pretraining

WEIGHTS = {
    # seen, drawn, watched
    **{"concepts": 40, "stamps": 3, "clips": 4, "charts": 9},
    # heard
    **{"sayings": 9, "voices": 8, "readings": 4, "dialogues": 2},
    # reckoned, followed, found again, and who it is
    **{"arithmetic": 2, "physics": 2, "instructions": 2, "retrieval": 1.5, "retrieval-long": 8},
    # known
    **{"world": 10, "elements": 1.5, "wordnet": 4},
    # said in another language, or in short
    **{"wesnoth": 4, "fillets": 1.5, "iso-names": 1.5, "place-names": 1, "package-descriptions": 3},
    **{"libreoffice-help": 3, "gnome-help": 2, "python-packages": 2, "metamath": 1},
    # as it is
    **{
        "brown": 2,
        "manuals": 2,
        "python-docs": 2,
        "linux-docs": 2,
        "debian-handbook": 2,
        "postgresql-docs": 1,
        "gcide": 1,
    },
}

RECIPE = pretraining(
    replace(family.preset("mini"), context=32_768),
    name="mini-whole",
    tokens=4.07e8,
    stages=(Stage("whole", 1.0, WEIGHTS, alpha=0.5, join=64_000, pages=0.1),),
    mixture=Whole,
    room=Room(rows=32, tokens=32_768, targets=24_576, patches=32_256, sounds=48, frames=960, codes=6_144),
    peak=7e-4,
    grid=Grid(bits=4, embedding=4),  # what came before has ended on it
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini-reading/model"),
)
