"""What benchmarks begin and how they compare, without running any of it."""

from pathlib import Path

import pytest


def test_six_configurations_of_pytorch_in_one_call(monkeypatch, capsys):
    import peers

    begun = {}

    def run(command, limit):
        begun[" ".join(map(str, command))] = limit
        return {"tokens_per_s": 100.0 if "bench" in command else 10.0 * len(begun), "step_s": 1.0, "memory_gib": 1.0}

    monkeypatch.setattr(peers, "run", run)
    peers.main(peers.Options(size="micro", rows=(4,), tokens=256, skip=("transformers",)))
    theirs = {words: limit for words, limit in begun.items() if "peer_torch" in words}
    assert len(theirs) == 6 and len(begun) == 8
    assert [limit for words, limit in theirs.items() if "max-autotune" in words] == [600.0]
    assert "best here / best of PyTorch: 1.25" in capsys.readouterr().out  # 100 by the last, which is 80


def test_eight_bit_floats_are_compared_pair_by_pair():
    import float8

    found = [
        {"name": float8.name(narrow, seed), "heldout": {}, "trained": {"text_loss": 3 + seed / 10 + 0.02 * narrow}}
        for seed in (0, 1, 2)
        for narrow in (False, True)
    ]
    (row,) = float8.compared(found, (0, 1, 2))
    assert (row["loss"], row["plain"], row["float8"]) == ("text_loss", 3.1, 3.12)
    assert row["difference"] == pytest.approx(0.02) and row["error"] == 0 and row["seeds"] == pytest.approx(0.1)


def test_a_run_that_is_to_be_exact_takes_the_kernels_of_a_gpu(monkeypatch):
    import bit_exact
    import jax

    recipe = Path(__file__).with_name("smallest.py")
    plain, wide = bit_exact.Options(recipe), bit_exact.Options(recipe, bfloat16=True, width=64, set=("seed=3",))
    assert bit_exact.settings(plain) == []
    assert bit_exact.settings(wide) == ["seed=3", "config.decoder.head_width=64", "bfloat16=true"]
    assert not bit_exact.by_kernels(wide)  # where there is no GPU
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert bit_exact.by_kernels(wide) and not bit_exact.by_kernels(plain)
