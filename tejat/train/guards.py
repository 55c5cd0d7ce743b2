"""What watches over a run from inside its loop: it is told what happens, and may say where the run goes on."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from tejat.data.packing import Batch
from tejat.train.step import TrainState

if TYPE_CHECKING:
    from tejat.train.loop import Standing


class Phase(StrEnum):
    """What a process of a run is at."""

    BEGINNING = "beginning"  # it finds the others, its documents and its tokenizer
    RESTORING = "restoring"
    COMPILING = "compiling"
    STEPPING = "stepping"
    SAVING = "saving"
    ENDING = "ending"  # the model is written
    WAITING = "waiting"  # it is ready, and others make the steps


class Guard:
    """Every method does nothing, unless a guard has its own."""

    spoil: Callable[..., Any] | None = None
    """What the compiled step spoils arrays by, in trials (`tejat.train.shards.Spoil`)."""

    known = False
    """Has it been seen already that the directory's run is this one? Then the loop does not look again."""

    waits = False
    """Is this process to be ready before it is known where the run goes on from?"""

    def enter(self, phase: Phase) -> None:
        """From now on the process is at this."""

    def wait(self) -> None:
        """The process is ready: comes back when the run is to go on with it. Asked only of one that `waits`."""

    def restored(self, abstract: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """A state to go on from instead of the newest checkpoint's, and its facts; all processes must agree.

        `abstract` has the shapes, types and shardings that are wanted.
        """

    def compiled(self, make: Callable[[], Callable], name: str = "step") -> Callable:
        """The compiled program of this name: what `make` makes, or one that was made before."""
        return make()

    def making(self, make: Callable, spent: Callable, compiled: Callable) -> Callable:
        """The step as the loop makes it: (state, batch of the loader, by how many shards it is turned, 0 without) to
        (next state, sums). A guard may have something between. `spent`: of the ledger (`tejat.train.goodput`);
        `compiled`: as above, of all guards."""
        return make

    def before(self, step: int, state: TrainState, batch: Batch) -> TrainState:
        """Of this batch and the state that is given back, step number `step` is about to be made, the first being 1."""
        return state

    def after(self, step: int, state: TrainState, sums: dict[str, Any], now: "Standing") -> None:
        """Step number `step` was made, and logged and saved where it is to be. What it raises ends the run."""

    def keeps(self, step: int) -> bool:
        """Will this guard keep the state after this step, in `after`? It is checked before."""
        return False

    def checked(
        self, step: int, state: TrainState, pending: list[dict[str, Any]], settles: bool, keeps: bool
    ) -> tuple[TrainState, list[dict[str, Any]]]:
        """The state after a step, and the sums of the last steps, before the loop uses them: it waits for them anyway
        (`settles`), or is about to keep the state (`keeps`). A guard may give others in their place. All processes see
        the same arguments."""
        return state, pending

    def close(self) -> None:
        """The loop is over, however it ended."""


class Guards(Guard):
    """Several as one, asked in order."""

    def __init__(self, guards: Sequence[Guard]):
        self._guards = guards

    @property
    def known(self) -> bool:
        return any(guard.known for guard in self._guards)

    @property
    def waits(self) -> bool:
        return any(guard.waits for guard in self._guards)

    def wait(self) -> None:
        for guard in self._guards:
            guard.wait()

    def enter(self, phase: Phase) -> None:
        for guard in self._guards:
            guard.enter(phase)

    def restored(self, abstract: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        return next((found for guard in self._guards if (found := guard.restored(abstract)) is not None), None)

    def compiled(self, make: Callable[[], Callable], name: str = "step") -> Callable:
        for guard in self._guards:
            make = partial(guard.compiled, make, name)
        return make()

    @property
    def spoil(self) -> Callable[..., Any] | None:
        return next((guard.spoil for guard in self._guards if guard.spoil is not None), None)

    def making(self, make: Callable, spent: Callable, compiled: Callable) -> Callable:
        for guard in self._guards:
            make = guard.making(make, spent, compiled)
        return make

    def keeps(self, step: int) -> bool:
        return any(guard.keeps(step) for guard in self._guards)

    def checked(
        self, step: int, state: TrainState, pending: list[dict[str, Any]], settles: bool, keeps: bool
    ) -> tuple[TrainState, list[dict[str, Any]]]:
        for guard in self._guards:
            state, pending = guard.checked(step, state, pending, settles, keeps)
        return state, pending

    def before(self, step: int, state: TrainState, batch: Batch) -> TrainState:
        for guard in self._guards:
            state = guard.before(step, state, batch)
        return state

    def after(self, step: int, state: TrainState, sums: dict[str, Any], now: "Standing") -> None:
        for guard in self._guards:
            guard.after(step, state, sums, now)

    def close(self) -> None:
        with ExitStack() as all_of_them:
            for guard in self._guards:
                all_of_them.callback(guard.close)
