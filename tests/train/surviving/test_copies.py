"""Copies of a share: what is written is found again, whatever else is lost, and nothing damaged is taken for whole."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.errors import BadInput
from tejat.train.surviving import copies
from tejat.train.surviving.copies import Assembly, Slots

SHAPE = (6, 5)
WHOLE = np.arange(30, dtype=np.float32).reshape(SHAPE)
ALL = (slice(None), slice(None))


def write(place: Path, step: int, rank: int, domain: int, slots: Slots | None = None, of: int = 2) -> Slots:
    """Rank r of 2 has rows 3 r to 3 r + 3 of an array that grows by a step number, and a scalar of its own."""
    boxes = [("a", (3 * rank, 0), (3, 5), "float32"), (f"s{rank}", (), (), "int32")]
    slots = slots or Slots(place / f"domain-{domain}", rank, copies.laid_out(boxes))
    rows, scalar = slots.begin()
    rows[...] = WHOLE[3 * rank : 3 * rank + 3] + step
    scalar[...] = step
    slots.finish(step, of, {"rank": rank}, copies.sums([rows, scalar]))
    return slots


@pytest.fixture
def place(tmp_path) -> Path:
    """Two ranks, each with a copy in its own domain and one in the other's, of steps 2 and 4."""
    for rank in (0, 1):
        for domain in (0, 1):
            slots = write(tmp_path, 2, rank, domain)
            write(tmp_path, 4, rank, domain, slots)
    return tmp_path


def assembled(place: Path) -> tuple[int, np.ndarray]:
    found = copies.newest(copies.survivors(place))
    assembly = Assembly([share.path for share in found])
    assert [facts["rank"] for facts in assembly.facts] == [0, 1]
    return found[0].step, assembly.box("a", SHAPE, np.dtype("float32"), ALL)


def test_the_newest_step_comes_back_whole_and_in_any_box(place):
    step, array = assembled(place)
    assert step == 4 and np.array_equal(array, WHOLE + 4)
    assembly = Assembly([share.path for share in copies.newest(copies.survivors(place))])
    for index in ((slice(2, 4), slice(1, 3)), (slice(3, 6), slice(0, 5)), (slice(0, 1), slice(4, 5))):
        assert np.array_equal(assembly.box("a", SHAPE, np.dtype("float32"), index), WHOLE[index] + 4)
    assert assembly.box("s1", (), np.dtype("int32"), ()) == 4


def test_a_lost_domain_loses_nothing(place):
    shutil.rmtree(place / "domain-1")
    step, array = assembled(place)
    assert step == 4 and np.array_equal(array, WHOLE + 4)


def test_a_third_copy_takes_the_memory_of_the_oldest(tmp_path):
    slots = None
    for step in (1, 2, 3, 4):
        slots = write(tmp_path, step, 0, 0, slots)
        assert len(list(tmp_path.rglob("*.rank-0"))) == copies.KEPT
    assert sorted(path.name for path in tmp_path.rglob("*.rank-0")) == ["step-3.rank-0", "step-4.rank-0"]


def test_a_domain_that_is_dropped_while_copying_is_made_anew(tmp_path):
    slots = write(tmp_path, 1, 0, 0)
    shutil.rmtree(tmp_path / "domain-0")
    for step in (2, 3, 4):
        write(tmp_path, step, 0, 0, slots)
    assert sorted(path.name for path in tmp_path.rglob("*.rank-0")) == ["step-3.rank-0", "step-4.rank-0"]


def test_what_is_not_finished_is_no_copy(place):
    slots = Slots(place / "domain-0", 0, copies.laid_out([("a", (0, 0), (3, 5), "float32")]), step=4)
    slots.begin()
    assert assembled(place)[0] == 4


def test_a_step_of_which_a_share_is_lost_is_not_taken(place):
    for path in place.rglob("step-4.rank-1"):
        path.unlink()
    step, array = assembled(place)
    assert step == 2 and np.array_equal(array, WHOLE + 2)
    for path in place.rglob("step-2.rank-0"):
        path.unlink()
    assert copies.newest(copies.survivors(place)) == []


def test_a_later_process_takes_over_what_is_not_newer(place):
    boxes = [("a", (0, 0), (3, 5), "float32"), ("s0", (), (), "int32")]
    slots = Slots(place / "domain-0", 0, copies.laid_out(boxes), step=2)
    kept = sorted(path.name for path in (place / "domain-0").glob("*.rank-0"))
    assert kept == ["empty-0.rank-0", "step-2.rank-0"]
    write(place, 4, 0, 0, slots)
    write(place, 6, 0, 0, slots)
    assert sorted(path.name for path in (place / "domain-0").glob("*.rank-0")) == ["step-4.rank-0", "step-6.rank-0"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_flipped_bit_of_what_counts_goes_unnoticed(tmp_path_factory, data):
    """Wherever it is in the header or the arrays; between them lies nothing."""
    place = tmp_path_factory.mktemp("flipped")
    write(place, 2, 0, 0, of=1)
    (path,) = place.rglob("step-2.rank-0")
    content = bytearray(path.read_bytes())
    header = int.from_bytes(content[:8], "little")
    told = copies.header(path)
    counts = [*range(16 + header), *range(told["data"], told["data"] + 60), *range(told["data"] + 64, len(content))]
    at = data.draw(st.sampled_from(counts))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert copies.survivors(place) == []


def test_a_truncated_copy_is_none(place):
    for path in place.rglob("step-4.rank-0"):
        os.truncate(path, path.stat().st_size - 8)
    assert assembled(place)[0] == 2


def test_a_box_that_no_share_holds_is_told(place):
    (share, _) = copies.newest(copies.survivors(place))
    with pytest.raises(BadInput, match="do not hold all of a"):
        Assembly([share.path]).box("a", SHAPE, np.dtype("float32"), ALL)


def test_too_little_memory_is_told_at_once(tmp_path):
    with pytest.raises(BadInput, match=r"MB free where copies of the state take .* MB; enlarge it"):
        copies.check_room(tmp_path, 1 << 60)
    copies.check_room(tmp_path, 1)
    huge = copies.laid_out([("a", (0,), (1 << 60,), "float32")])
    with pytest.raises(BadInput, match="enlarge it"):
        Slots(tmp_path / "domain-0", 0, huge)
    assert not list(tmp_path.rglob("*.rank-0"))
