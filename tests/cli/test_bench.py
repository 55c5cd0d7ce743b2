"""`tejat bench data` from the outside: real rates in one JSON object, and a sentence for what is not here yet."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tejat import bundle, cli
from tejat.data import speed
from tejat.data.corpus.build import build
from tejat.model.params import walk

pytest.importorskip("rensa")


RECIPE = """
from tejat.data.corpus.recipe import Corpus
from tejat.data.corpus.source import Source
from tejat.data.mixture import Stage
from tejat.data.shards import Item


def facts(paths, dropped):
    for n in range(300):
        yield Item("text", {"text": f"The number {n} is followed by {n + 1}, and that by {n + 2}.", "group": str(n)})


def lists(paths, dropped):
    for n in range(20):
        yield Item("retrieval", {"pairs": 64, "number": n})


SOURCES = [Source(f.__name__, f, (), "CC0-1.0", False, "made", 0.1) for f in (facts, lists)]
RECIPE = Corpus("tiny", SOURCES, stages=[Stage("only", 1e6, {"facts": 1.0, "lists": 1.0})])
"""


def test_rates_of_everything_that_makes_batches(tmp_path):
    (tmp_path / "recipe.py").write_text(RECIPE)
    build(tmp_path / "recipe.py", tmp_path / "corpus", workers=1)
    words = [sys.executable, "-m", "tejat", "bench", "data", "--json", "--seconds", "0.3", "--workers", "0"]
    words += ["--corpus", str(tmp_path / "corpus"), "--minutes", "0.01"]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert {"tokens_per_s", "images_per_s", "dedup_documents_per_s", "positions_used"} <= found.keys()
    # Bounds of another order than any machine's, so that a broken count is noticed and a busy machine is not.
    assert 1e4 < found["tokens_per_s"] < 1e9 and 2 < found["images_per_s"] < 1e6
    assert 50 < found["dedup_documents_per_s"] < 1e7
    assert 0.97 < found["positions_used"] <= 1
    assert {*found["sources_tokens_per_cpu_s"]} == {"facts", "lists"}
    assert all(
        1e3 < rate < 1e9 for rate in (*found["sources_tokens_per_cpu_s"].values(), found["mixture_tokens_per_s"])
    )
    assert 50 < found["memory_mb"][0] < 20_000 and "memory_slope_mb_per_h" in found


def test_a_slope_is_of_the_time_after_caches_are_full():
    minutes = np.arange(60.0)
    growing = np.where(minutes < 20, minutes, 20 + (minutes - 20) / 2)
    assert speed.slope(60 * minutes, growing) == pytest.approx((30, 0), abs=1e-6)
    assert speed.slope(60 * minutes, np.full(60, 5.0)) == pytest.approx((0, 0), abs=1e-6)
    assert speed.slope([0.0], [1.0]) == (0, float("inf"))


def test_how_sure_a_slope_is_is_told():
    """Of noise like that of looks at memory, which remember the one before, nine intervals in ten hold the truth."""
    random, minutes, held = np.random.default_rng(0), np.arange(60.0), 0
    for _ in range(200):
        noise = np.zeros(60)
        for k in range(1, 60):
            noise[k] = 0.4 * noise[k - 1] + random.normal()
        found, within = speed.slope(60 * minutes, 100 + 0.1 * minutes + noise)
        held += abs(found - 6) <= within
    assert held >= 170


@pytest.mark.parametrize(("engine", "bits"), [("onnx", 4), ("jax", 4), ("jax", 32)])
def test_rates_of_writing(capsys, engine, bits):
    if engine == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    words = ["--engine", engine, "--size", "micro", "--bits", str(bits), "--tokens", "16", "--json"]
    assert cli.main(["bench", "decode", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["engine"], found["size"], found["bits"]) == (engine, "micro", bits)
    # Bounds of another order than any machine's: a broken count is noticed, a busy machine is not.
    assert 1 < found["tokens_per_s"] < 1e6 and 1e-6 < found["bandwidth_fraction"] < 10
    assert 1e8 < found["bandwidth_bytes_per_s"] < 1e13
    assert (found["peer"] is None) == (found["ratio"] is None)
    assert found["bytes_read"] == pytest.approx(940_000 * (4 if bits == 32 else 0.8), rel=0.2)


def test_the_rate_of_a_model_that_is_there(tiny, tiny_q4, tmp_path, capsys):
    """Of its decoder alone, in the bits that it has."""
    pytest.importorskip("onnxruntime")
    bundle.save(tmp_path / "q4", tiny_q4, "float16")
    assert cli.main(["bench", "decode", "--model", str(tmp_path / "q4"), "--tokens", "16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["size"], found["bits"]) == ("tiny", 4) and found["tokens_per_s"] > 1
    assert found["bytes_read"] < 0.35 * sum(4 * leaf.size for _, leaf in walk(tiny.params["decoder"]))
    assert cli.main(["bench", "decode", "--model", str(tmp_path / "q4"), "--bits", "8"]) == 2
    assert "the model is in 4 bits; leave out --bits 8" in capsys.readouterr().err
    bundle.save(tmp_path / "whole", tiny)
    assert cli.main(["bench", "decode", "--model", str(tmp_path / "whole")]) == 2
    assert "is not in four or eight bits; `tejat quantize` it first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["decode", "--engine", "onnx", "--bits", "16"], "ONNX Runtime computes in 4, 8 or 32 bits"),
        (["decode", "--size", "huge"], "there is no model size 'huge'"),
        (["decode", "--tokens", "1"], "give 16 to 4,096"),
        (["data", "--workers", "-1"], "none below zero"),
    ],
)
def test_what_cannot_be_measured_is_told(capsys, words, told):
    assert cli.main(["bench", *words]) == 2
    assert told in capsys.readouterr().err
