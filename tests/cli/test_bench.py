"""`tejat bench data` from the outside: real rates in one JSON object, and a sentence for what is not here yet."""

import json
import subprocess
import sys

import pytest

from tejat import cli

pytest.importorskip("rensa")


def test_rates_of_everything_that_makes_batches():
    words = [sys.executable, "-m", "tejat", "bench", "data", "--json", "--seconds", "0.3", "--workers", "0"]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert {"tokens_per_s", "images_per_s", "dedup_documents_per_s", "positions_used"} <= found.keys()
    # Bounds of another order than any machine's, so that a broken count is noticed and a busy machine is not.
    assert 1e4 < found["tokens_per_s"] < 1e9 and 2 < found["images_per_s"] < 1e6
    assert 50 < found["dedup_documents_per_s"] < 1e7
    assert 0.97 < found["positions_used"] <= 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serve"], "`tejat bench serve` arrives later"),
        (["decode", "--engine", "jax"], "`tejat bench decode` arrives later"),
        (["data", "--workers", "-1"], "none below zero"),
    ],
)
def test_what_cannot_be_measured_is_told(capsys, words, told):
    assert cli.main(["bench", *words]) == 2
    assert told in capsys.readouterr().err
