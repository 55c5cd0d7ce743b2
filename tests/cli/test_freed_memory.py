"""Freed memory is kept: taking it again costs no page faults."""

import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource
from tejat.cli import freed_memory
KEEP
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def use():
    memory = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(50_000_000)))
    ctypes.memset(memory, 1, 50_000_000)
    libc.free(memory)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
before = faults()
for _ in range(10):
    use()
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
def test_memory_that_was_freed_is_taken_again_without_faults() -> None:
    def faults(keep: str) -> int:
        command = [sys.executable, "-c", FAULTS.replace("KEEP", keep)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("freed_memory.keep(freed_memory.PAYS)") < 1_000
    assert faults("freed_memory.keep(freed_memory.PAYS - 1)") > 50_000, "a control: every page is cleared again"
