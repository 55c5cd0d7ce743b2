"""The training loop. Whatever stops a run, it goes on from its newest checkpoint to the same weights, to the bit.

DIRECTORY/tokenizer.model   made once
          run.json          what the run may not change; a directory that has one holds a run
          checkpoints/      the newest few
          log.jsonl         a line every `log_every` steps
          goodput-N.jsonl   what every second of process N went to (`tejat.train.goodput`)
          seen.json         of a mixture of sources: documents, epochs and tokens of each, at the last stop
          model/            the bundle, at the end
          loss.png          the log as curves, at the end
          joint.json        what it costs to go on from the chain that was written
"""

import contextlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from tejat import bundle
from tejat.bundle import Bundle
from tejat.codecs.framing import Framing
from tejat.codecs.picture import PictureCodec
from tejat.codecs.vocabulary import Vocabulary
from tejat.data import packing
from tejat.data.loading import Loader, Position
from tejat.errors import BadInput
from tejat.evals.plots import loss_plot
from tejat.model import multimodal, picture, weights
from tejat.parts import write_whole
from tejat.train import chain, device_memory, drawing, hosts, identity, step
from tejat.train import mesh as meshes
from tejat.train.auditing import auditor
from tejat.train.checkpoint import Checkpoints
from tejat.train.goodput import Kind, Ledger
from tejat.train.guards import Guard, Guards, Phase
from tejat.train.objective import LOSSES, PREDICTED
from tejat.train.recipe import Recipe
from tejat.train.shards import turned

Line = dict[str, Any]
"""A line of the log."""


JOINT = 4
"""Steps made at a joint of a chain to see what it costs."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C or the end of the time, after a step was finished, a checkpoint saved and the model so far written."""

    def __init__(self, step: int, due: bool = False):
        super().__init__(f"stopped at step {step}")
        self.step, self.due = step, due


class Diverged(RuntimeError):
    """The loss or its gradient is not a number; the last good checkpoint is kept."""


@dataclass
class Standing:
    """Where a run stands, beside its arrays. `pending` are the sums of the steps since the last line of the log."""

    step: int = 0
    tokens: int = 0  # padding not counted
    documents: int = 0
    seconds: float = 0.0
    position: Position = field(default_factory=Position)
    pending: list[dict[str, Any]] = field(default_factory=list)
    settled: int = 0  # of the pending sums, those that are counted above

    def settle(self) -> None:
        """Waits for the steps made, and counts what was in their batches. Raises Diverged as `numbers` does."""
        self.pending = numbers(self.pending, self.step)
        for sums in self.pending[self.settled :]:
            self.tokens += int(sums["tokens"])
            self.documents += int(sums["documents"])
        self.settled = len(self.pending)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Standing":
        return cls(**{**value, "position": Position.from_json(value["position"])})


def train(
    recipe: Recipe,
    directory: Path,
    *,
    resume: bool = False,
    mesh: Mesh | None = None,
    until: float | None = None,
    from_chain: Path | None = None,
    to_chain: Path | None = None,
    begun: float | None = None,
    guards: Sequence[Guard] = (),
    told: Callable[[Line], None] = lambda line: None,
) -> Bundle:
    """The trained model, which is in `directory`/model too. `told` is called with every new line of the log.

    With a `mesh`, its devices share the work (`tejat.train.mesh`); another one may take over when a run goes on.
    `until`, a time of `time.monotonic`, ends it as Ctrl-C does. `from_chain`: a new directory's run goes on where the
    chain there ends (`tejat.train.chain`), nearly to the same weights; `to_chain`: its end is written there.
    `begun`, a time of `time.time`: when this process began, for the ledger of its time. `guards` watch over it.

    Raises:
      BadInput: for a directory that holds a run where `resume` is False, or none where it is True; for another recipe
        than the run was begun with; for a checkpoint or a chain that cannot be used; for a mesh that does not divide
        the model, and a state that its devices cannot hold.
      Diverged: where the loss is not a number.
      Stopped: on Ctrl-C, or where the time is over.
    """
    past = [(time.time(), Kind.PREPARATION)]
    if begun is not None:
        past.insert(0, (begun, Kind.INITIALISATION))
    guards = (*auditor.guards(recipe, mesh, directory), *guards)
    with ctrl_c() as interrupted, closing(Guards(guards)) as guard:
        # ---- What the run is made of --------------------------------------------------------------------------------
        if recipe.accumulate < 1 or recipe.room.rows % recipe.accumulate:
            told = f"a batch of {recipe.room.rows} rows has no {recipe.accumulate} parts of like size"
            raise BadInput(f"{told}; choose an `accumulate` that divides room.rows")
        _check_shards(recipe, mesh)
        if mesh is not None:
            rows = recipe.room.rows // recipe.accumulate
            meshes.check(mesh, multimodal.params(recipe.config), rows, recipe.shards)
        if (from_chain or to_chain) and (mesh is not None or jax.process_count() > 1):
            raise BadInput("a chain is of one device; leave --from-chain and --export-chain out, or --mesh")
        abstract, shardings = step.abstract_state(recipe.config, recipe.schedule), None
        part, alone = (0, 1), jax.process_count() == 1
        if mesh is not None:
            shardings = meshes.state(mesh, multimodal.params(recipe.config), abstract), meshes.rows(mesh)
            part = hosts.share(shardings[1], recipe.room.rows)
        lying = meshes.laid(abstract, None if shardings is None else shardings[0])
        wrong, link = None, None
        try:
            device_memory.check(lying)
            if to_chain and any(to_chain.glob("piece-*")):
                raise BadInput(f"{to_chain} holds pieces of a chain; give an empty directory")
            link = chain.read(from_chain) if from_chain else None
            if hosts.is_first():
                _begin(recipe, directory, resume)
        except BadInput as error:
            wrong = str(error)
        if wrong := next(filter(None, hosts.gather(wrong)), None):  # what stops one stops all
            raise BadInput(wrong)
        codes = recipe.config.picture.codes if recipe.config.picture else 0
        vocabulary = Vocabulary.load(directory / "tokenizer.model", codes)
        codec, later = _codec(recipe), recipe.room.codes > 0
        source = recipe.documents(_framing(recipe, vocabulary, codec), recipe)
        if not (resume and guard.known):
            found = identity.identity(recipe, source, vocabulary)
            if resume:
                identity.check(directory, found)
            elif link is not None:
                identity.compare(from_chain, link[1]["identity"], found)
            if not resume and hosts.is_first():
                identity.begin(directory, found)
        log, steps, now = directory / "log.jsonl", recipe.schedule.steps, Standing()

        # ---- What is compiled ---------------------------------------------------------------------------------------
        past.append((time.time(), Kind.COMPILATION))
        guard.enter(Phase.COMPILING)
        if codec is not None and not later:
            codec.compile(guard.compiled)
        ready = None
        if guard.waits:  # the step is compiled while others still train
            ready = guard.compiled(lambda: _compiled(recipe, lying, shardings, guard.spoil))
            guard.enter(Phase.WAITING)
            guard.wait()
            past = [(time.time(), Kind.PREPARATION)]
        heed(interrupted)

        with (
            closing(Ledger(directory, jax.process_index(), past)) as ledger,
            _checkpoints(recipe, directory) as checkpoints,
        ):
            # ---- Where it stood -------------------------------------------------------------------------------------
            ledger.enter(Kind.RESTORE)
            guard.enter(Phase.RESTORING)
            if (remembered := guard.restored(lying)) or checkpoints.latest is not None:
                state, facts = remembered or checkpoints.restore(lying)
                now = Standing.from_json(facts)
                if now.step >= steps:  # a kill may have cut the last checkpoint short
                    checkpoints.save(state, facts)
            elif link is not None:
                state, now = jax.device_put(chain.unpack(link[0], lying)), Standing.from_json(link[1]["standing"])
                write_whole(log, link[1]["log"].encode())
            else:
                state = _first_state(recipe, shardings)
            if hosts.is_first():
                cut(log, now.step)
            ledger.stands(now.step)

            # ---- Steps ----------------------------------------------------------------------------------------------
            loader = Loader(
                source,
                recipe.config,
                recipe.room,
                now.position,
                workers=recipe.workers,
                kept=recipe.kept,
                process=part[0],
                processes=part[1],
            )
            with closing(loader) as batches:
                started = time.perf_counter() - now.seconds
                ledger.enter(Kind.COMPILATION)
                guard.enter(Phase.COMPILING)
                compiled = ready or guard.compiled(lambda: _compiled(recipe, lying, shardings, guard.spoil))
                # Who has compiled waits here for the others: in its first exchange gloo would for 30 s only.
                hosts.gather(None)
                ledger.enter(Kind.OTHER)
                heed(interrupted)
                guard.enter(Phase.STEPPING)

                def make(state, batch, turn=0, *spoilt):
                    batch = batch if shardings is None else meshes.spread(mesh, batch)
                    batch = drawing.with_codes(codec.params, recipe.config, batch) if later else batch
                    if not recipe.shards:
                        return compiled(state, batch)
                    return compiled(state, turned(batch, recipe.shards, turn), np.int32(turn), *spoilt)

                make = guard.making(make, ledger.spent, guard.compiled)

                def advance(state, batch):
                    state, sums = make(state, batch)
                    sums.pop("local", None)  # digests, for guards
                    return state, sums

                line_at, line_tokens = time.perf_counter(), now.tokens
                stop, due, whole = False, False, now.position
                while now.step < steps and not stop:
                    with ledger.spent(Kind.DATA_WAIT):
                        batch, now.position = next(batches)
                    checkpoints.check()
                    state = guard.before(now.step + 1, state, batch)
                    given = ledger.now()
                    state, sums = advance(state, batch)
                    now.step += 1
                    ledger.stepped(now.step, given, sums["tokens"])
                    now.pending.append(sums)
                    logs, saves = (
                        now.step % n == 0 or now.step == steps for n in (recipe.log_every, recipe.save_every)
                    )
                    # Of several hosts, each may be told to stop; all must agree when.
                    if alone or logs or saves:
                        due = due or (until is not None and time.monotonic() >= until)
                        stop = any(hosts.gather(due or interrupted.is_set()))
                    stop = hosts.told_to_stop(now.step) or stop
                    settles, keeps = logs or saves or stop, saves or stop
                    kept = keeps or guard.keeps(now.step)
                    state, now.pending = guard.checked(now.step, state, now.pending, settles, kept)
                    sums = now.pending[-1]
                    if settles:
                        # Only here does the loop wait for the device.
                        now.settle()
                        now.seconds = time.perf_counter() - started
                    if logs:
                        rate = (now.tokens - line_tokens) / (time.perf_counter() - line_at)
                        line_at, line_tokens = time.perf_counter(), now.tokens
                        line = _line(now, rate)
                        now.pending, now.settled = [], 0
                        if hosts.is_first():
                            with log.open("a") as file:
                                file.write(json.dumps(line) + "\n")
                        told(line)
                    if keeps:
                        everywhere = map(Position.from_json, hosts.gather(now.position.to_json()))
                        whole = Position.merged(everywhere)
                        guard.enter(Phase.SAVING)
                        with ledger.spent(Kind.SAVE):
                            checkpoints.save(state, asdict(replace(now, position=whole)))
                        guard.enter(Phase.STEPPING)
                    with ledger.spent(Kind.SAVE):
                        guard.after(now.step, state, sums, now)
                ledger.enter(Kind.SAVE)
                guard.enter(Phase.ENDING)

                # ---- The model, or the model so far, and what others need to go on ----------------------------------
                params = state.params if mesh is None else jax.tree.map(jnp.asarray, hosts.whole(state.params))
                trained = Bundle(recipe.config, vocabulary, params, codec)
                if hosts.is_first():
                    bundle.save(directory / "model", trained)
                    if hasattr(source, "seen"):
                        _write_json(directory / "seen.json", source.seen(whole.rows))
                if to_chain is not None:
                    trained = Bundle(recipe.config, vocabulary, jax.device_get(params), codec)
                    packed = chain.pack(state)
                    joint = _joint(advance, state, packed, [next(batches)[0] for _ in range(JOINT)])
                    facts = {"identity": found, "standing": asdict(now), "log": log.read_text(), "joint": joint}
                    joint |= {"pieces": chain.write(to_chain, packed, facts)}
                    _write_json(directory / "joint.json", joint)
        if now.step < steps:
            raise Stopped(now.step, due)
        if hosts.is_first():
            loss_plot(log, directory / "loss.png")
        hosts.meet("the model is written")
        return trained


def _framing(recipe: Recipe, vocabulary: Vocabulary, codec: PictureCodec | None) -> Framing:
    """Where the step makes the codes of pictures, framing asks for no image tokenizer."""
    if not recipe.room.codes:
        return Framing(recipe.config, vocabulary, codec)
    if recipe.config.picture is None:
        raise BadInput(f"the model of the recipe {recipe.name} draws nothing; set room.codes=0")
    if vocabulary.text_size != recipe.config.text_vocabulary:
        told = f"the tokenizer of the recipe {recipe.name} has {vocabulary.text_size:,} pieces"
        raise BadInput(f"{told} where its model has {recipe.config.text_vocabulary:,}; give them the same number")
    return Framing(recipe.config, vocabulary, None, later=True)


def _joint(advance: Callable, state: step.TrainState, packed: chain.Packed, batches: list[packing.Batch]) -> Line:
    """What a joint costs: losses on the next batches, as the run would go on here, and as it goes on from the chain.

    The first are of the weights alone, the last of weights and moments after a few steps. Uses the state up.
    """
    coded = jax.device_put(chain.unpack(packed, state))
    found: Line = {}
    for name, one in (("exact", state), ("coded", coded)):
        sums = []
        for batch in batches:
            one, each = advance(one, batch)
            sums.append(each)
        for when, each in (("first", sums[0]), ("last", sums[-1])):
            for kind in (modality.name.lower() for modality in PREDICTED):
                count = float(each[f"{kind}_count"])
                found[f"{kind}_{when}_{name}"] = float(each[f"{kind}_loss"]) / count if count else None
    return found


def _write_json(path: Path, value: Any) -> None:
    write_whole(path, (json.dumps(value, indent=1) + "\n").encode())


def _checkpoints(recipe: Recipe, directory: Path) -> Checkpoints:
    return Checkpoints(directory / "checkpoints", recipe.keep, recipe.keep_steps, recipe.keep_hours)


def _begin(recipe: Recipe, directory: Path, resume: bool) -> None:
    """Makes the directory of a new run, its tokenizer in it; of one that goes on, sees that it is there."""
    held = (directory / identity.NAME).is_file()
    if resume:
        if not held:
            raise BadInput(f"{directory} holds no run to resume; leave --resume out to begin one")
        return
    if held:
        with closing(_checkpoints(recipe, directory)) as checkpoints:
            reached = checkpoints.latest or 0
        told = f"{directory} holds a run that reached step {reached}"
        raise BadInput(f"{told}; go on with --resume, or choose another directory with --out")
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / "tokenizer.model", recipe.tokenizer())


def _codec(recipe: Recipe) -> PictureCodec | None:
    config = recipe.config.picture
    if config is None:
        return None
    if recipe.pictures is None:
        raise BadInput(f"the model of the recipe {recipe.name} draws; give `pictures`, weights of an image tokenizer")
    return PictureCodec(weights.read(recipe.pictures, picture.params(config)), config)


def _first_state(recipe: Recipe, shardings: Any) -> step.TrainState:
    """The state before the first step."""
    state = step.initial_state(recipe.config, recipe.schedule, recipe.seed)
    if recipe.weights is not None:
        begin = weights.read(recipe.weights / "model.safetensors", multimodal.params(recipe.config))
        state = state._replace(params=jax.tree.map(jnp.asarray, begin))
    return state if shardings is None else meshes.placed(state, shardings[0])


def _check_shards(recipe: Recipe, mesh: Mesh | None) -> None:
    """Raises BadInput where shards are none, or of unlike size."""
    if recipe.shards == 0:
        return
    groups = 1 if mesh is None else math.prod(mesh.shape[axis] for axis in meshes.ROWS)
    rows = recipe.room.rows
    if recipe.shards < 0 or recipe.shards % groups or rows % (recipe.shards * recipe.accumulate):
        told = f"a batch of {rows} rows has no {recipe.shards} shards in {recipe.accumulate} parts on {groups} devices"
        raise BadInput(f"{told}; try shards={groups}, and room.rows={groups * recipe.accumulate} or a multiple")


def _compiled(recipe: Recipe, state: step.TrainState, shardings: Any, spoil: Callable | None) -> Callable:
    """The step, compiled before the first batch is there."""
    build = step.build(
        recipe.config,
        recipe.schedule,
        dtype=jnp.bfloat16 if recipe.bfloat16 else jnp.float32,
        picture_weight=recipe.picture_weight,
        how=recipe.how,
        grid=recipe.grid,
        accumulate=recipe.accumulate,
        shardings=shardings,
        shards=recipe.shards,
        spoil=spoil,
    )
    more = [jax.ShapeDtypeStruct((), np.int32)] * bool(recipe.shards)
    more += [jax.ShapeDtypeStruct((5,), np.int32)] * (spoil is not None)
    batch = packing.empty(recipe.config, recipe.room)._replace(pictures=None)
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), batch)
    return build.lower(state, shapes, *more).compile()


def numbers(pending: list[dict[str, Any]], last: int) -> list[dict[str, float]]:
    """The sums of the steps up to `last`, on the host. Raises Diverged, naming the step, where one is not a number."""
    found = [{name: float(value) for name, value in sums.items()} for sums in jax.device_get(pending)]
    for at, sums in enumerate(found, last - len(found) + 1):
        wrong = [name for name, value in sums.items() if not math.isfinite(value)]
        if wrong:
            told = f"the {wrong[0].replace('_', ' ')} of step {at} is {sums[wrong[0]]}"
            raise Diverged(f"{told}; go on from the last checkpoint with a lower schedule.peak, or mend the data there")
    return found


def _line(now: Standing, rate: float) -> Line:
    """Means over the tokens of all steps since the last line; null for a modality that had none."""
    line: Line = {"step": now.step, "tokens": now.tokens}
    for kind in (kind for kind in LOSSES if f"{kind}_loss" in now.pending[0]):
        total, count = (sum(sums[f"{kind}_{what}"] for sums in now.pending) for what in ("loss", "count"))
        line[f"{kind}_loss"] = total / count if count else None
        line[f"{kind}_count"] = int(count)
    return line | {
        "gradient_norm": now.pending[-1]["gradient_norm"],
        "rate": now.pending[-1]["rate"],
        "seconds": now.seconds,
        "tokens_per_s": rate,
        "documents": now.documents,
    }


def cut(log: Path, step: int) -> None:
    """Leaves the lines up to `step`: those after it will be made again."""
    lines = log.read_text().splitlines(keepends=True) if log.is_file() else []
    # A kill can cut the last line anywhere; one without its end is later than any checkpoint.
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    write_whole(log, "".join(kept).encode())


def heed(interrupted: threading.Event) -> None:
    """Ends what has not begun its steps. JAX compiles in a thread of its own, and a process that ends meanwhile
    crashes: Ctrl-C waits until it is done."""
    if interrupted.is_set():
        raise KeyboardInterrupt


@contextlib.contextmanager
def ctrl_c() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, and the notice that the machine will be taken away (SIGTERM); the second
    one ends the process as ever. Outside the main thread, never set.

    Of several processes, JAX itself takes the notice, and they agree on a step (`hosts.told_to_stop`).
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number, frame):
        event.set()
        restore()

    for number in (signal.SIGINT,) if hosts.connected() else (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield event
    finally:
        restore()
