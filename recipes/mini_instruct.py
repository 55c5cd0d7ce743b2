r"""The stage of `mini` after pre-training: dialogues, from one skill to another, in twelve languages; ends on its grid.

tejat train recipes/mini_instruct.py --set pictures=runs/pictures-mini/picture.safetensors

As it was trained, on four GPUs of one host:

for n in 0 1 2 3; do CUDA_VISIBLE_DEVICES=$n tejat train recipes/mini_instruct.py --mesh data=4 --processes 4 \
  --process $n --coordinator 127.0.0.1:8476 --set room.rows=64 --set schedule.steps=3600 \
  --set kept=/dev/shm/kept & done; wait
tejat quantize runs/mini-instruct/model runs/mini-4bit --embedding 4 --pictures 4 --method nearest

Of what the corpus holds, what is asked and answered (tejat/data/conversations.py), and some prose as it is, lest it be
forgotten. In the second half matrices are rounded in every step as the file will have them, and the gradient passes to
the masters: without that, four bits leave nothing of what it draws. 939M tokens in 9.5 minutes of four H200, 1.50 to
1.77M tokens/s, after 85 s of compiling; mean losses of the last steps in nats a token: text 0.64, codes 1.31, text
about images 0.36, about sounds 0.30, about clips 0.32. mini_again and mini_long went on from them (docs/MINI.md).
"""

from pathlib import Path

from tejat.data.conversations import Conversations
from tejat.data.mixture import Stage
from tejat.data.packing import Room
from tejat.model import family
from tejat.model.quantised import Grid
from tejat.train.pretraining import pretraining

WEIGHTS = {
    # seen, drawn, heard, watched
    **{"concepts": 34, "stamps": 3, "clips": 3, "charts": 7, "voices": 6, "readings": 3, "dialogues": 2},
    # reckoned, followed, found again, and who it is
    **{"arithmetic": 4, "physics": 4, "instructions": 5, "retrieval": 2},
    # known
    **{"world": 6, "elements": 1, "wordnet": 5},
    # said in another language, or in short
    **{"wesnoth": 5, "fillets": 2, "iso-names": 2, "place-names": 1, "package-descriptions": 4},
    **{"libreoffice-help": 3, "gnome-help": 2, "python-packages": 3, "metamath": 1},
    # as it is
    **{"brown": 1, "manuals": 1, "python-docs": 0.5, "linux-docs": 0.5, "gcide": 0.5, "debian-handbook": 0.5},
}

RECIPE = pretraining(
    family.preset("mini"),
    name="mini-instruct",
    tokens=4.2e8,
    stages=(Stage("instruct", 4.2e8, WEIGHTS, alpha=0.5),),
    mixture=Conversations,
    room=Room(rows=32, tokens=4_096, targets=3_328, patches=3_840, sounds=12, frames=960, codes=1_280),
    peak=1e-3,
    grid=Grid(bits=4, embedding=4, begins=0.5),
    pictures=Path("runs/pictures-mini/picture.safetensors"),
    weights=Path("runs/mini-galleries/model"),
)
