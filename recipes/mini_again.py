r"""`mini` once more, from the weights of mini_instruct: what its table was short of, and then behaviours.

On four GPUs of one host with 64 cores, whose loaders are what it waits for; each GPU takes 16 rows of a step:

for n in 0 1 2 3; do CUDA_VISIBLE_DEVICES=$n tejat train recipes/mini_again.py --mesh data=4 --processes 4 \
  --process $n --coordinator 127.0.0.1:8476 --set room.rows=64 --set schedule.steps=5000 \
  --set kept=/dev/shm/kept & done; wait
tejat quantize runs/mini-again/model runs/mini-again-4bit --embedding 4 --pictures 4 --method nearest

Three tenths of what is seen, heard and plotted are pages of many (tejat/data/presenting/galleries.py), the rest and all
else dialogues, lest anything be forgotten. New since recipes/mini_instruct.py: charts that are large enough to be read;
recordings that never sound the same twice, several after each other, and 33,000 more of which each says something else
(`sayings`, by `tejat data build recipes/corpus.py --only sayings`; without it in the corpus the others stand in);
drawings in more styles than there are, flags cut round; kinds of things on pages of their own; three of four requests
to draw in other languages than English, answered by the name in both. In its last eighth nearly half of the documents
are behaviours (docs/FACTUALITY.md), in the same run: another would compile as long as it trains.

On four H100, 4,470 of 5,000 steps in 25.5 minutes, 145 s of them compiling: 0.30 s a step, of which GPUs compute 0.2;
1.11 billion tokens. It was ended by Ctrl-C then, in its 95th step of behaviours. Mean losses at its end, in nats a
token: text 0.63, codes 1.26, text about images 0.25, sounds 0.20, clips 0.40. mini_long went on from it.
"""

from pathlib import Path

from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.quantised import Grid
from tejat.posttrain.behaviours.mixture import Behaved
from tejat.train.pretraining import pretraining

WEIGHTS = {
    # seen, drawn, watched
    **{"concepts": 62, "stamps": 4, "clips": 3, "charts": 6},
    # heard
    **{"sayings": 9, "voices": 6, "readings": 5, "dialogues": 3},
    # reckoned, followed, found again, and who it is
    **{"arithmetic": 1.7, "physics": 2.5, "instructions": 2, "retrieval": 1.2},
    # known
    **{"world": 2.5, "elements": 0.5, "wordnet": 3},
    # said in another language, or in short
    **{"wesnoth": 4, "fillets": 1.5, "iso-names": 1.5, "place-names": 1, "package-descriptions": 3},
    **{"libreoffice-help": 2, "gnome-help": 1.5, "python-packages": 2, "metamath": 1},
    # as it is
    **{"brown": 1, "manuals": 1, "python-docs": 0.7, "linux-docs": 0.7, "gcide": 0.5, "debian-handbook": 0.5},
}

RECIPE = pretraining(
    family.preset("mini"),
    name="mini-again",
    tokens=7.6e8,
    stages=(
        Stage("again", 0.875, WEIGHTS, alpha=0.5, pages=0.3),
        Stage("behaviours", 0.125, WEIGHTS, alpha=0.5, pages=0.1),
    ),
    mixture=Behaved,
    room=Room(rows=32, tokens=4_096, targets=2_560, patches=6_144, sounds=12, frames=960, codes=1_024),
    peak=1e-3,
    grid=Grid(bits=4, embedding=4, begins=0.5),
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini-instruct/model"),
)
