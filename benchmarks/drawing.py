"""How long a picture of 128 x 128 pixels takes to be drawn, alone and several at once, from the prompt to its pixels.

    python benchmarks/drawing.py                                     mini by JAX, on whatever device there is
    python benchmarks/drawing.py mini --engine onnx --at-once 1 8
    python benchmarks/drawing.py runs/my-model --profile trace       and a trace of one more round of each

Medians of some rounds, after one that compiles; seeds differ from picture to picture and are the same in every round.
A step writes one token of every picture, and there are as many as the longest answer has tokens; the reading of the
prompts is shared out among them. "Memory alone": the decoder's weights, read once a step at the speed that this run
measures, a largest number of many being read. Codes become pixels one picture after another, as everywhere in Tejat.
"""

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import tyro

from tejat import bundle
from tejat.codecs.framing import Framing
from tejat.errors import BadInput, explained
from tejat.infer import engine, engines, speed
from tejat.infer.engine import CHUNK, Engine, apart_on_device
from tejat.infer.onnx_engine import OnnxEngine
from tejat.infer.onnx_files import DECODER
from tejat.infer.onnx_model import OnnxModel
from tejat.infer.options import Options
from tejat.infer.reading import PartReader
from tejat.model import multimodal, narrow
from tejat.parts import Image, Text, Turn

SIDE = 128  # pixels
THINGS = "red apple", "banana", "cat face", "house", "rocket", "butterfly", "umbrella", "snowman"


@dataclass(frozen=True)
class Asked:
    """What is measured."""

    model: tyro.conf.Positional[str] = "mini"
    """A directory, or the name of a model that comes with Tejat."""
    engine: Literal["jax", "onnx"] = "jax"
    at_once: tuple[int, ...] = (1, 8, 32)
    """Pictures, in one batch."""
    rounds: int = 5
    dtype: Literal["bfloat16", "float32"] | None = None
    """In which JAX computes; default: bfloat16, on a CPU float32."""
    tokens_a_look: int = CHUNK
    """Tokens that JAX writes between two looks of the host: a multiple of 4."""
    profile: Path | None = None
    """Where JAX's trace of one more round goes, a folder for each number of pictures."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False


class Machine(NamedTuple):
    """A model that is ready to draw, and what it runs on."""

    drawer: Engine | OnnxEngine
    device: str
    dtype: str
    bytes: int  # of the decoder's weights


class Round(NamedTuple):
    """Seconds, and what was done in them."""

    written: float  # from the prompts to the last code
    decoded: float  # from the codes to pixels
    tokens: int
    steps: int

    @property
    def seconds(self) -> float:
        return self.written + self.decoded


def main(asked: Asked) -> int:
    check(asked)
    machine = on_onnx(asked) if asked.engine == "onnx" else on_jax(asked)
    rows = []
    if not asked.json:
        where = f"{asked.model}, {asked.engine}, {machine.device}, {machine.dtype}"
        print(f"{where}: a step reads {machine.bytes / 1e6:.1f} MB of weights\n")
        print("| pictures at once | s for all | of it codes to pixels, s | s a picture | tokens/s | ms a step ", end="")
        print("| memory alone, s |\n|---|---|---|---|---|---|---|", flush=True)
    for count in asked.at_once:
        rows.append(measured(machine, count, asked))
        if not asked.json:
            print(line(rows[-1]), flush=True)
    if asked.json:
        told = {"device": machine.device, "dtype": machine.dtype, "bytes_a_step": machine.bytes}
        print(json.dumps({"options": asdict(asked), **told, "rows": rows}, default=str))
    return 0


def check(asked: Asked) -> None:
    """Raises BadInput for numbers that make no sense, and for what ONNX Runtime does not have."""
    if not asked.at_once or min(asked.rounds, asked.tokens_a_look, *asked.at_once) < 1:
        raise BadInput("--at-once, --rounds and --tokens-a-look count things; give whole numbers from 1")
    if asked.tokens_a_look % 4:  # a GPU's loop may write four a turn, and has room for those between two looks alone
        raise BadInput(f"--tokens-a-look is {asked.tokens_a_look}; give a multiple of 4")
    of_jax = asked.dtype is not None, asked.tokens_a_look != CHUNK, asked.profile is not None
    if asked.engine == "onnx" and any(of_jax):
        raise BadInput("--dtype, --tokens-a-look and --profile are of JAX, and the engine is onnx; leave them out")


def on_jax(asked: Asked) -> Machine:
    """On JAX's first device, the weights as a service has them there."""
    directory = bundle.find(asked.model)
    engines.export_for(directory, "jax")
    made, device = bundle.load(directory), jax.devices()[0]
    patch_of(made)
    dtype = asked.dtype or ("float32" if device.platform == "cpu" else "bfloat16")
    on_cpu = device.platform == "cpu"
    params = apart_on_device((multimodal.cast if on_cpu else narrow.kept)(made.params, dtype))
    engine.CHUNK = asked.tokens_a_look  # which is read as programs are traced, and none is yet
    most = max(asked.at_once)
    drawer = Engine(made, rows=most, tokens=most * made.config.context, params=params)
    return Machine(drawer, device.device_kind, dtype, sum(a.nbytes for a in jax.tree.leaves(params["decoder"])))


def on_onnx(asked: Asked) -> Machine:
    """On the processor, from the model's export."""
    export = engines.export_for(bundle.find(asked.model), "onnx", lambda text: print(text, file=sys.stderr))
    assert export is not None  # for ONNX Runtime is asked for
    model = OnnxModel(export)
    patch_of(model.bundle)
    files = model.about["files"]
    size = sum(files[name]["bytes"] for name in files if name.startswith(DECODER))
    return Machine(OnnxEngine(model, rows=max(asked.at_once)), "cpu", "as exported", size)


def patch_of(made: bundle.Bundle) -> int:
    """Pixels along a side of what one code stands for. Raises BadInput for a model that draws nothing."""
    if made.config.picture is None:
        raise BadInput(f"the model {made.config.name!r} draws no pictures; give one that does")
    return made.config.picture.patch


def measured(machine: Machine, count: int, asked: Asked) -> dict[str, Any]:
    """A row of the table, its rounds, and the memory's speed just before them."""
    bandwidth = memory_speed(machine)
    draw(machine.drawer, count)  # compiles
    rounds = [draw(machine.drawer, count) for _ in range(asked.rounds)]
    if asked.profile is not None:
        with jax.profiler.trace(str(asked.profile / str(count))):
            draw(machine.drawer, count)
    seconds, written, decoded = (
        statistics.median(getattr(one, name) for one in rounds) for name in ("seconds", "written", "decoded")
    )
    tokens, steps = rounds[0].tokens, rounds[0].steps
    return {
        "pictures": count,
        "seconds": seconds,
        "decoding_seconds": decoded,
        "seconds_a_picture": seconds / count,
        "tokens_per_s": tokens / seconds,
        "ms_a_step": 1e3 * written / steps,
        "memory_alone_seconds": steps * machine.bytes / bandwidth,
        "steps": steps,
        "tokens": tokens,
        "bandwidth_bytes_per_s": bandwidth,
        "rounds": [one.seconds for one in rounds],
    }


def draw(drawer: Engine | OnnxEngine, count: int) -> Round:
    """One round. Raises BadInput where an answer is anything but one whole picture."""
    begun, framing = time.perf_counter(), drawer.bundle.framing
    side = SIDE // patch_of(drawer.bundle)
    things = [THINGS[n % len(THINGS)] for n in range(count)]
    prompts = [framing.prompt([Turn("user", (Text(f"Draw: {thing}."),))]) for thing in things]
    wishes = [Options(picture_size=(side, side), seed=1 + n) for n in range(count)]
    answers = [answer.tokens for answer in drawer.generate(prompts, wishes)]
    drawn = time.perf_counter()
    shapes = [pixels.shape for answer in answers for pixels in pixels_of(framing, answer)]
    seen = time.perf_counter()
    for thing, answer in zip(things, answers, strict=True):
        if (codes := codes_in(drawer, answer)) != side**2:
            raise BadInput(
                f"asked to draw {thing!r}, the model {drawer.config.name!r} wrote {codes} codes, not {side**2}; give "
                "a model that draws"
            )
    assert shapes == [(SIDE, SIDE, 3)] * count
    lengths = [len(answer) for answer in answers]
    return Round(drawn - begun, seen - drawn, sum(lengths), max(lengths))


def pixels_of(framing: Framing, tokens: np.ndarray) -> list[np.ndarray]:
    """Of every picture of an answer, read as all answers are."""
    reader = PartReader(framing)
    return [part.pixels for part in (*reader.push(tokens), *reader.finish()) if isinstance(part, Image)]


def codes_in(drawer: Engine | OnnxEngine, tokens: np.ndarray) -> int:
    first = drawer.rule.text_size
    return int(((tokens >= first) & (tokens < first + drawer.rule.codes)).sum())


def memory_speed(machine: Machine) -> float:
    """Bytes a second that the device reads."""
    return speed.bandwidth() if machine.device == "cpu" else speed.device_bandwidth()


def line(row: dict[str, Any]) -> str:
    """Of the table."""
    cells = (
        *(str(row["pictures"]), f"{row['seconds']:.3f}", f"{row['decoding_seconds']:.3f}"),
        *(f"{row['seconds_a_picture']:.3f}", f"{row['tokens_per_s']:,.0f}", f"{row['ms_a_step']:.2f}"),
        f"{row['memory_alone_seconds']:.4f}",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Asked, description=__doc__)))
