"""Watches over a run's numbers: finds what a device got wrong, makes it again elsewhere, and says whose fault it was.

From one clean point to the next, `audit_every` steps later, the auditor keeps the batches, and in the hosts' memory the
state as it was. Then:

    copies    of the state must be equal on all devices that hold one;
    rest      what no other device holds must be, when a step begins, what the step before left there;
    an audit  makes the first step since the clean point again, its shards turned over the devices: the gradient that
              each shard has on another device, and the state after the step, must be equal to the bit;
    spikes    and values that are no numbers in the sums of a step raise a doubt at once, where the loop waits for them.

What differs, or is doubted, is made again from the clean point, step by step, each on two placements that must agree; a
third decides where they do not. What then turns out:

    transient    one device erred once, or the state changed at rest: the run goes on from the state made again;
    persistent   one device erred again, on other shards: it is put on the list, and `Corrupted` ends the process;
    bug_or_data  all devices agree on what was doubted: it is the program's doing, or the data's.

Every step must be a function of its batch and state to the bit: `shards` of the recipe sees to sums over devices, XLA
to the rest on CPUs and TPUs (on GPUs with --xla_gpu_deterministic_ops=true). Hosts never disagree: what they decide on
is the same on all of them.
"""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from tejat.data.packing import Batch
from tejat.errors import BadInput
from tejat.model.params import Tree
from tejat.train import hosts
from tejat.train import mesh as meshes
from tejat.train.auditing import flips
from tejat.train.auditing.digests import Held
from tejat.train.auditing.spikes import Spikes, seen
from tejat.train.checkpoint import flat
from tejat.train.goodput import Kind
from tejat.train.guards import Guard
from tejat.train.recipe import Recipe
from tejat.train.step import TrainState

VERDICTS = Path("surviving", "verdicts.jsonl")
"""In a run's directory: a line for each verdict."""

PLACEMENTS = 5
"""On which a step is made, at most, until it is certain."""


@dataclass(frozen=True)
class Verdict:
    """What was found. `device` is one of the mesh's, by its place; a group of them where each makes part of a shard."""

    step: int  # after which it was found
    verdict: Literal["transient", "persistent", "bug_or_data"]
    why: str
    at: int | None = None  # the step that went wrong
    device: int | None = None
    name: str | None = None  # the device's
    process: int | None = None  # whose it is


class Corrupted(RuntimeError):
    """A device computes wrongly, again and again, or the clean state itself was lost."""

    def __init__(self, verdict: Verdict):
        told = f"step {verdict.at or verdict.step} cannot be made: {verdict.why}; try `tejat doctor --scan`"
        if verdict.name:
            whose = f"device {verdict.device} ({verdict.name}, process {verdict.process})"
            told = f"{whose} computes wrongly, first at step {verdict.at or verdict.step}: {verdict.why}; take it out"
        super().__init__(f"{told}, and go on with --resume")
        self.verdict = verdict


class _Run(NamedTuple):
    """A step as it was made on one placement."""

    turn: int
    state: TrainState | None
    local: np.ndarray  # what `digests.of_shards` tells, in the shards' order
    held: np.ndarray
    sums: dict[str, Any]


class Auditor(Guard):
    """See above."""

    def __init__(self, every: int, shards: int, mesh: Mesh, directory: Path, held: Held | None = None):
        """`held`, where it is compiled already. Raises BadInput where no other device could make a shard again."""
        self._groups = math.prod(mesh.shape[axis] for axis in meshes.ROWS)
        if self._groups < 2:
            raise BadInput("audit_every needs devices that share the rows of a batch; give --mesh fsdp=2 or more")
        if shards % self._groups:
            near = self._groups * max(1, round(shards / self._groups))
            raise BadInput(f"audit_every needs shards that {self._groups} devices divide; try --set shards={near}")
        self._every, self._shards, self._mesh, self._path = every, shards, mesh, directory / VERDICTS
        # Of several programs, the devices that a CPU pretends to have may each begin another, and wait for ever.
        self._pretended = mesh.devices.flat[0].platform == "cpu" and len(mesh.local_devices) > 1
        self._held, self._spikes, self._erred = held, Spikes(), Counter()
        self._clean: list[dict[str, np.ndarray]] | None = None
        self._window: list[tuple[Batch, Any, dict[str, Any]]] = []  # (batch, what was told of shards, sums) since then
        self._rests: list[tuple[Any, Any]] = []  # digests of the state as a step left it, and as the next one found it

    # ---- What the loop tells ----------------------------------------------------------------------------------------

    def making(self, make: Callable, spent: Callable, compiled: Callable) -> Callable:
        self._make, self._spent, self._compiled = make, spent, compiled

        def watched(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, Any]]:
            if self._lonely:
                self._rests.append((self._left, self._digest(state)))
            state, sums = make(state, batch)
            if self._pretended:
                jax.block_until_ready(state)
            self._window.append((batch, sums["local"], {k: v for k, v in sums.items() if k != "local"}))
            if self._lonely or len(self._window) == 1:
                self._left = self._digest(state)
            if len(self._window) == 1:
                self._first = self._left
            return state, sums

        return watched

    def before(self, step: int, state: TrainState, batch: Batch) -> TrainState:
        if self._clean is None:
            self._names = [*flat(state.params)]
            if self._held is None:
                self._held = Held(self._mesh, jax.tree.map(lambda leaf: leaf.sharding, state))
                self._held.compile(state, self._compiled)
            self._lonely = self._held.lonely(state)
            self._certify(step - 1, state, [])
            if strays := self._held.strays(self._sum, state):
                why = f"devices {strays} hold other copies of the state that the run goes on from than the others"
                raise self._end(Verdict(step - 1, "persistent", why))
        return state

    def checked(
        self, step: int, state: TrainState, pending: list[dict[str, Any]], settles: bool, keeps: bool
    ) -> tuple[TrainState, list[dict[str, Any]]]:
        whole = keeps or step % self._every == 0
        if not (whole or settles):
            return state, pending
        self._suspects, self._restless = [], []
        with self._spent(Kind.AUDIT):
            doubt = self._spikes.doubt([seen(sums, local, self._names) for _, local, sums in self._window])
            doubt = self._rested(state) or doubt
            if whole:
                found = np.asarray(self._held(state))
                if strays := self._held.strays(found, state):
                    doubt = f"devices {strays} hold other copies of the state than the others"
                doubt = doubt or self._audit()
            if any(hosts.gather(doubt is not None)):
                with self._spent(Kind.REPLAY):
                    doubt = doubt or "another process found it"
                    state, made = self._examine(step, doubt, np.asarray(self._held(state)))
                taken = min(len(pending), len(made))
                pending = pending[: len(pending) - taken] + [run.sums for run in made[len(made) - taken :]]
                self._certify(step, state, [seen(run.sums, run.local, self._names) for run in made])
            elif whole:
                self._certify(step, state, [seen(sums, local, self._names) for _, local, sums in self._window])
        return state, pending

    # ---- Clean points -----------------------------------------------------------------------------------------------

    def _certify(self, step: int, state: TrainState, sums: list[dict[str, Any]]) -> None:
        """This state, and the steps that led to it from the last clean one, are clean."""
        self._spikes.learn(sums)
        self._clean, self._at, self._window, self._rests = _to_host(state), step, [], []
        self._sum = self._left = np.asarray(self._held(state))
        self._shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding), state)

    def _again(self, clean: list[dict[str, np.ndarray]], batch: Batch, turn: int) -> _Run:
        """One step from a state in the hosts' memory."""
        state, sums = self._make(_to_devices(clean, self._shapes), batch, turn)
        local = np.roll(np.asarray(sums.pop("local")), -turn, axis=0)
        return _Run(turn, state, local, np.asarray(self._held(state)), sums)

    def _turn(self, number: int) -> int:
        """So many shards that each lies on another device than by any lower number, as long as there are others."""
        return number % self._groups * (self._shards // self._groups)

    def _digest(self, state: TrainState) -> Any:
        found = self._held(state)
        return jax.block_until_ready(found) if self._pretended else found

    def _rested(self, state: TrainState) -> str | None:
        """A doubt, if the state changed between two steps, or after the last, where no device holds another copy."""
        if not self._lonely:
            return None
        found, self._rests = [*self._rests, (self._left, self._digest(state))], []
        self._left = found[-1][1]
        for number, (left, then) in enumerate(found):
            changed = (np.asarray(left) != np.asarray(then)).reshape(self._mesh.size, -1).any(axis=1)
            if changed.any():
                self._restless = np.flatnonzero(changed).tolist()
                at = self._at + len(self._window) + 1 - len(found) + number
                return f"the state that devices {self._restless} hold changed at rest, after step {at}"
        return None

    def _audit(self) -> str | None:
        """A doubt, if the first step since the clean point comes out otherwise on other devices."""
        if not self._window:
            return None
        batch, local, _ = self._window[0]
        # Another placement each time, so that every pair of devices meets.
        run = self._again(self._clean, batch, self._turn(1 + self._at // self._every % (self._groups - 1)))
        if not np.array_equal(run.local, np.asarray(local)):
            wrong = np.flatnonzero((run.local != np.asarray(local)).any(axis=1)).tolist()
            self._suspects = self._who(run, np.asarray(local))  # if it was the audit that erred
            return f"shards {wrong} of step {self._at + 1} have other gradients on other devices"
        if not np.array_equal(run.held, np.asarray(self._first)):
            return f"step {self._at + 1}, made again, gives another state"
        return None

    # ---- When there is a doubt --------------------------------------------------------------------------------------

    def _examine(self, step: int, doubt: str, held: np.ndarray) -> tuple[TrainState, list[_Run]]:
        """(the state made again, its steps, without their states). Raises Corrupted for a bad device."""
        clean, made, errors = self._clean, [], Counter()
        if not np.array_equal(np.asarray(self._held(_to_devices(clean, self._shapes))), self._sum):
            raise self._end(Verdict(step, "persistent", "the clean state in the hosts' memory has changed", self._at))
        first_wrong = None
        for number, (batch, local, _) in enumerate(self._window):
            runs: list[_Run] = []
            right = None
            while right is None and len(runs) < PLACEMENTS:
                run = self._again(clean, batch, self._turn(len(runs) + 1))
                right = run if any(_agree(run, other) for other in runs) else None
                runs.append(run._replace(state=None))  # of several, only one is in memory at a time
            truth = _majority([np.asarray(local)] * (first_wrong is None) + [run.local for run in runs])
            for run in runs:
                errors.update(self._who(run, truth))
            if first_wrong is None and not np.array_equal(np.asarray(local), truth):
                first_wrong = self._at + number + 1
                if not self._restless:  # else all made their gradients from a wrong state
                    errors.update(self._who(_Run(0, None, np.asarray(local), held, {}), truth))
            if right is None:
                self._blame(step, first_wrong or self._at + number + 1, doubt, errors, certain=False)
            made.append(right._replace(state=None))
            clean = _to_host(right.state)
        if first_wrong is None and not np.array_equal(right.held, held):
            wrong = np.flatnonzero((right.held != held).reshape(self._mesh.size, -1).any(axis=1))
            first_wrong = step
            if len(wrong) <= self._mesh.size // 2 and not self._restless:
                errors.update(wrong.tolist())
        errors.update(self._restless)
        if first_wrong is None and not errors:
            errors.update(self._suspects)
        if first_wrong is None and not errors:
            self._write(Verdict(step, "bug_or_data", f"{doubt}; all devices agree on it", step))
        else:
            self._blame(step, first_wrong or step, doubt, errors, certain=True)
        return _to_devices(clean, self._shapes), made

    def _who(self, run: _Run, truth: np.ndarray) -> list[int]:
        """Devices, by the places of the first of each group in the mesh, that made a shard wrongly.

        Where half of the shards are wrong, what devices began with was, and none of them is named.
        """
        wrong = np.flatnonzero((run.local != truth).any(axis=1))
        if len(wrong) > 1 and 2 * len(wrong) >= self._shards:
            return []
        each, size = self._shards // self._groups, self._mesh.size // self._groups
        return sorted({int((shard + run.turn) % self._shards // each * size) for shard in wrong})

    def _blame(self, step: int, at: int, doubt: str, errors: Counter, certain: bool) -> None:
        """Writes the verdict. Raises Corrupted for a device that erred again, or where no two placements agree."""
        self._erred.update(errors)
        device, times = max(self._erred.items(), key=lambda each: each[1], default=(None, 0))
        again = times > 1 and device in errors and (certain or self._groups > 2)  # of two, either may be the one
        name = process = None
        if device in errors and (certain or again):
            found = self._mesh.devices.flat[device]
            name, process = str(found), found.process_index
        else:
            device = None
        if again or not certain:
            why = f"{doubt}; it erred {times} times" if again else f"{doubt}; no two placements agree"
            raise self._end(Verdict(step, "persistent", why, at, device, name, process))
        self._write(Verdict(step, "transient", doubt, at, device, name, process))

    def _end(self, verdict: Verdict) -> Corrupted:
        self._write(verdict)
        return Corrupted(verdict)

    def _write(self, verdict: Verdict) -> None:
        if hosts.is_first():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(verdict)) + "\n")


def guards(recipe: Recipe, mesh: Mesh | None, directory: Path) -> list[Guard]:
    """Those that a recipe, or the environment, asks for.

    Raises BadInput for audits without shards, or without a mesh of several devices; for flips that are none.
    """
    found: list[Guard] = []
    if (struck := flips.from_environment()) is not None:
        found.append(flips.Flips(struck))
    if recipe.audit_every:
        if mesh is None:
            raise BadInput("audit_every needs several devices; leave it out, or give more of them")
        if recipe.audit_every < 1:
            raise BadInput(f"audit_every={recipe.audit_every} is no number of steps; give 1 or more, or 0 for none")
        found.append(Auditor(recipe.audit_every, recipe.shards, mesh, directory))
    if found and not recipe.shards:
        near = 1 if mesh is None else math.prod(mesh.shape[axis] for axis in meshes.ROWS)
        raise BadInput(f"audits and flips need gradients of shards; try --set shards={near}")
    return found


def _agree(run: _Run, other: _Run) -> bool:
    """Do two placements come to the same?"""
    same = np.array_equal(run.local, other.local) and np.array_equal(run.held, other.held)
    return same and run.turn != other.turn


def _majority(found: list[np.ndarray]) -> np.ndarray:
    """[shards, leaves] from several: of each shard, the digests that most have."""
    rows = []
    for shard in range(len(found[0])):
        kinds, counts = np.unique(np.stack([one[shard] for one in found]), axis=0, return_counts=True)
        rows.append(kinds[counts.argmax()])
    return np.stack(rows)


def _to_host(state: Tree) -> list[dict[str, np.ndarray]]:
    """Of each leaf, the parts that this process's devices hold, each once."""
    # Copied: on a CPU an array's memory is seen as it is, and the next step takes it.
    return [{str(shard.index): np.array(shard.data) for shard in _each_once(leaf)} for leaf in jax.tree.leaves(state)]


def _each_once(leaf: jax.Array) -> list[Any]:
    return list({str(shard.index): shard for shard in leaf.addressable_shards}.values())


def _to_devices(kept: list[dict[str, np.ndarray]], shapes: Tree) -> Tree:
    leaves, form = jax.tree.flatten(shapes)
    made = []
    for parts, leaf in zip(kept, leaves, strict=True):
        lies = leaf.sharding.addressable_devices_indices_map(leaf.shape)
        arrays = [jax.device_put(parts[str(index)], device) for device, index in lies.items()]
        made.append(jax.make_array_from_single_device_arrays(leaf.shape, leaf.sharding, arrays))
    return jax.tree.unflatten(form, made)
