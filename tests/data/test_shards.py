"""Shards: what goes in comes out, in any order, from any process; and what is damaged is named."""

import multiprocessing
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.shards import Item, Shards, Writer
from tejat.errors import BadInput

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
items = st.builds(
    Item, texts, st.dictionaries(texts, json_values, max_size=3), st.dictionaries(texts, st.binary(), max_size=3)
)


def written(directory, values, **options) -> Shards:
    with Writer(directory, "source", "train", **options) as writer:
        for value in values:
            writer.write(value)
    return Shards(directory, "source", "train")


def numbered(count: int) -> list[Item]:
    return [Item("text", {"n": n}, {"blob": bytes([n % 256]) * (n % 50)}) for n in range(count)]


@given(items)
def test_an_item_is_what_its_record_says(item):
    assert Item.from_bytes(item.to_bytes()) == item


@given(items)
def test_a_record_cut_short_is_refused(item):
    record = item.to_bytes()
    with pytest.raises(ValueError):
        Item.from_bytes(record[:-1])
    with pytest.raises(ValueError):
        Item.from_bytes(record + b"x")


@settings(max_examples=20, deadline=None)
@given(st.lists(items, max_size=40), st.integers(1, 400), st.integers(1, 20))
def test_what_is_written_is_read(tmp_path_factory, values, limit, group):
    shards = written(tmp_path_factory.mktemp("corpus"), values, limit=limit, group=group) if values else []
    assert list(shards) == values
    assert [shards[k] for k in reversed(range(len(values)))] == values[::-1]
    assert len(shards) == len(values)


def test_random_access_over_several_shards(tmp_path):
    values = numbered(1000)
    shards = written(tmp_path, values, limit=5000)
    assert len(shards.paths) > 5
    assert shards[-1] == values[-1] and shards[10:20:3] == values[10:20:3]
    with pytest.raises(IndexError):
        shards[1000]


def test_no_shard_passes_the_limit(tmp_path):
    import numpy as np

    noise = np.random.default_rng(0)
    values = [Item("clip", {}, {"a": noise.bytes(60_000)}) for _ in range(40)]
    shards = written(tmp_path, values, limit=1 << 20)
    assert len(shards.paths) == 3
    assert all(path.stat().st_size <= (1 << 20) + (128 << 10) for path in shards.paths)


def _tenth(shards: Shards) -> Item:
    return shards[10]


def test_pickled_and_forked(tmp_path):
    values = numbered(100)
    shards = written(tmp_path, values)
    assert shards[3] == values[3]
    assert pickle.loads(pickle.dumps(shards))[4] == values[4]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_tenth, (shards,)) == values[10]


def test_items_of_a_small_source_are_decoded_once(tmp_path, monkeypatch):
    values = numbered(100)
    shards = written(tmp_path, values, limit=2000)
    assert all(shards[k] == values[k] for k in (99, 0, 50, 17)) and shards[50] is shards[50]
    shards.paths[0].unlink()  # what was read is at hand
    assert [shards[k] for k in range(len(shards)) if k // 16 == 0] == values[:16]
    assert len(pickle.dumps(shards)) < 5000  # a worker reads its own
    monkeypatch.setattr("tejat.data.shards.SMALL", 0)
    large = written(tmp_path / "large", values)
    assert large[50] == values[50] and large[50] is not large[50]


def test_a_failed_writer_leaves_whole_shards_alone(tmp_path):
    with pytest.raises(RuntimeError), Writer(tmp_path, "source", "train", limit=2000) as writer:
        for value in numbered(100):
            writer.write(value)
        raise RuntimeError
    names = sorted(path.name for path in (tmp_path / "source").iterdir())
    assert names == [f"train-{n:05d}.array_record" for n in range(writer.shards)]
    assert list(Shards(tmp_path, "source", "train")) == numbered(100)[: len(Shards(tmp_path, "source", "train"))]


def test_damage_is_named(tmp_path):
    shards = written(tmp_path, numbered(1000), limit=5000)
    path = shards.paths[1]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    with pytest.raises(BadInput, match="train-00001"):
        Shards(tmp_path, "source", "train")
    path.unlink()
    with pytest.raises(BadInput, match="train-00001.array_record is missing"):
        Shards(tmp_path, "source", "train")
    # Bytes in the middle of a shard: its other groups are still read.
    path.write_bytes(whole)
    broken = bytearray(shards.paths[0].read_bytes())
    at = broken.index(b"\x28\xb5\x2f\xfd") + 20  # in the first compressed group
    broken[at : at + 8] = b"\xff" * 8
    shards.paths[0].write_bytes(bytes(broken))
    found = Shards(tmp_path, "source", "train")
    with pytest.raises(BadInput, match="train-00000"):
        found[0]
    assert found[999] == numbered(1000)[999]
    with pytest.raises(BadInput, match="train-00000"):
        list(found)


def test_what_cannot_be_stored_is_refused(tmp_path):
    with Writer(tmp_path, "source", "train") as writer:
        for fields in ({"a": {1}}, {"a": "\ud800"}):
            with pytest.raises(BadInput, match="'text'"):
                writer.write(Item("text", fields))
    with pytest.raises(BadInput, match="no source 'other'"):
        Shards(tmp_path, "other", "train")
