"""A quarter of `mini`, 10.3M in the decoder for 44.3M, taught by `mini` on the documents that `mini` learnt from.

tejat tune distill recipes/distil_mini.py --set teacher=runs/mini/model --set seed=0 --out runs/taught-0
tejat tune distill recipes/distil_mini.py --set teacher=runs/mini/model --set seed=0 --set share=0 --out runs/alone-0
… and with seed=1 and seed=2; then:
python benchmarks/distilled.py --taught runs/taught-{0,1,2} --alone runs/alone-{0,1,2}

With share=0 it is the same student on the same batches without a teacher: the comparison, at equal tokens. The teacher
is asked on the fly, for its whole distribution, in text and in the codes of pictures. A run takes seven to nine minutes
of half an H200 (add --set how.unrolled=false: it compiles in a fraction of the time); docs/NANO.md has what came out.
"""

from dataclasses import replace
from pathlib import Path

from tejat.codecs.framing import Framing
from tejat.data.packing import Room
from tejat.model.multimodal import ModelConfig
from tejat.model.passes import Pass
from tejat.posttrain.recipe import Distil
from tejat.train.optimizer import Schedule
from tejat.train.pretraining import FILLED, PICTURES, SHORT, documents

TOKENS = 1e8
ROOM = Room(rows=32, tokens=4_096, targets=3_328, patches=2_880, sounds=8, frames=640, codes=1_024)


def quarter(teacher: ModelConfig) -> ModelConfig:
    return replace(
        teacher,
        name="mini-quarter",
        decoder=replace(teacher.decoder, width=192, heads=4, head_width=64, mlp=704),
        vision=replace(teacher.vision, width=128, layers=3, heads=2, mlp=384),
        audio=replace(teacher.audio, width=96, layers=3, heads=2, output=96),
    )


def trained(framing: Framing, recipe: Distil):
    return documents(framing, recipe, SHORT)


def heldout(framing: Framing, recipe: Distil):
    return documents(framing, recipe, SHORT, split="heldout")


RECIPE = Distil(
    name="mini-quarter",
    teacher=Path("runs/mini/model"),
    student=quarter,
    documents=trained,
    heldout_documents=heldout,
    corpus=Path("runs/corpus"),
    room=ROOM,
    picture_weight=PICTURES,
    schedule=Schedule(
        steps=round(TOKENS / (ROOM.rows * ROOM.tokens * FILLED)), peak=3e-3, warmup=80, decay=0.1, muon=True
    ),
    bfloat16=True,
    how=Pass("products"),
    save_every=1_000,
    keep=1,
    workers=16,
)
