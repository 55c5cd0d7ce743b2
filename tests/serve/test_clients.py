"""Unmodified clients against `tejat serve`: only the address differs from what their documentation says.

Each is installed into a throw-away environment of its own; where no package index or npm can be reached, it is skipped.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tejat.parts import Audio, Image, to_png, to_wav

pytestmark = pytest.mark.slow
CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="module")
def address(served) -> str:
    return f"http://127.0.0.1:{served.port}"


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> Path:
    directory, random = tmp_path_factory.mktemp("media"), np.random.default_rng(0)
    (directory / "cat.png").write_bytes(to_png(Image(random.integers(0, 256, (64, 96, 3), np.uint8))))
    wave = np.sin(np.arange(16_000) / 10).astype(np.float32) / 2
    (directory / "word.wav").write_bytes(to_wav(Audio(wave)))
    (directory / "note.txt").write_text("A note about cats.")
    (directory / "big.bin").write_bytes(random.bytes(20 << 20))
    with av.open(str(directory / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(30):
            grey = np.full((48, 64, 3), n * 8, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return directory


def environment(directory: Path, *packages: str) -> Path:
    """The Python of a new environment that holds the packages."""
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    python = directory / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *packages]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{packages[0]} cannot be installed here: {done.stderr.strip()[-300:]}")
    return python


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=900, cwd=cwd)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("version", ["==1.30.0", ">=1.30,<2", ">=3.0"])
def test_google_genai(address, media, tmp_path, version: str) -> None:
    python = environment(tmp_path / "v", f"google-genai{version}", "pillow")
    assert "all examples ran" in run(python, CLIENTS / "google_genai.py", address, media)


def test_openai(address, media, tmp_path) -> None:
    python = environment(tmp_path / "v", "openai>=2")
    assert "all examples ran" in run(python, CLIENTS / "openai_client.py", address, media)


def test_google_genai_of_node(address, media, tmp_path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "@google/genai"]
    if subprocess.run(install, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("@google/genai cannot be installed here")
    shutil.copy(CLIENTS / "google_genai.mjs", tmp_path)
    assert "all examples ran" in run("node", "google_genai.mjs", address, media, cwd=tmp_path)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(address, media) -> None:
    assert "all examples ran" in run("bash", CLIENTS / "curl.sh", address, media)


def test_lm_eval(address, tiny, tmp_path, monkeypatch) -> None:
    """A choice by likelihood and a written answer, without a tokenizer of the client's own; item by item what lm-eval
    finds of the same model in its own process."""
    python = environment(tmp_path / "v", "lm-eval[api]>=0.4.10,<0.5")
    rows = [{"q": f"After {n} comes", "good": f" {n + 1}", "bad": f" {n + 7}", "answer": 0} for n in range(6)]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shared = "dataset_path: json\ndataset_kwargs: {data_files: {test: data.jsonl}}\ntest_split: test\n"
    (tmp_path / "choice.yaml").write_text(
        f"task: choice\n{shared}output_type: multiple_choice\ndoc_to_text: '{{{{q}}}}'\n"
        "doc_to_choice: '{{[good, bad]}}'\ndoc_to_target: answer\nmetric_list: [{metric: acc}]\n"
    )
    (tmp_path / "writing.yaml").write_text(
        f"task: writing\n{shared}output_type: generate_until\ndoc_to_text: '{{{{q}}}}'\ndoc_to_target: '{{{{good}}}}'\n"
        'generation_kwargs: {until: ["\\n"], max_gen_toks: 8}\nmetric_list: [{metric: exact_match}]\n'
    )
    arguments = f"model=tiny,base_url={address}/v1/completions,num_concurrent=2,max_retries=1,tokenized_requests=True"
    command = ["-m", "lm_eval", "--model", "local-completions", "--model_args", arguments, "--tasks", "choice,writing"]
    run(python, *command, "--include_path", ".", "--output_path", "out", "--log_samples", cwd=tmp_path)
    (path,) = (tmp_path / "out").rglob("results_*.json")
    results = json.loads(path.read_text())["results"]
    assert 0 <= results["choice"]["acc,none"] <= 1 and results["writing"]["exact_match,none"] == 0

    lm_eval = pytest.importorskip("lm_eval", reason="needs `pip install 'tejat[eval]'`")
    from lm_eval.tasks import TaskManager

    from tejat.api import Model
    from tejat.evals.lm_evaluation import TejatLM

    monkeypatch.chdir(tmp_path)
    tasks = {"tasks": ["choice", "writing"], "task_manager": TaskManager(include_path=".")}
    here = lm_eval.simple_evaluate(TejatLM(Model(tiny)), **tasks, bootstrap_iters=0)
    assert here["results"]["choice"]["acc,none"] == results["choice"]["acc,none"]
    for task in ("choice", "writing"):
        (path,) = (tmp_path / "out").rglob(f"samples_{task}_*.jsonl")
        there = {one["doc_id"]: one["filtered_resps"] for one in map(json.loads, path.read_text().splitlines())}
        mine = {one["doc_id"]: one["filtered_resps"] for one in here["samples"][task]}
        assert len(there) == len(mine) == 6
        for number, found in mine.items():
            if task == "writing":
                assert there[number] == found and found[0]
                continue
            for (total, greedy), (own_total, own_greedy) in zip(there[number], found, strict=True):
                assert float(total) == pytest.approx(float(own_total), abs=1e-3)
                assert str(greedy) == str(own_greedy)


def test_schemathesis_finds_no_5xx(address, tmp_path) -> None:
    """What our OpenAPI document allows and what it does not, NULs among it."""
    python = environment(tmp_path / "v", "schemathesis>=4,<5")
    options = ["--mode", "all", "--checks", "not_a_server_error", "--max-examples", "60", "--request-timeout", "60"]
    options += ["--phases", "coverage,fuzzing", "--continue-on-failure", "--suppress-health-check", "all"]
    told = run(python.parent / "schemathesis", "run", f"{address}/openapi.json", *options, "-w", "1", cwd=tmp_path)
    assert "Tested: 33" in told
