"""`tejat bench serve` from the outside: a server that is asked for more than it can do refuses, and loses nothing."""

import json
import subprocess
import sys

import pytest

from tejat import bundle, cli


@pytest.mark.slow
def test_everything_is_accounted_for(tiny, tmp_path) -> None:
    bundle.save(tmp_path / "model", tiny)
    words = [sys.executable, "-m", "tejat", "bench", "serve", str(tmp_path / "model"), "--json", "--seconds", "1.5"]
    load = ["--rates", "0.5", "10", "--slots", "2", "--tokens", "100", "--wait", "0.05", "--leaving", "0.2"]
    done = subprocess.run([*words, *load], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["model"], found["untrained"], found["lost"], found["http_5xx"]) == ("tiny", False, 0, 0)
    below, above = found["runs"]
    for run in (below, above):
        ends = sum(run[name] for name in ("answered", "refused", "left", "lost", "http_4xx", "http_5xx"))
        assert ends == run["requests"] and run["http_4xx"] == 0
        assert run["answered"] and 0 < run["ttft_ms_p50"] <= run["ttft_ms_p99"] and run["token_ms_p50"] > 0
    assert above["refused"] > above["answered"] and above["left"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no-such-model"], "no-such-model"),
        (["micro", "--rates", "0"], "above 0"),
        (["micro", "--leaving", "2"], "share of 1"),
        (["micro", "--slots", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_measured_is_told(words, told, capsys) -> None:
    assert cli.main(["bench", "serve", *words]) == 2
    assert told in capsys.readouterr().err
