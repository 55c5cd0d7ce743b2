"""Ready before the first request: every program is compiled, or found where an earlier process left it."""

import os
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from tejat.infer import guidance, steps
from tejat.infer.rows import JaxRows
from tejat.infer.scheduler import CHANGES, Scheduler


def usual_folder() -> Path:
    """Where programs are kept: in the user's cache, as the XDG base directories have it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tejat" / "compiled"


def keep_compiled(directory: Path) -> None:
    """Programs compiled from now on are kept in a directory, and taken from it by every process of one version of JAX.

    For the whole process: call it before the first model is loaded.
    """
    directory.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def warm(scheduler: Scheduler, rows: JaxRows, sizes: Sequence[int]) -> None:
    """Runs every program once, on nobody's row; `sizes` are those of the parts of prompts.

    Over several devices more than once: where the partitioner leaves results differs from where all began.
    """
    rounds = 1 if rows.mesh is None else 2
    for _ in range(rounds):
        for size in sizes:
            rows.read(scheduler.part([], size))
        rows.put(0, 0, 0, rows.cut(0, 0, sizes[-1]))
        for _ in range(rounds):
            _write(scheduler, rows)
    jax.block_until_ready((rows.cache, rows.state))


def _write(scheduler: Scheduler, rows: JaxRows) -> None:
    rows.place(np.full((CHANGES, 5), rows.slots, np.int32))
    wishes = rows.on_device(steps.Wishes.of(rows.slots))
    for width in rows.widths:
        scores = rows.forward(width)
        for needs in rows.every_need:
            rows.choose(needs, scores, wishes, scheduler.unbound)
        if scheduler.config.picture is not None:
            rows.choose(rows.every_need[0], rows.forward(width, [0]), wishes, scheduler.unbound)


def programs() -> int:
    """Compiled programs that this process holds for services."""
    of_steps = steps.read, steps.cut, steps.put, steps.place, steps.forward, steps.choose, steps.embed_prompt
    every = *of_steps, guidance.place, guidance.mixed
    return sum(program._cache_size() for program in every)
