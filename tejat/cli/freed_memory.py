"""What a long-running program does with the memory that it frees: keep it for the next step."""

import ctypes
import sys

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


PAYS = 60
"""Steps of `micro` from which on keeping is worth what it costs."""


def keep(steps: int) -> None:
    """From here on, in a run of so many steps, freed memory stays with this process, if the allocator is glibc's.

    On a CPU, XLA takes and frees all that a step needs in every step. glibc would give large pieces back to Linux,
    which clears each page again: a quarter of the time of a step of `micro`. The price: the peak is kept, in one heap,
    and the threads that compile wait for each other at it (7 s more for `micro` on two cores).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None or steps < PAYS:
        return
    for option, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
        mallopt(option, value)
