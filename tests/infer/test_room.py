"""Sizes of batches: large enough, and few where a program is dear."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.infer import continuations, engine, room
from tejat.infer.engine import Engine
from tejat.parts import Document, Text


@given(st.integers(1, 100_000), st.sampled_from([1, 4, 16, 256]))
def test_a_size_is_held_with_little_to_spare(size: int, least: int) -> None:
    two, four = room.bucket(size, least), room.power(size, least, 2)
    assert size <= two <= four < max(4 * size, least + 1)
    assert four in {least * 4**n for n in range(10)}
    assert size <= room.power(size, least, 3) < max(8 * size, least + 1)


@pytest.fixture
def programs(monkeypatch):
    """A function that counts the programs that scoring documents and choosing among answers takes on a platform:
    nothing is compiled, shapes are noted."""

    def count(bundle, platform: str) -> tuple[int, int]:
        shapes: set[tuple] = set()

        def noted(name: str, *arrays) -> None:
            shapes.add((name, *(np.shape(array) for array in arrays)))

        def score(params, config, batch):
            noted("score", *batch.inputs[:2], batch.targets)
            return np.zeros(batch.targets.shape, np.float32)

        def read(params, config, inputs, space):
            noted("read", inputs.tokens, np.zeros((1, space)))
            return engine.empty_cache(config.decoder, inputs.tokens.shape[0], space)

        def extended(params, config, cache, start, tokens, count):
            noted("extend", cache.layers[0][0], tokens)
            return cache

        def continued(params, config, cache, rows, start, tokens, count, targets):
            noted("continue", cache.layers[0][0], tokens)
            return (np.zeros(targets.shape, np.float32),) * 3

        monkeypatch.setattr(room.jax, "default_backend", lambda: platform)
        monkeypatch.setattr(engine, "_score", score)
        for name, made in (("_prefill", read), ("_extend", extended), ("_score", continued)):
            monkeypatch.setattr(continuations, name, made)
        mine, random = Engine(bundle, params={}), np.random.default_rng(0)
        for _ in range(16):  # batches as tasks have them: of any number, of any length
            most, count = (int(n) for n in random.integers([3, 1], [110, 25]))
            some = [" ".join(["word"] * int(n)) for n in random.integers(2, most, count)]
            mine.score([bundle.framing.encode(Document.of([Text(text)])) for text in some])
            prompts = [bundle.framing.beginning((Text(text),)) for text in some]
            wanted = [[[1] * int(n) for n in random.integers(1, 40, 4)] for _ in some]
            continuations.continuations(mine, prompts, wanted)
        return len(shapes), sum(shape[0] == "score" for shape in shapes)

    return count


def test_an_accelerator_compiles_few_programs(tiny, programs) -> None:
    here, there = programs(tiny, "cpu"), programs(tiny, "gpu")
    assert there[0] <= 0.6 * here[0] and there[1] <= 0.5 * here[1], (here, there)
