"""Streams of tensors: what is written is what the safetensors library reads, and what is damaged is named."""

import json

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from tejat.errors import BadInput
from tejat.export.tensors import INDEX, WHOLE, Checkpoint, Stored, shards, write, write_sharded

KINDS = [np.dtype("float32"), np.dtype("float16"), np.dtype(ml_dtypes.bfloat16)]


@st.composite
def trees(draw):
    shapes = st.lists(st.integers(0, 4), max_size=3)
    kinds = draw(st.lists(st.tuples(shapes, st.sampled_from(KINDS)), min_size=1, max_size=6))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    return {f"t{i}": np.asarray(random.standard_normal(shape)).astype(kind) for i, (shape, kind) in enumerate(kinds)}


def layout_of(arrays):
    return {name: Stored(array.shape, array.dtype) for name, array in arrays.items()}


def in_rows(arrays, names):
    """Every tensor one row at a time."""
    for name in names:
        yield from ((name, row) for row in (arrays[name] if arrays[name].ndim else [arrays[name]]))


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        got = found[name]
        assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes()), name


@given(trees())
def test_a_file_written_in_rows_is_read_by_the_library_and_by_us(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("written") / WHOLE
    write(path, layout_of(arrays), in_rows(arrays, arrays))
    same(load_file(path), arrays)
    with Checkpoint(path) as found:
        same({name: found.read(name) for name in found.tensors}, arrays)
        for name, array in arrays.items():
            for at in range(array.shape[0] if array.ndim else 0):
                assert found.read_layer(name, at).tobytes() == array[at].tobytes()


@given(trees(), st.integers(1, 300))
def test_shards_keep_the_order_and_the_limit(arrays, limit):
    layout = layout_of(arrays)
    parts = shards(layout, limit)
    assert [name for part in parts for name in part] == [*layout]
    for part in parts:
        assert len(part) == 1 or sum(tensor.bytes for tensor in part.values()) <= limit


@given(trees(), st.integers(1, 100))
def test_a_sharded_checkpoint_is_one_checkpoint(tmp_path_factory, arrays, limit):
    folder = tmp_path_factory.mktemp("sharded")
    write_sharded(folder, layout_of(arrays), lambda names: in_rows(arrays, names), limit)
    with Checkpoint(folder) as found:
        same({name: found.read(name) for name in found.tensors}, arrays)
    files = {path.name for path in folder.glob("*.safetensors")}
    if files != {WHOLE}:
        index = json.loads((folder / INDEX).read_text())
        assert set(index["weight_map"].values()) == files and index["weight_map"].keys() == arrays.keys()
        assert index["metadata"]["total_size"] == sum(array.nbytes for array in arrays.values())


ARRAYS = {"a": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float32)}


@pytest.mark.parametrize(
    "pieces",
    [
        [("b", ARRAYS["b"]), ("a", ARRAYS["a"])],
        [("a", ARRAYS["a"])],
        [("a", ARRAYS["a"]), ("a", ARRAYS["a"][:1]), ("b", ARRAYS["b"])],
        [("a", ARRAYS["a"].astype(np.float16)), ("b", ARRAYS["b"])],
        [("a", ARRAYS["a"][:1]), ("b", ARRAYS["b"])],
    ],
)
def test_pieces_out_of_place_are_a_mistake_of_the_caller(tmp_path, pieces):
    with pytest.raises(ValueError, match="out of order|ended"):
        write(tmp_path / WHOLE, layout_of(ARRAYS), pieces)


def refused(folder, words):
    with pytest.raises(BadInput, match=words) as caught:
        Checkpoint(folder)
    assert "\n" not in str(caught.value)


def test_what_is_stored_as_no_float_is_named(tmp_path):
    save_file(ARRAYS | {"c": np.zeros(2, np.int8)}, tmp_path / WHOLE)
    refused(tmp_path, r"stores c \(I8\) as no float")


@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path, share):
    save_file({"a": np.ones(1000, np.float32)}, tmp_path / WHOLE)
    whole = (tmp_path / WHOLE).read_bytes()
    (tmp_path / WHOLE).write_bytes(whole[: int(share * len(whole))])
    refused(tmp_path, rf"{WHOLE} is not a whole safetensors file")


def sharded(folder, placed):
    save_file({"a": ARRAYS["a"]}, folder / "one.safetensors")
    save_file({"b": ARRAYS["b"]}, folder / "two.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": placed}))


def test_an_index_of_files_that_are_not_there(tmp_path):
    sharded(tmp_path, {"a": "one.safetensors", "b": "three.safetensors", "c": "four.safetensors"})
    refused(tmp_path, "lacks the files four.safetensors, three.safetensors;")


def test_an_index_of_tensors_that_are_not_there(tmp_path):
    sharded(tmp_path, {"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"})
    refused(tmp_path, f"lack c, which {INDEX} names")


def test_a_tensor_in_two_files(tmp_path):
    sharded(tmp_path, {"a": "one.safetensors", "b": "two.safetensors"})
    save_file(ARRAYS, tmp_path / "two.safetensors")
    refused(tmp_path, "two.safetensors has a, which another file")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"weight_map": {}}',
        '{"weight_map": {"a": 1}}',
        '{"weight_map": {"a": "../one.safetensors"}}',
    ]
    + ['{"weight_map": ["a"]}', '{"weight_map": {"a": ""}}'],
)
def test_what_is_no_index(tmp_path, text):
    sharded(tmp_path, {})
    (tmp_path / INDEX).write_text(text)
    refused(tmp_path, INDEX)


def test_a_directory_without_weights(tmp_path):
    refused(tmp_path, f"has neither {WHOLE} nor {INDEX}")
