"""Ready before the first request: every program is compiled, or found where an earlier process left it."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from tejat.infer import steps
from tejat.infer.scheduler import CHANGES, Scheduler


def keep_compiled(directory: Path) -> None:
    """Programs compiled from now on are kept in a directory, and taken from it by every process of one version of JAX.

    For the whole process: call it before the first model is loaded.
    """
    directory.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def warm(scheduler: Scheduler, sizes: Sequence[int]) -> None:
    """Runs every program for text once, on nobody's row; `sizes` are those of the parts of prompts.

    Over several devices more than once: where the partitioner leaves results differs from where all began.
    """
    one, rounds = scheduler, 1 if scheduler.mesh is None else 2
    for _ in range(rounds):
        for size in sizes:
            one.cache, _ = steps.read(one.params, one.config, one.cache, one.part([], size))
        block = steps.cut(one.cache, 0, 0, sizes[-1])
        one.cache = steps.put(one.cache, 0, 0, 0, block)
        for _ in range(rounds):
            _write(one)
    jax.block_until_ready((one.cache, one.state))


def _write(one: Scheduler) -> None:
    one.state, length = steps.place(one.state, one.cache.length, np.full((CHANGES, 5), one.slots, np.int32))
    one.cache = one.cache._replace(length=length)
    wishes = jax.device_put(steps.Wishes.of(one.slots))
    for width in one.widths:
        one.cache, scores = steps.forward(
            one.params, one.config, one.cache, one.state.token, one.state.position, one.state.left, width
        )
        for needs in one.every_need:
            one.state, _ = steps.choose(one.rule, needs, one.state, scores, wishes, one.unbound)


def programs() -> int:
    """Compiled programs that this process holds for services."""
    every = steps.read, steps.cut, steps.put, steps.place, steps.forward, steps.choose, steps.embed_prompt
    return sum(program._cache_size() for program in every)
