"""What audits find: bits flipped at random sites of a small model's steps, and how many of them are noticed.

    python -m tejat.train.auditing.trial --flips 400 --every 8 --mesh data=2,fsdp=4
    python -m tejat.train.auditing.trial --flips 400 --sites activations,gradients --least 23 --out flips.jsonl
    python -m tejat.train.auditing.trial --clean 2500 --every 100 --run 1 --out runs/clean.jsonl

A decoder of two layers learns random rows on eight devices, which a CPU pretends to have. Each flip strikes a step at
random within the steps between two audits, on a device at random; the run begins from a clean state before it and ends
with the next audit. A flip did harm where the loss on other rows then differs by more than `HARM` from that of the run
without it; nothing else is told apart, so that a flip which did nothing and was not seen counts as missed.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

if __name__ == "__main__":  # before JAX is asked for a device
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import numpy as np

from tejat.errors import BadInput
from tejat.model import multimodal
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.passes import Pass
from tejat.train import mesh as meshes
from tejat.train import objective, speed, step
from tejat.train.auditing import flips
from tejat.train.auditing.auditor import Auditor, Corrupted
from tejat.train.auditing.digests import Held
from tejat.train.auditing.spikes import Spikes, seen
from tejat.train.checkpoint import flat
from tejat.train.optimizer import Schedule
from tejat.train.shards import turned

HARM = 1e-3
"""Nats of mean loss."""

WARM = 24
"""Steps before the first flip: what is usual is known by then."""

BITS = {"sign": (31,), "exponent, high": (27, 28, 29, 30), "exponent, low": (23, 24, 25, 26)}
BITS |= {"mantissa, high": tuple(range(16, 23)), "mantissa, low": tuple(range(16))}

SITES = ("weights", "moments", "activations", "gradients", "transfers")

CONFIG = ModelConfig(
    name="tried",
    text_vocabulary=512,
    context=64,
    decoder=DecoderConfig(vocabulary=512, width=32, layers=2, heads=2, mlp=64, head_width=16, window=32, period=2),
    vision=None,
    audio=None,
    picture=None,
)
ACTIVATIONS = 1 + 2 * CONFIG.decoder.layers + 2
"""Streams that are laid in a pass: the embedding, after attention and MLP of each layer, what is predicted from."""

SCHEDULE = Schedule(steps=100_000, peak=3e-3, warmup=10)


@dataclass(frozen=True)
class Trial:
    """Flip bits in a small model's steps, and count those that audits find."""

    flips: int = 0
    """How many, spread over sites and kinds of bits."""
    clean: int = 0
    """Steps without a flip, to count false alarms."""
    every: int = 8
    """Steps from one audit to the next."""
    mesh: str = "data=2,fsdp=4"
    """Of the devices there are."""
    seed: int = 0
    """Of what is flipped where."""
    sites: str = ",".join(SITES)
    """Only these."""
    least: int = 0
    """Only kinds of bits from this one up; 23 is the lowest of the exponent."""
    run: int = 0
    """Of clean steps: which run it is; each has other weights and other rows."""
    out: Path | None = None
    """A file to which a run of clean steps adds a line, or every flip does; what is told is of all in it."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


class Bench:
    """A compiled step, batches, and a state that an auditor has watched since the beginning."""

    def __init__(self, mesh: str, every: int, directory: Path, run: int = 0):
        self.mesh, self.every, self.directory = meshes.make(meshes.parse(mesh)), every, directory
        self.first = -(-WARM // every) * every  # steps before the first flip
        self.shards = self.mesh.size // (self.mesh.shape["sequence"] * self.mesh.shape["tensor"])
        shapes = step.abstract_state(CONFIG, SCHEDULE)
        self._lies = meshes.state(self.mesh, multimodal.params(CONFIG), shapes)
        build = step.build(
            CONFIG,
            SCHEDULE,
            how=Pass(unrolled=True),  # so that an activation is that of one layer
            shardings=(self._lies, meshes.rows(self.mesh)),
            shards=self.shards,
            spoil=flips.Struck,
        )
        self._seed = 10_000 * run
        seeds = range(self._seed, self._seed + WARM + 8)
        made = [speed.batch(CONFIG, speed.Rows(self.shards, 48, 20), seed) for seed in seeds]
        self._batches = [meshes.spread(self.mesh, batch) for batch in made]
        lying = jax.tree.map(lambda a, lies: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=lies), shapes, self._lies)
        word = jax.ShapeDtypeStruct((), np.int32), jax.ShapeDtypeStruct((5,), np.int32)
        self._compiled = build.lower(lying, self._batches[0], *word).compile()
        self.held = Held(self.mesh, self._lies)
        probe = speed.batch(CONFIG, speed.Rows(self.shards, 48, 20), 1_000)
        self._loss = jax.jit(lambda params: objective.loss(params, CONFIG, probe)[0])

    def begun(self) -> step.TrainState:
        return meshes.placed(step.initial_state(CONFIG, SCHEDULE, self._seed), self._lies)

    def make(self, state: step.TrainState, batch: Any, turn: int = 0, strike: np.ndarray = flips.NOTHING):
        # One program at a time, as the auditor has it with devices that a CPU pretends to have.
        return jax.block_until_ready(
            self._compiled(state, jax.block_until_ready(turned(batch, self.shards, turn)), np.int32(turn), strike)
        )

    def batch(self, number: int) -> Any:
        return self._batches[number % len(self._batches)]

    def watch(self, auditor: Auditor, struck: flips.Flips) -> Any:
        return auditor.making(struck.making(self.make, nullspent, unkept), nullspent, unkept)

    def losses(self, state: step.TrainState) -> list[float]:
        """Of each copy of the parameters: the devices of one place along the mesh's copies."""
        copies = self.mesh.shape["slice"] * self.mesh.shape["data"]
        groups = self.mesh.devices.reshape(copies, -1)
        return [float(self._loss(jax.tree.map(lambda a, g=g: _held_by(a, g), state.params))) for g in groups]


def _held_by(array: jax.Array, devices: np.ndarray) -> np.ndarray:
    found = np.zeros(array.shape, array.dtype)
    for shard in array.addressable_shards:
        if shard.device in devices.tolist():
            found[shard.index] = np.asarray(shard.data)
    return found


def nullspent(kind: Any) -> nullcontext:
    """No ledger."""
    return nullcontext()


def unkept(make: Callable, name: str) -> Callable:
    """No programs that were compiled before."""
    return make()


def run(bench: Bench, auditor: Auditor, flipped: flips.Flip | None, state: Any, first: int, steps: int) -> dict:
    """So many steps from `first` on, with a check as the loop has it at the last and at each audit."""
    struck = flips.Flips([flipped] if flipped else [])
    make, pending = bench.watch(auditor, struck), []
    path = bench.directory / "surviving" / "verdicts.jsonl"
    before = len(path.read_text().splitlines()) if path.is_file() else 0
    try:
        for number in range(first, first + steps):
            batch = bench.batch(number)
            state = struck.before(number + 1, auditor.before(number + 1, state, batch), batch)
            state, sums = make(state, batch)
            pending.append({k: v for k, v in sums.items() if k != "local"})
            state, pending = auditor.checked(number + 1, state, pending, False, False)
    except Corrupted:
        state = None
    lines = path.read_text().splitlines()[before:] if path.is_file() else []
    return {"state": state, "verdicts": [json.loads(line) for line in lines]}


def unaudited(bench: Bench, flipped: flips.Flip | None, state: Any, first: int, steps: int) -> Any:
    """The state after the same steps, where nobody looks."""
    struck = flips.Flips([flipped] if flipped else [])
    make = struck.making(bench.make, nullspent, unkept)
    for number in range(first, first + steps):
        state = struck.before(number + 1, state, bench.batch(number))
        state, _ = make(state, bench.batch(number))
    return state


def drawn(
    bench: Bench, count: int, seed: int, sites: Sequence[str] = SITES, least: int = 0
) -> list[tuple[str, flips.Flip]]:
    """(kind of bits, flip), by turns of every site and kind."""
    random, found = np.random.default_rng(seed), []
    kinds = [kind for kind, bits in BITS.items() if min(bits) >= least]
    for number in range(count):
        site = sites[number % len(sites)]
        kind = kinds[number // len(sites) % len(kinds)]
        one = flips.Flip(
            site,
            step=bench.first + 1 + int(random.integers(bench.every)),
            bit=int(random.choice(BITS[kind])),
            leaf=int(random.integers(ACTIVATIONS if site == "activations" else 1_000)),
            index=int(random.integers(1 << 30)),
            device=int(random.integers(bench.shards)),
        )
        found.append((kind, one))
    return found


def tried(bench: Bench, struck: list[tuple[str, flips.Flip]]) -> Iterator[dict[str, Any]]:
    """A line for each flip, as it is tried."""
    every, first = bench.every, bench.first
    begin = jax.device_get(unaudited(bench, None, bench.begun(), 0, first))
    usual = _usual(bench, first)

    def fresh() -> Any:
        return meshes.placed(begin, bench._lies)

    clean = unaudited(bench, None, fresh(), first, every)
    right = bench.losses(clean)
    sums = [np.asarray(leaf) for leaf in jax.tree.leaves(jax.device_get(clean))]
    for number, (kind, one) in enumerate(struck):
        wrong = bench.losses(unaudited(bench, one, fresh(), first, every))
        harm = max(abs(a - b) if np.isfinite(a) else np.inf for a, b in zip(wrong, right, strict=True))
        auditor = Auditor(every, bench.shards, bench.mesh, bench.directory, bench.held)
        auditor._spikes = usual()
        told = run(bench, auditor, one, fresh(), first, every)
        mended = told["state"] is not None and all(
            np.array_equal(a, b) for a, b in zip(sums, map(np.asarray, jax.tree.leaves(told["state"])), strict=True)
        )
        yield {
            "site": one.site,
            "bits": kind,
            "step": one.step - first,
            "harm": harm,
            "found": bool(told["verdicts"]),
            "verdict": told["verdicts"][0]["verdict"] if told["verdicts"] else None,
            "why": told["verdicts"][0]["why"] if told["verdicts"] else None,
            "latency": first + every - one.step,
            "mended": mended,
            "device": told["verdicts"][0]["device"] if told["verdicts"] else None,
            "flip": asdict(one),
        }
        if sys.stderr.isatty() or number % 50 == 49:
            print(f"{number + 1}/{len(struck)} flips", file=sys.stderr, flush=True)


def _usual(bench: Bench, steps: int) -> Any:
    """A maker of what is usual after so many clean steps."""
    state, sums = bench.begun(), []
    for number in range(steps):
        state, told = bench.make(state, bench.batch(number))
        sums.append(seen(jax.device_get(told), told["local"], [*flat(state.params)]))

    def made() -> Spikes:
        spikes = Spikes()
        spikes.learn(sums)
        return spikes

    return made


def table(found: list[dict[str, Any]]) -> str:
    """For people: by site and kind of bit."""
    lines = ["| site | bits | flips | found | did harm | of these found | right device |", "|---" * 7 + "|"]
    groups = [(site, kind) for site in SITES for kind in BITS] + [(site, None) for site in SITES] + [(None, None)]
    for site, kind in groups:
        mine = [one for one in found if site in (None, one["site"]) and kind in (None, one["bits"])]
        if not mine:
            continue
        harmful = [one for one in mine if one["harm"] > HARM]
        named = [one for one in mine if one["device"] is not None]
        lines.append(
            f"| {site or 'all'} | {kind or 'all'} | {len(mine)} | {_share([one['found'] for one in mine])} | "
            f"{len(harmful)} | {_share([one['found'] for one in harmful])} | "
            f"{_share([one['device'] == one['flip']['device'] for one in named])} |"
        )
    return "\n".join(lines)


def _share(hits: list[bool]) -> str:
    return f"{sum(hits) / len(hits):.0%} of {len(hits)}" if hits else "–"


def clean(bench: Bench, steps: int) -> dict[str, Any]:
    """Steps in which nothing is wrong: false alarms, steps that were doubted, and what a step takes with audits and
    without, in seconds of all processor cores together."""
    auditor = Auditor(bench.every, bench.shards, bench.mesh, bench.directory, bench.held)
    state, at = bench.begun(), 0
    verdicts: list[dict[str, Any]] = []
    begun = time.process_time()
    while at < steps:
        told = run(bench, auditor, None, state, at, min(bench.every, steps - at))
        state, at = told["state"], at + bench.every
        verdicts += told["verdicts"]
    audited = time.process_time() - begun
    some = min(steps, 500)
    begun = time.process_time()
    jax.block_until_ready(unaudited(bench, None, bench.begun(), 0, some))
    alone = (time.process_time() - begun) / some
    return {
        "steps": steps,
        "false_alarms": sum(one["verdict"] != "bug_or_data" for one in verdicts),
        "doubts": len(verdicts),
        "step_cpu_s": alone,
        "audited_step_cpu_s": audited / steps,
    }


def before(path: Path, run: int) -> list[dict[str, Any]]:
    """The runs of clean steps that a file tells of. Raises BadInput where this one is there already."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    if run in [line["run"] for line in lines]:
        raise BadInput(f"{path} holds run {run} already; give another number to --run")
    return lines


def _kept(tried: Iterator[dict[str, Any]], path: Path | None) -> list[dict[str, Any]]:
    """What was tried, with what the file tells of already, to which each is added at once."""
    if path is None:
        return list(tried)
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    with path.open("a", buffering=1) as file:
        for one in tried:
            found.append(one)
            file.write(json.dumps(one) + "\n")
    return found


def main(arguments: list[str]) -> int:
    options = tyro.cli(Trial, args=arguments, prog="python -m tejat.train.auditing.trial")
    if strange := [site for site in options.sites.split(",") if site not in SITES]:
        raise BadInput(f"there is no site {strange[0]!r}; there are {', '.join(SITES)}")
    if not 0 <= options.least <= 31:
        raise BadInput(f"--least {options.least} is no bit of a word of 32; give 0 to 31")
    if options.flips and options.clean:
        raise BadInput("give --flips or --clean, each its own run")
    result: dict[str, Any] = {"every": options.every, "mesh": options.mesh}
    runs = before(options.out, options.run) if options.clean and options.out else []
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(options.mesh, options.every, Path(directory), options.run)
        if options.flips:
            struck = drawn(bench, options.flips, options.seed, options.sites.split(","), options.least)
            result["flips"] = _kept(tried(bench, struck), options.out)
        if options.clean:
            result["clean"] = clean(bench, options.clean)
    if options.clean and options.out is not None:
        runs.append({"run": options.run, "every": options.every, "mesh": options.mesh, **result["clean"]})
        with options.out.open("a") as file:
            file.write(json.dumps(runs[-1]) + "\n")
        result["runs"] = {name: sum(run[name] for run in runs) for name in ("steps", "false_alarms", "doubts")}
    if options.json:
        print(json.dumps(result))
        return 0
    if options.flips:
        print(table(result["flips"]))
    for name in ("clean", "runs"):
        if name in result:
            print(result[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
