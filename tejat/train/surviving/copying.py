"""The guard that keeps copies of the state in memory, and brings it back from them."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from tejat.data.loading import Position
from tejat.train.checkpoint import flat
from tejat.train.guards import Guard
from tejat.train.step import TrainState
from tejat.train.surviving import copies
from tejat.train.surviving.afar import Abroad, Sender
from tejat.train.surviving.copies import Assembly, Slots

if TYPE_CHECKING:
    from tejat.train.loop import Standing


@dataclass
class Cost:
    """What copying took: copies, bytes of one, seconds for which the loop waited, and seconds of work behind it."""

    copies: int = 0
    bytes: int = 0
    waited: float = 0.0
    behind: float = 0.0


class Copies(Guard):
    """Copies this process's share every so many steps, into its own domain and into that of a peer.

    The loop waits only while the share leaves the device. A thread lays it into both domains, with its checksums, and
    has until the next step that is copied: so whoever has finished that step knows that all have a whole copy of the
    one before. The host holds the share once more for that long.

    Args:
      place: where the domains are.
      domains: the domain of every process; the peer of one is the next process of another domain.
      rank: which process this is.
      every: steps between copies; none: it only restores.
      shares: copies to go on from, of all processes that there were; without, the newest checkpoint is taken.
      abroad: who takes copies for domains of other hosts; the others' are in `place`.
    """

    def __init__(
        self,
        place: Path,
        domains: Sequence[int],
        rank: int,
        every: int,
        shares: Sequence[Path | Abroad] = (),
        abroad: Mapping[int, Sender] | None = None,
    ):
        self._place, self._rank, self._every, self._abroad = place, rank, every, abroad or {}
        self.aim(domains, shares)
        self._slots: list[Slots] | None = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self.cost = Cost()

    def aim(self, domains: Sequence[int], shares: Sequence[Path | Abroad]) -> None:
        """Before the run is restored: where copies go, and which are gone on from."""
        self._shares, self._of = shares, len(domains)
        # The same one twice, of a lonely process.
        self._domains = dict.fromkeys((domains[self._rank], peer(domains, self._rank)))

    def restored(self, abstract: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        if not self._shares:
            return None
        assembly = Assembly(self._shares)

        def made(name: str, leaf: jax.ShapeDtypeStruct) -> jax.Array:
            def box(index: tuple[slice, ...]) -> np.ndarray:
                return assembly.box(name, leaf.shape, leaf.dtype, index)

            return jax.make_array_from_callback(leaf.shape, leaf.sharding, box)

        leaves = [made(name, leaf) for name, leaf in flat(abstract).items()]
        everywhere = Position.merged(Position.from_json(facts["position"]) for facts in assembly.facts)
        facts = assembly.facts[0] | {"position": everywhere.to_json()}
        return jax.tree.unflatten(jax.tree.structure(abstract), leaves), facts

    def keeps(self, step: int) -> bool:
        return bool(self._every) and step % self._every == 0

    def before(self, step: int, state: TrainState, batch: Any) -> TrainState:
        if self._every:
            if self._slots is None:
                self._slots = self._opened(state, step - 1)
            if self.keeps(step):
                begun = time.perf_counter()
                self._finish()
                self.cost.waited += time.perf_counter() - begun
        return state

    def after(self, step: int, state: TrainState, sums: dict[str, Any], now: "Standing") -> None:
        if not self.keeps(step):
            return
        assert self._slots is not None
        now.settle()
        begun = time.perf_counter()
        mine = [shard.data for shard in _mine(state, self._rank)]
        # Into pages that stay where they are, a GPU writes by itself; into others, the processor does, by pieces.
        mine = jax.device_put(mine, [array.sharding.with_memory_kind("pinned_host") for array in mine])
        jax.block_until_ready(mine)
        self.cost.waited += time.perf_counter() - begun
        self.cost.copies += 1
        self.cost.bytes = sum(array.nbytes for array in mine)
        self._thread = threading.Thread(target=self._settle, args=(step, asdict(now), mine), name="copies")
        self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _finish(self) -> None:
        """Waits for the copy before."""
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _settle(self, step: int, facts: dict[str, Any], mine: list[jax.Array]) -> None:
        try:
            assert self._slots is not None
            begun = time.perf_counter()
            first = self._slots[0].begin()
            for room, array in zip(first, mine, strict=True):
                np.copyto(room, np.asarray(array))
            sums = copies.sums(first)
            self._slots[0].finish(step, self._of, facts, sums)
            for slots in self._slots[1:]:
                for room, array in zip(slots.begin(), first, strict=True):
                    np.copyto(room, array)
                slots.finish(step, self._of, facts, sums)
            for domain in self._domains:
                if domain in self._abroad and (why := self._abroad[domain].send(*self._slots[0].newest)):
                    print(f"tejat: the copy of step {step} is here alone: {why}", flush=True)
            self.cost.behind += time.perf_counter() - begun
        except Exception as error:  # the loop must see it
            self._error = error

    def _opened(self, state: TrainState, step: int) -> list[Slots]:
        boxes = []
        for name, leaf in flat(state).items():
            for shard in _mine_of(name, leaf, self._rank):
                start = tuple(each.indices(length)[0] for each, length in zip(shard.index, leaf.shape, strict=True))
                boxes.append((name, start, tuple(shard.data.shape), str(leaf.dtype)))
        pieces = copies.laid_out(boxes)
        return [
            Slots(self._place / f"domain-{d}", self._rank, pieces, step) for d in self._domains if d not in self._abroad
        ]


def peer(domains: Sequence[int], rank: int) -> int:
    """The domain in which a process's second copy lies: that of the next process of another; its own if it is alone."""
    after = [*domains[rank + 1 :], *domains[:rank]]
    return next((domain for domain in after if domain != domains[rank]), domains[rank])


def _mine(state: TrainState, rank: int) -> list[Any]:
    return [shard for name, leaf in flat(state).items() for shard in _mine_of(name, leaf, rank)]


def _mine_of(name: str, leaf: jax.Array, rank: int) -> list[Any]:
    """Of an array's shards, those that this process is to copy: each box of it once, the boxes shared out evenly."""
    holders: dict[tuple, set[int]] = {}
    for device, index in leaf.sharding.devices_indices_map(leaf.shape).items():
        holders.setdefault(_bounds(index, leaf.shape), set()).add(device.process_index)
    turn = sum(name.encode())
    found = {}
    for shard in leaf.addressable_shards:
        bounds = _bounds(shard.index, leaf.shape)
        ranks = sorted(holders[bounds])
        if ranks[turn % len(ranks)] == rank:
            found[bounds] = shard
    return list(found.values())


def _bounds(index: tuple[slice, ...], shape: Sequence[int]) -> tuple:
    return tuple(each.indices(length)[:2] for each, length in zip(index, shape, strict=True))
