"""What is kept comes back as it was, and never takes more than its bytes."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.data import kept as keeping
from tejat.data.kept import Kept


@pytest.mark.parametrize("level", [0, 1])
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_the_last_stay_within_the_limit(level, sizes):
    kept = Kept(1_000, level)
    arrays = [np.random.default_rng(n).integers(0, 256, size, np.uint8) for n, size in enumerate(sizes)]
    for n, array in enumerate(arrays):
        kept.put(bytes([n]), array)
        assert kept.size <= 1_000
    assert np.array_equal(kept.get(bytes([len(arrays) - 1])), arrays[-1])
    for n, array in enumerate(arrays):
        found = kept.get(bytes([n]))
        assert found is None or np.array_equal(found, array)


def test_what_was_used_last_stays():
    kept = Kept(30)
    for n in range(3):
        kept.put(bytes([n]), np.full(10, n, np.uint8))
    kept.get(b"\0")
    kept.put(b"\3", np.zeros(10, np.uint8))
    assert kept.get(b"\1") is None and kept.get(b"\0") is not None
    kept.put(b"\4", np.zeros(99, np.uint8))  # larger than the limit
    assert kept.size <= 30


def test_types_and_shapes_come_back():
    kept = Kept(10_000, 1)
    samples = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    kept.put(b"a", samples)
    found = kept.get(b"a")
    assert found.dtype == samples.dtype and np.array_equal(found, samples) and not found.flags.writeable


def test_threads_share_it():
    kept, wrong = Kept(2_000), []

    def work(seed: int) -> None:
        for n in np.random.default_rng(seed).integers(0, 50, 400):
            kept.put(bytes([n]), np.full(100, n, np.uint8))
            found = kept.get(bytes([n]))
            if found is not None and (found != n).any():
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and kept.size <= 2_000


def test_processes_find_what_others_keep(tmp_path):
    """Two of one name are as in two processes; what is kept is found by its name and key alone."""
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    keeping.share(tmp_path)
    try:
        one, other, stranger = Kept(1_000, 1, "sound"), Kept(1_000, 1, "sound"), Kept(1_000, 1, "drawing")
        one.put(b"a", array)
        found = other.get(b"a")
        assert np.array_equal(found, array) and found.dtype == array.dtype and not found.flags.writeable
        assert stranger.get(b"a") is None and Kept(1_000, 1).get(b"a") is None
        Kept(1_000, 1).put(b"b", array)
        assert other.get(b"b") is None
    finally:
        keeping.share(None)
    assert np.array_equal(other.get(b"a"), array)  # it is at hand by now
    assert Kept(1_000, 1, "sound").get(b"a") is None


def test_a_full_disk_is_no_trouble(tmp_path):
    keeping.share(tmp_path / "missing")
    try:
        kept = Kept(1_000, 0, "sound")
        kept.put(b"a", np.zeros(3))
        assert kept.get(b"a") is not None and kept.get(b"b") is None
    finally:
        keeping.share(None)
