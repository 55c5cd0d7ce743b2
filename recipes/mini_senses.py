"""`mini`, second run: more of what is seen and heard, then dialogues alone, at last on the grid that it is shipped on.

tejat train recipes/mini.py --set pictures=runs/pictures-mini/picture.safetensors
tejat train recipes/mini_senses.py --set pictures=runs/pictures-mini/picture.safetensors

In the last three tenths, dialogues go from one skill to another, in twelve languages (tejat/data/conversations.py); in
the last eighth, matrices are rounded in every step as the file will have them, and the gradient passes to the masters.

One H100, 27 minutes, 270 s of them compiling: 4,686 of 8,180 steps, 596M tokens at 490k a second; mean losses then:
text 1.48, codes 1.38, about images 0.53, sounds 0.19, clips 0.64. What came after is lost (docs/LOG.md), dialogues
and grid among it: recipes/mini_instruct.py has both.
"""

from pathlib import Path

from tejat.data.conversations import Conversations
from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.quantised import Grid
from tejat.train.pretraining import pretraining

SENSES = {
    # seen, drawn, heard, watched
    **{"concepts": 30, "stamps": 3, "clips": 3, "charts": 7, "voices": 8, "readings": 3, "dialogues": 1.5},
    # reckoned, followed, found again
    **{"arithmetic": 3, "physics": 4, "instructions": 3, "retrieval": 1.2},
    # known
    **{"world": 4, "elements": 0.4, "wordnet": 4, "gcide": 1, "computing-dictionaries": 0.7},
    # side by side, and summed up
    **{"wesnoth": 3, "freedict": 1.5, "fillets": 1.5, "iso-names": 1.5, "place-names": 1, "package-descriptions": 3},
    # prose, handbooks, code, proofs
    **{"brown": 1.5, "python-docs": 1, "linux-docs": 0.7, "postgresql-docs": 0.7, "sqlite-docs": 0.7},
    **{"libreoffice-help": 2, "manuals": 2, "gnome-help": 1, "debian-handbook": 1, "fortunes": 1},
    **{"installation-guide": 0.3, "debian-reference": 0.3, "developers-reference": 0.2},
    **{"python-packages": 3, "python-library": 1, "metamath": 1.2},
}
DIALOGUES = {
    **{"concepts": 34, "stamps": 3, "clips": 3, "charts": 7, "voices": 8, "readings": 3, "dialogues": 2},
    **{"arithmetic": 5, "physics": 5, "instructions": 5, "retrieval": 2},
    **{"world": 6, "elements": 1, "wordnet": 5},
    **{"wesnoth": 5, "fillets": 2, "iso-names": 2, "place-names": 1, "package-descriptions": 4},
    **{"libreoffice-help": 3, "gnome-help": 2, "python-packages": 2, "metamath": 1},
}

RECIPE = pretraining(
    family.preset("mini"),
    name="mini-senses",
    tokens=1.04e9,
    stages=(
        Stage("senses", 0.7, SENSES, alpha=0.5, plain=True),
        Stage("dialogues", 0.3, DIALOGUES, alpha=0.5),
    ),
    mixture=Conversations,
    room=Room(rows=32, tokens=4_096, targets=3_328, patches=3_840, sounds=12, frames=960, codes=1_280),
    peak=1.5e-3,
    grid=Grid(bits=4, embedding=4, begins=0.875),
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini/model"),
)
