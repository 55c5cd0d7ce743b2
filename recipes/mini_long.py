"""The stage of `mini` after recipes/mini_again.py: whole pages, files and searches in contexts of 32,768 tokens.

On one H100, sixteen minutes, of which eight compile: 450 steps, 233M tokens; losses of its second half, in nats a
token: text 1.37, codes 1.16, text about images 0.32, sounds 0.15, clips 0.30. These weights came with Tejat.

tejat train recipes/mini_long.py --set kept=/dev/shm/kept

Pieces of a page follow each other up to 64,000 bytes. A sixth are lists of up to 3,200 keys that are searched for up to
24 of them; the rest is what came before, lest it be forgotten, all on the grid that it ended on. In the second half
nearly half of the documents are behaviours (docs/FACTUALITY.md): they are short, a quarter of the tokens. 20 rows of
each half are filled to 97 and 100 percent, at 53,000 tokens a CPU second. A part of a step is 131,072 tokens, as many
as recipes/mini_senses.py had on 80 GB; attention needs no more for longer rows.
"""

from dataclasses import replace
from pathlib import Path

from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.quantised import Grid
from tejat.posttrain.behaviours.mixture import Behaved
from tejat.train.pretraining import pretraining

WEIGHTS = {
    # long: searched, read on
    **{"retrieval-long": 16, "retrieval": 1.5},
    **{"linux-docs": 5, "python-docs": 6, "debian-handbook": 4, "postgresql-docs": 4, "sqlite-docs": 3, "manuals": 3},
    **{"debian-reference": 2, "python-library": 3, "python-packages": 4, "libreoffice-help": 3, "brown": 3},
    # what came before
    **{"concepts": 30, "stamps": 2, "clips": 2, "charts": 6},
    **{"sayings": 3, "voices": 3, "readings": 2, "dialogues": 2},
    **{"arithmetic": 2, "physics": 2, "instructions": 2, "world": 6, "elements": 0.5, "wordnet": 3},
    **{"wesnoth": 3, "fillets": 1, "iso-names": 1, "place-names": 1, "package-descriptions": 2, "gnome-help": 1},
}

LONG = pretraining(
    replace(family.preset("mini"), context=32_768),
    name="mini-long",
    tokens=2.33e8,
    stages=(  # plain: as they are, whole pages; what dialogues alone would make of them is cut short
        Stage("long", 0.5, WEIGHTS, alpha=0.5, join=64_000, plain=True, pages=0.1),
        Stage("behaviours", 0.5, WEIGHTS, alpha=0.5, join=64_000, plain=True, pages=0.1),
    ),
    mixture=Behaved,
    room=Room(rows=16, tokens=32_768, targets=24_576, patches=32_256, sounds=48, frames=960, codes=6_144),
    peak=5e-4,
    grid=Grid(bits=4, embedding=4),  # what came before has ended on it
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini-again/model"),
)

RECIPE = replace(LONG, accumulate=4)  # each part as many tokens as 80 GB hold
