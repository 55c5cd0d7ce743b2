"""Memory that this process may have: the machine's, or what a container or a batch job is given of it.

Linux tells the machine's in /proc/meminfo, and what a control group may have in its files (cgroup v2, "Memory Interface
Files"); a group's parents bound it too.
"""

import os
from collections.abc import Iterator
from pathlib import Path

GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
MACHINE = Path("/proc/meminfo")


def whole() -> int:
    """Bytes that this process may have in all."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for _, limit in _limits())])


def free() -> int | None:
    """Bytes that can still be had; None where nothing tells. A file in memory that can be read again counts as free."""
    found = [max(0, limit - _used(group)) for group, limit in _limits()]
    try:
        lines = MACHINE.read_text().splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")]
    except OSError:
        pass
    return min(found, default=None)


def _limits() -> Iterator[tuple[Path, int]]:
    """The control groups that this process is in, outermost last, and what each may have; those without a limit not."""
    try:
        own = next(line[3:] for line in OWN.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        own = "/"
    group = GROUPS / own.strip("/")
    for place in (group, *group.parents):
        if not place.is_relative_to(GROUPS):
            return
        try:
            yield place, int((place / "memory.max").read_text())
        except (OSError, ValueError):  # there is none, or it is "max"
            continue


def _used(group: Path) -> int:
    """Bytes, without files that were not looked at lately."""
    try:
        lines = (group / "memory.stat").read_text().splitlines()
        idle = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        return int((group / "memory.current").read_text()) - idle
    except (OSError, ValueError):
        return 0
