"""Checkpoints of a run: the state of training as arrays, and all else that a run needs to go on as a little JSON.

Orbax writes them in the background, each into a directory of another name that it renames at the end: what a kill cuts
short never bears the name of a checkpoint.
"""

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tejat.errors import BadInput
from tejat.model.params import Tree
from tejat.train import hosts
from tejat.train.step import TrainState

_ARRAYS, _FACTS, _SUMS = "state", "facts", "sums"
_LOOK = 0.01  # seconds between looks at what is being written


class Damaged(BadInput):
    """A checkpoint is not what was written."""


class Unsaved(RuntimeError):
    """A checkpoint could not be written, as where the disk is full."""


class Checkpoints:
    """The newest `keep` checkpoints of a run, in one directory. Close it: only then is the last one surely written.

    Those of steps that `keep_steps` divides stay beside them, and the first of every `keep_hours`; none where it is 0.

    As a context it is closed at the end, but not where an error ends one process of several: the others may be dead, or
    wait for this one, which must not wait for them.
    """

    def __init__(self, directory: Path, keep: int, keep_steps: int = 0, keep_hours: float = 0.0):
        import orbax.checkpoint as orbax  # a third of a second, which `import tejat.train` need not take

        self.directory, self._orbax = directory.absolute(), orbax
        directory.mkdir(parents=True, exist_ok=True)
        policies = orbax.checkpoint_managers
        kept = [policies.LatestN(n=keep)]
        kept += [policies.EveryNSteps(keep_steps)] if keep_steps else []
        kept += [policies.EveryNSeconds(keep_hours * 3_600)] if keep_hours else []
        options = orbax.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy(kept),
            cleanup_tmp_directories=True,  # what a kill left
        )
        # Named beforehand, since a manager that has saved nothing yet could not tell what a checkpoint holds.
        self._failures: list[tuple[int, Exception]] = []  # told by threads of Orbax
        self._step = 0
        handlers = {_ARRAYS: orbax.StandardCheckpointHandler(), _FACTS: orbax.JsonCheckpointHandler()}
        for handler in handlers.values():
            handler.async_save = self._watched(handler.async_save)
        self._manager = orbax.CheckpointManager(self.directory, options=options, item_handlers=handlers)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is None or jax.process_count() == 1:
            self.close()

    @property
    def latest(self) -> int | None:
        """The step of the newest whole checkpoint."""
        return self._manager.latest_step()

    def save(self, state: TrainState, facts: dict[str, Any]) -> None:
        """Copies the state off the device, then writes it in the background under its step, once.

        An error of the write before, such as a full disk, is raised here or by `close`, and sooner by `check`.
        """
        step = int(state.step)
        if step != self.latest:
            self._step = step
            arrays, args = flat(state), self._orbax.args
            facts = {_FACTS: facts, _SUMS: _sums(arrays)}
            saved = args.Composite(**{_ARRAYS: args.StandardSave(arrays), _FACTS: args.JsonSave(facts)})
            self._written()
            self._manager.save(step, args=saved)

    def restore(self, abstract: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """(state, facts) of the newest checkpoint. `abstract` holds the shapes and types that are expected.

        Raises:
          Damaged: for a checkpoint that is not what was written.
          BadInput: for one of other shapes than these.
        """
        place = self.directory / str(self.latest)
        wanted, args = flat(abstract), self._orbax.args
        try:
            kept = self._manager.item_metadata(self.latest)[_ARRAYS].tree
            _compare(place, wanted, {name: (tuple(a.shape), str(a.dtype)) for name, a in kept.items()})
            found = self._manager.restore(
                self.latest, args=args.Composite(**{_ARRAYS: args.StandardRestore(wanted), _FACTS: args.JsonRestore()})
            )
        except BadInput:
            raise
        except Exception as error:  # Orbax and the libraries under it raise whatever the damage makes them meet
            why = str(error).partition("\n")[0][:200]
            mend = "remove it, and the run goes on from the one before, or from its beginning"
            raise Damaged(f"the checkpoint {place} is damaged ({type(error).__name__}: {why}); {mend}") from error
        arrays, facts = {name: found[_ARRAYS][name] for name in wanted}, found[_FACTS]
        if changed := [name for name, sum in _sums(arrays).items() if sum != facts[_SUMS][name]]:
            told = f"the checkpoint {place} is damaged: {changed[0]} is not what was written"
            raise Damaged(f"{told}; remove it, and the run goes on from the one before, or from its beginning")
        return jax.tree.unflatten(jax.tree.structure(abstract), arrays.values()), facts[_FACTS]

    def check(self) -> None:
        """Raises Unsaved where this process could not write its part of a checkpoint. It waits for nothing.

        The others of several processes wait for that part, and this one in vain for them: it should end.
        """
        if self._failures:
            step, error = self._failures[0]
            why = str(error).strip().partition("\n")[0][:200]
            raise Unsaved(f"the checkpoint of step {step} could not be written ({type(error).__name__}: {why})")

    def _watched(self, save: Callable) -> Callable:
        """An `async_save` of a handler whose failures are noted: Orbax tells of them after it has met the others."""

        async def watched(*args: Any, **more: Any) -> list[Any]:
            futures = await save(*args, **more)
            return [_Watched(future, self._step, self._failures) for future in futures or ()]

        return watched

    def close(self) -> None:
        """Waits for what is being written. Raises Unsaved as `check` does, and what Orbax raises of another's part."""
        self._written()
        self._manager.close()

    def _written(self) -> None:
        """Waits for what is being written, but not where this process failed to write its part: Orbax then waits for
        the others, who wait for that part."""
        raised: list[Exception] = []

        def wait() -> None:
            try:
                self._manager.wait_until_finished()
            except Exception as error:
                raised.append(error)

        waiting = threading.Thread(target=wait, name="tejat-checkpoint", daemon=True)
        waiting.start()
        while waiting.is_alive():
            self.check()
            waiting.join(_LOOK)
        self.check()
        if raised:
            raise raised[0]


class _Watched:
    """A future of Orbax whose failure is noted."""

    def __init__(self, future: Any, step: int, failures: list[tuple[int, Exception]]):
        self._future, self._step, self._failures = future, step, failures

    def result(self, timeout: float | None = None) -> Any:
        try:
            return self._future.result(timeout)
        except Exception as error:
            self._failures.append((self._step, error))
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._future, name)


def flat(state: TrainState | Tree) -> dict[str, Any]:
    """Leaves by the path that leads to them, as in "params.decoder.embedding"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _sums(arrays: dict[str, Any]) -> dict[str, int]:
    """A checksum of every array: Orbax notices a torn file, but not every changed bit.

    It is the sum of all its words, each times an odd number of its place, modulo 2^32: the same however the array is
    spread over devices, and never that of one with a single word changed.
    """
    if jax.process_count() == 1:
        return {name: _sum(_copied(array)) for name, array in arrays.items()}
    if jax.default_backend() == "cpu":  # the arrays are at hand, and a program would have to be compiled
        parts = hosts.gather([_part_of_sum(array) for array in arrays.values()])
        return {name: sum(part[at] for part in parts) % (1 << 32) for at, name in enumerate(arrays)}
    return {name: int(value) for name, value in jax.device_get(_spread_sums(arrays)).items()}


def _copied(array: jax.Array | np.ndarray) -> np.ndarray:
    """In the host's memory, for as long as the caller wants it: what `np.asarray` copies off a device JAX keeps."""
    one = isinstance(array, jax.Array) and array.is_fully_replicated
    return np.asarray(array.addressable_data(0) if one else array)


def _sum(array: np.ndarray, places: np.ndarray | None = None) -> int:
    """`places`: those of the words, if not from 0 on."""
    words = np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}").astype(np.uint32)
    places = np.arange(len(words), dtype=np.uint32) if places is None else places.reshape(-1)
    return int((words * (places * np.uint32(2) + np.uint32(1))).sum(dtype=np.uint32))


def _part_of_sum(array: jax.Array) -> int:
    """What this process adds to a spread array's sum: each box of it is counted by one process alone."""
    total = 0
    for shard in array.addressable_shards:
        if shard.replica_id == 0:
            places = np.zeros(shard.data.shape, np.uint32)
            for axis, (index, size) in enumerate(zip(shard.index, array.shape, strict=True)):
                stride = math.prod(array.shape[axis + 1 :])
                along = np.arange(*index.indices(size), dtype=np.uint64) * np.uint64(stride)
                places += along.astype(np.uint32).reshape(-1, *(1,) * (array.ndim - axis - 1))
            total += _sum(np.asarray(shard.data), places)
    return total


@jax.jit
def _spread_sums(arrays: dict[str, Any]) -> dict[str, Any]:
    def total(array):
        words = jax.lax.bitcast_convert_type(array, f"uint{8 * array.dtype.itemsize}").astype(jnp.uint32)
        place = sum(
            jax.lax.broadcasted_iota(jnp.uint32, array.shape, axis) * math.prod(array.shape[axis + 1 :])
            for axis in range(array.ndim)
        )
        return (words * (jnp.uint32(2) * place + jnp.uint32(1))).sum(dtype=jnp.uint32)

    return {name: total(array) for name, array in arrays.items()}


def _compare(place: Path, wanted: dict[str, Any], kept: dict[str, tuple[tuple[int, ...], str]]) -> None:
    expected = {name: (tuple(leaf.shape), str(leaf.dtype)) for name, leaf in wanted.items()}
    for name in sorted(expected.keys() | kept.keys()):
        here, there = expected.get(name), kept.get(name)
        if here != there:
            told = f"{_said(there)} {name} where the recipe has {_said(here)}"
            raise BadInput(f"the checkpoint {place} has {told}; give the recipe that it was made with")


def _said(array: tuple[tuple[int, ...], str] | None) -> str:
    return "no" if array is None else f"{array[1]}{list(array[0])}"
