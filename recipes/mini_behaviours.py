"""The stage of `mini` after `mini_instruct`: attribution, answers from memory, and saying that one cannot answer.

tejat train recipes/mini_instruct.py --set pictures=runs/pictures-mini/picture.safetensors
tejat train recipes/mini_behaviours.py --set pictures=runs/pictures-mini/picture.safetensors

Two fifths of the documents are behaviours (tejat/posttrain/behaviours), in the shares of
what ships (recipes/mini_known.py); the rest are dialogues of the stage before, so that nothing is forgotten, and no
corpus is built anew. Beside recipes/tune_behaviours_without.py it tells what behaviours do and nothing else. What comes
out is measured by `tejat eval --suite factuality` and told in docs/FACTUALITY.md. With `--set schedule.steps=500 --set
schedule.warmup=30 --set accumulate=4 --set how.unrolled=false`, from the instruction stage's file in four bits, three
seeds, and three of the other recipe, took ten to twelve minutes on two H200, three models on each, PPO beside them
(120,000 tokens/s a model): 65M tokens; mean losses at the end, in nats a token: text 0.52, codes 2.07, text about
images 0.48, sounds 0.44, clips 0.47.
"""

from pathlib import Path

from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.quantised import Grid
from tejat.posttrain.behaviours.mixture import Known
from tejat.train.pretraining import pretraining

WEIGHTS = {  # nearly those of recipes/mini_instruct.py
    **{"concepts": 34, "stamps": 3, "clips": 2, "charts": 6, "voices": 6, "readings": 3, "dialogues": 2},
    **{"arithmetic": 7, "physics": 4, "instructions": 7, "retrieval": 2},
    **{"world": 8, "elements": 1, "wordnet": 5},
    **{"wesnoth": 6, "fillets": 2, "iso-names": 2, "place-names": 1, "package-descriptions": 4},
    **{"libreoffice-help": 3, "gnome-help": 2, "python-packages": 2},
}

RECIPE = pretraining(
    family.preset("mini"),
    name="mini-behaviours",
    tokens=6e7,
    stages=(Stage("behaviours", 6e7, WEIGHTS, alpha=0.5),),
    mixture=Known,
    room=Room(rows=32, tokens=4_096, targets=3_328, patches=3_840, sounds=12, frames=960, codes=1_280),
    peak=5e-4,
    grid=Grid(bits=4, embedding=4),  # what came before has ended on it
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini-instruct/model"),
)
