"""Checkpoints come back to the bit; what is damaged, cut short or of another shape is told."""

import dataclasses
import os
import re
import resource
import shutil
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.train import checkpoint, step
from tejat.train.checkpoint import Checkpoints, Unsaved


@pytest.fixture(scope="module")
def abstract(initial):
    return jax.eval_shape(lambda: initial)


@pytest.fixture(scope="module")
def written(initial, tmp_path_factory):
    """A directory with checkpoints of the steps 2 and 3, of which three were saved and two kept."""
    directory = tmp_path_factory.mktemp("checkpoints")
    with closing(Checkpoints(directory, keep=2)) as checkpoints:
        for number in (1, 2, 3):
            checkpoints.save(at(initial, number), {"number": number, "loss": 0.1 + number})
    return directory


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / "checkpoints")


def at(state: step.TrainState, number: int) -> step.TrainState:
    """A state of that step, none of whose arrays is that of another step."""
    moved = jax.tree.map(lambda a: np.asarray(a + number, a.dtype), state)
    return moved._replace(step=np.asarray(number, np.int32))


def restored(directory, abstract):
    with closing(Checkpoints(directory, keep=2)) as checkpoints:
        return checkpoints.restore(abstract)


def test_the_newest_comes_back_to_the_bit(copied, initial, abstract):
    state, facts = restored(copied, abstract)
    assert facts == {"number": 3, "loss": 3.1}
    assert jax.tree.structure(state) == jax.tree.structure(initial)
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(at(initial, 3)), strict=True):
        assert one.dtype == other.dtype and np.asarray(one).tobytes() == other.tobytes()


def test_a_checkpoint_that_cannot_be_written_is_told_before_the_next(initial, tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.check()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # a full disk, for this process
    try:
        checkpoints.save(at(initial, 1), {})
        deadline = time.monotonic() + 60
        with pytest.raises(Unsaved, match="the checkpoint of step 1 could not be written"):
            while time.monotonic() < deadline:
                checkpoints.check()
                time.sleep(0.01)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(Exception, match=r"(?i)file too large|RESOURCE_EXHAUSTED|errno"):
        checkpoints.close()


def test_whoever_could_not_write_does_not_wait_for_those_who_wait_for_it(initial, tmp_path, monkeypatch):
    """As at the end of a run of several processes, after whose last step nobody looks any more."""
    checkpoints = Checkpoints(tmp_path, keep=2)
    others = threading.Event()
    monkeypatch.setattr(checkpoints._manager, "wait_until_finished", others.wait)
    checkpoints._failures.append((30, OSError("no space left")))
    for wait in (checkpoints.close, lambda: checkpoints.save(at(initial, 31), {})):
        with pytest.raises(Unsaved, match=r"of step 30 could not be written \(OSError: no space left"):
            wait()
    others.set()


def test_a_failure_that_is_not_of_this_part_is_raised_as_it_is(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=2)

    def failed() -> None:
        raise OSError("the directory cannot be renamed")

    monkeypatch.setattr(checkpoints._manager, "wait_until_finished", failed)
    with pytest.raises(OSError, match="cannot be renamed"):
        checkpoints.close()


def test_sums_of_boxes_add_up_to_that_of_the_whole():
    """As processes sum what lies with them: here two, one of which holds a box twice."""
    whole = np.random.default_rng(0).standard_normal((4, 3, 2), np.float32)
    boxes = [
        (slice(0, 2), slice(0, 3), slice(0, 1)),
        (slice(0, 2), slice(0, 3), slice(1, 2)),
        (slice(2, 4), slice(None), slice(None)),
    ]

    def held(*shards):
        return SimpleNamespace(
            shape=whole.shape,
            ndim=3,
            addressable_shards=[
                SimpleNamespace(index=boxes[box], data=whole[boxes[box]], replica_id=replica) for box, replica in shards
            ],
        )

    parts = [checkpoint._part_of_sum(each) for each in (held((0, 0), (1, 0)), held((1, 1), (2, 0)))]
    assert sum(parts) % 2**32 == checkpoint._sum(whole)
    shard = SimpleNamespace(index=(), data=whole[0, 0, 0], replica_id=0)
    scalar = SimpleNamespace(shape=(), ndim=0, addressable_shards=[shard])
    assert checkpoint._part_of_sum(scalar) == checkpoint._sum(whole[0, 0, :1])


def test_the_oldest_is_removed(copied):
    assert sorted(os.listdir(copied)) == ["2", "3"]


def test_a_step_is_saved_once(copied, initial, abstract):
    with closing(Checkpoints(copied, keep=2)) as checkpoints:
        checkpoints.save(at(initial, 3), {"number": "again"})
    assert restored(copied, abstract)[1]["number"] == 3


def test_a_state_whose_memory_the_next_step_takes_is_saved_as_it_was(initial, abstract, tmp_path):
    state = jax.tree.map(jax.numpy.array, initial)
    spoil = jax.jit(lambda state: jax.tree.map(lambda a: a + 1, state), donate_argnums=0)
    with closing(Checkpoints(tmp_path, keep=1)) as checkpoints:
        checkpoints.save(state, {})
        for _ in range(3):
            state = spoil(state)
    for one, other in zip(jax.tree.leaves(restored(tmp_path, abstract)[0]), jax.tree.leaves(initial), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_cut_short_is_none(copied, abstract):
    (copied / "3").rename(copied / "3.orbax-checkpoint-tmp")
    assert restored(copied, abstract)[1]["number"] == 2
    assert sorted(os.listdir(copied)) == ["2"]


def test_some_stay_for_good(initial, tmp_path):
    """By step, and by time: here all are made within one of so many hours, and the first of them stays."""
    with closing(Checkpoints(tmp_path, keep=1, keep_steps=4, keep_hours=1.0)) as checkpoints:
        for number in (1, 3, 4, 6, 7):
            checkpoints.save(at(initial, number), {})
    assert sorted(os.listdir(tmp_path)) == ["1", "4", "7"]


def test_every_one_stays_that_is_old_enough(initial, tmp_path):
    with closing(Checkpoints(tmp_path, keep=1, keep_hours=1e-9)) as checkpoints:
        for number in (1, 2, 3):
            checkpoints.save(at(initial, number), {})
    assert sorted(os.listdir(tmp_path)) == ["1", "2", "3"]


def test_none_is_none(tmp_path):
    with closing(Checkpoints(tmp_path / "new", keep=1)) as checkpoints:
        assert checkpoints.latest is None


def test_another_shape_is_told(copied, config, schedule):
    wider = dataclasses.replace(config, decoder=dataclasses.replace(config.decoder, vocabulary=57))
    abstract = jax.eval_shape(lambda: step.initial_state(wider, schedule, seed=0))
    expected = f"{copied / '3'} has float32[56, 16] moments.*decoder.embedding where the recipe has float32[57, 16];"
    with pytest.raises(BadInput, match=re.escape(expected).replace(r"\.\*", ".*")):
        restored(copied, abstract)


def test_another_tree_is_told(copied, config, schedule):
    deaf = dataclasses.replace(config, audio=None)
    abstract = jax.eval_shape(lambda: step.initial_state(deaf, schedule, seed=0))
    with pytest.raises(BadInput, match=r"audio.* where the recipe has no;"):
        restored(copied, abstract)


@pytest.mark.parametrize("damage", ["empty", "cut", "gone"])
def test_damage_is_told(copied, abstract, damage):
    files = [path for path in (copied / "3" / "state").rglob("d/*") if path.is_file()]
    assert files
    for path in files:
        match damage:
            case "empty":
                path.write_bytes(b"")
            case "cut":
                path.write_bytes(path.read_bytes()[:-50])
            case "gone":
                path.unlink()
    with pytest.raises(BadInput, match=re.escape(f"the checkpoint {copied / '3'} is damaged")) as caught:
        restored(copied, abstract)
    assert "\n" not in str(caught.value)


def test_changed_bytes_are_told_or_are_not_read(written, tmp_path, initial, abstract):
    """Some bytes of Orbax's files are spare; whatever else is changed must be told, and never come back as weights."""
    whole, told = [leaf.tobytes() for leaf in jax.tree.leaves(at(initial, 3))], 0
    files = [path.relative_to(written) for path in sorted((written / "3" / "state").rglob("d/*"))]
    for number, file in enumerate(files * 3):
        copy = shutil.copytree(written, tmp_path / str(number))
        data = bytearray((copy / file).read_bytes())
        data[len(data) * (1 + number // len(files)) // 4] ^= 0x40
        (copy / file).write_bytes(data)
        try:
            state, _ = restored(copy, abstract)
        except BadInput as error:
            assert "is damaged" in str(error)
            told += 1
        else:
            assert [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)] == whole
    assert told > 0
