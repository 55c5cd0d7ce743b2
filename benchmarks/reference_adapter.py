"""Three ways to ask lm-evaluation-harness's questions of one model: do they agree, item by item?

pip install 'tejat[eval,export]' 'lm-eval[api]' transformers torch accelerate
python benchmarks/reference_adapter.py mini --tasks sample_capitals_local sample_names_local --no-server
python benchmarks/reference_adapter.py mini --tasks mmlu_redux_local --benchmarks DIR --items 100

The same requests of multiple-choice tasks go to our adapter (`tejat.evals.lm_evaluation`), to lm-eval's own for
transformers on an exported checkpoint (`HFLM`, by PyTorch), and to its `local-completions` on our server. Prints the
largest difference of a log-likelihood, the accuracies, and the items whose answers differ, with the margin between
their best two choices. Everything in float32 on a CPU, ours by JAX: ONNX Runtime rounds what it multiplies four bits by
(--engine onnx shows how much).
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model that comes with Tejat, or the directory of one")
    parser.add_argument("--benchmarks", type=Path)
    parser.add_argument("--tasks", nargs="+", default=["sample_capitals_local", "sample_names_local"])
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--engine", choices=("jax", "onnx"), default="jax")
    parser.add_argument("--no-server", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")

    from tejat import api, bundle
    from tejat.evals.lm_evaluation import TejatLM

    directory, found = bundle.find(options.model), []
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = TejatLM(api.load(directory, options.engine)), reference(directory, Path(folder))
        for task in options.tasks:
            ways = {"ours": ours.loglikelihood, "HFLM": theirs.loglikelihood}
            if not options.no_server:
                ways["server"] = lambda requests, **_: _served(directory, Path(folder), requests)
            found.append({"model": options.model, "engine": options.engine, "task": task})
            found[-1] |= compare(task, options.items, ways, options.benchmarks)
            print(json.dumps(found[-1], indent=1), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def compare(name: str, most: int, ways: Mapping[str, Callable[..., Any]], benchmarks: Path | None = None) -> dict:
    """Asks `most` items of a task, from all over it, in each way; what the first says is what the others are held to.

    Of every way: its accuracy and seconds; of the others the largest difference of a log-likelihood, and the items that
    they answer otherwise, with the margin between the first way's best two choices.
    """
    from tejat.evals.ground import Ground
    from tejat.evals.lm_eval_suite import Harnessed

    task = Harnessed(name, Ground(benchmarks=benchmarks))
    items = task.items()
    chosen = [items[n] for n in np.linspace(0, len(items) - 1, min(most, len(items))).astype(int)]
    requests = [instance for item in chosen for instance in task._instances[item.id]]
    places, at = {}, 0
    for item in chosen:
        places[item.id] = slice(at, at := at + len(item.choices))
    found: dict[str, Any] = {"items": len(chosen), "requests": len(requests)}
    first: np.ndarray | None = None
    for way, ask in ways.items():
        begun = time.monotonic()
        mine = np.array([total for total, _ in ask(requests, disable_tqdm=True)])
        first = mine if first is None else first
        said = {id: int(np.argmax(mine[place])) for id, place in places.items()}
        right = [item.choices[said[item.id]] in item.answers for item in chosen]
        found[way] = {"accuracy": float(np.mean(right)), "s": time.monotonic() - begun}
        if mine is not first:
            found[way]["largest difference"] = float(np.abs(mine - first).max())
            found[way]["other answers"] = [
                {"item": id, "margin": _margin(first[place])}
                for id, place in places.items()
                if said[id] != int(np.argmax(first[place]))
            ]
    return found


def _margin(scores: np.ndarray) -> float:
    second, first = np.sort(scores)[-2:]
    return float(first - second)


def reference(model: Path, folder: Path) -> Any:
    """lm-eval's adapter on a model, exported into a folder for transformers."""
    import torch
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    from tejat.export import huggingface

    checkpoint = folder / "checkpoint"
    huggingface.export(model, checkpoint)
    network = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return HFLM(pretrained=network, tokenizer=tokenizer, backend="causal", batch_size=8, add_bos_token=True)


def _served(model: Path, folder: Path, requests) -> list[tuple[float, bool]]:
    """Through `tejat serve`, in a process of its own, by lm-eval's client of any completions server."""
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    from tejat import bundle
    from tejat.codecs.vocabulary import BOS

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "tejat", "serve", "--model", str(model), "--port", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
    try:
        address = f"http://127.0.0.1:{port}/v1"
        for _ in range(600):
            try:
                name = json.load(urllib.request.urlopen(f"{address}/models"))["data"][0]["id"]
                break
            except OSError:
                time.sleep(0.5)
        client = LocalCompletionsAPI(
            base_url=f"{address}/completions",
            model=name,
            tokenizer=str(folder / "checkpoint"),
            tokenizer_backend="huggingface",
            tokenized_requests=True,
            batch_size=8,
        )
        vocabulary = bundle.load(model).vocabulary
        asked = []
        for request in requests:
            context, continuation = request.args[:2]
            whole = [BOS, *vocabulary.encode(context + continuation)]
            head = len([BOS, *vocabulary.encode(context.rstrip())])
            asked.append(((context, continuation), whole[:head], whole[head:]))
        return client._loglikelihood_tokens(asked, disable_tqdm=True)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
