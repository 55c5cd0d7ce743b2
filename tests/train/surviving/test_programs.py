"""Programs that were compiled once are found again, each by what it was compiled for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from tejat.train.surviving import programs
from tejat.train.surviving.programs import Programs


@pytest.fixture(autouse=True)
def no_cache_of_jax():
    """As in workers: what JAX finds in its own cache, which another test may have set up, cannot be kept once more."""
    enabled = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", enabled)
    compilation_cache.reset_cache()


def made(times: float):
    shape = jax.ShapeDtypeStruct((3,), jnp.float32)
    return jax.jit(lambda x: x * times).lower(shape).compile()


def never():
    pytest.fail("compiled again")


def test_a_program_is_compiled_once_and_runs_when_it_is_found_again(tmp_path):
    x = np.arange(3, dtype=np.float32)
    for _ in range(2):
        found = Programs(tmp_path, "a recipe").compiled(lambda: made(2.0), "doubled")
        np.testing.assert_array_equal(found(x), 2 * x)
    again = Programs(tmp_path, "a recipe").compiled(never, "doubled")
    np.testing.assert_array_equal(again(x), 2 * x)
    for what, name in (("a recipe", "trebled"), ("another", "doubled")):
        np.testing.assert_array_equal(Programs(tmp_path, what).compiled(lambda: made(3.0), name)(x), 3 * x)


def test_a_damaged_program_is_compiled_again(tmp_path):
    Programs(tmp_path, "").compiled(lambda: made(2.0))
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert Programs(tmp_path, "").compiled(lambda: made(3.0))(np.ones(3, np.float32))[0] == 3


def test_sources_that_change_later_are_not_those_that_run(tmp_path, monkeypatch):
    """Processes that are forked run what was imported before they were; programs of theirs bear that name."""
    programs.running.cache_clear()
    before = Programs(tmp_path, "").compiled(lambda: made(2.0))
    monkeypatch.setattr(programs, "sources", lambda: "as they were edited meanwhile")
    assert Programs(tmp_path, "").compiled(never)(np.ones(3, np.float32))[0] == before(np.ones(3, np.float32))[0]
