"""The stage of `mini` after pre-training: dialogues alone, from one skill to another, in twelve languages.

tejat train recipes/mini.py --set pictures=runs/pictures-mini/picture.safetensors
tejat train recipes/mini_instruct.py --set pictures=runs/pictures-mini/picture.safetensors

Of what the corpus holds, as in pre-training, what is asked and answered (tejat/data/conversations.py); no corpus is
built anew for it. About six minutes of one H100 at the speed of pre-training, by estimate: not trained yet.
"""

from pathlib import Path

from tejat.data.conversations import Conversations
from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.train.pretraining import pretraining

WEIGHTS = {
    # seen, drawn, heard, watched
    **{"concepts": 34, "stamps": 3, "clips": 2, "charts": 6, "voices": 6, "readings": 3, "dialogues": 2},
    # reckoned, followed, found again, and who it is
    **{"arithmetic": 7, "physics": 4, "instructions": 7, "retrieval": 2},
    # known
    **{"world": 8, "elements": 1, "wordnet": 5},
    # said in another language, or in short
    **{"wesnoth": 6, "fillets": 2, "iso-names": 2, "place-names": 1, "package-descriptions": 4},
    **{"libreoffice-help": 3, "gnome-help": 2, "python-packages": 2},
}

RECIPE = pretraining(
    family.preset("mini"),
    name="mini-instruct",
    tokens=1.5e8,
    stages=(Stage("instruct", 1.5e8, WEIGHTS, alpha=0.5, dialogues=True),),
    mixture=Conversations,
    room=Room(rows=32, tokens=4_096, targets=3_328, patches=3_840, sounds=12, frames=960, codes=1_536),
    peak=5e-4,
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini/model"),
)
