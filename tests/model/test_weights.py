"""Weights in eight bits: as near as their steps allow, and smaller."""

import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.model import weights
from tejat.model.params import Param

TREE = {
    "matrix": Param((3, 40, 24), ("layers", None, None)),
    "norm": Param((3, 40), ("layers", None)),
    "thin": Param((4, 40), (None, None)),
}


def test_matrices_are_rounded_to_steps_of_each_output(tmp_path):
    random = np.random.default_rng(0)
    arrays = {name: random.standard_normal(param.shape, np.float32) for name, param in TREE.items()}
    arrays["matrix"][:, :, 5] *= 100  # one output alone takes larger steps
    arrays["matrix"][0, :, 7] = 0
    weights.write(tmp_path / "eight.safetensors", arrays, "int8")
    found = weights.read(tmp_path / "eight.safetensors", TREE)
    error, largest = np.abs(found["matrix"] - arrays["matrix"]), np.abs(arrays["matrix"]).max(-2, keepdims=True)
    assert (error <= 0.51 * largest / 127 + 1e-6).all() and error.max() > 0
    assert (found["matrix"][0, :, 7] == 0).all()
    for name in ("norm", "thin"):
        np.testing.assert_array_equal(found[name], arrays[name].astype(np.float16).astype(np.float32))
    sizes = []
    for dtype in ("int8", "float16"):
        weights.write(tmp_path / f"{dtype}.safetensors", arrays, dtype)
        sizes.append((tmp_path / f"{dtype}.safetensors").stat().st_size)
    assert sizes[0] < 0.7 * sizes[1]


def test_what_was_read_is_written_the_same(tmp_path):
    random = np.random.default_rng(1)
    arrays = {name: random.standard_normal(param.shape, np.float32) for name, param in TREE.items()}
    paths = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for path in paths:
        weights.write(path, arrays, "int8")
        arrays = weights.read(path, TREE)
    first, second = (weights.read(path, TREE)["matrix"] for path in paths)
    np.testing.assert_allclose(first, second, rtol=2e-3, atol=1e-6)


def test_a_step_without_its_matrix_is_told(tmp_path):
    arrays = {name: np.ones(param.shape, np.float32) for name, param in TREE.items()}
    weights.write(tmp_path / "eight.safetensors", arrays, "int8")
    with pytest.raises(BadInput, match="unknown matrix"):
        weights.read(tmp_path / "eight.safetensors", {name: TREE[name] for name in ("norm", "thin")})


def test_whoever_may_read_a_models_config_may_read_its_weights(tmp_path):
    """A server in a container or under a user of its own is given a directory that somebody else wrote."""
    (tmp_path / "config.json").touch()
    weights.write(
        tmp_path / "model.safetensors", {name: np.ones(param.shape, np.float32) for name, param in TREE.items()}
    )
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1 and len(list(tmp_path.iterdir())) == 2
