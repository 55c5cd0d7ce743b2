"""Three ways to ask lm-evaluation-harness's questions of one model: do they agree, item by item?

pip install 'tejat[eval,export]' 'lm-eval[api]' transformers torch accelerate
python benchmarks/reference_adapter.py runs/mini --benchmarks DIR --items 100

The same requests of a multiple-choice task go to our adapter (`tejat.evals.lm_evaluation`), to lm-eval's own for
transformers on an exported checkpoint (`HFLM`, by PyTorch), and to its `local-completions` on our server. Prints the
largest difference of a log-likelihood, the accuracies, and the items whose answers differ, with the margin between
their best two choices. Everything in float32 on a CPU.
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
from collections import defaultdict
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--benchmarks", type=Path, required=True)
    parser.add_argument("--task", default="mmlu_redux_local")
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--no-server", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")

    from tejat import api
    from tejat.evals.ground import Ground
    from tejat.evals.lm_eval_suite import Harnessed
    from tejat.evals.lm_evaluation import TejatLM
    from tejat.export import huggingface

    task = Harnessed(options.task, Ground(benchmarks=options.benchmarks))
    items = task.items()
    chosen = [items[n] for n in np.linspace(0, len(items) - 1, min(options.items, len(items))).astype(int)]
    requests = [instance for item in chosen for instance in task._instances[item.id]]
    right = {item.id: item.choices.index(item.answers[0]) for item in chosen}
    of = [item.id for item in chosen for _ in task._instances[item.id]]
    print(f"{options.task}: {len(chosen)} items, {len(requests)} requests", flush=True)
    checkpoint = Path(tempfile.mkdtemp()) / "checkpoint"
    huggingface.export(options.model, checkpoint)
    ways = {"ours": lambda: TejatLM(api.load(options.model)), "HFLM": lambda: _reference(checkpoint)}
    scores, seconds = {}, {}
    for name, load in ways.items():
        lm, start = load(), time.monotonic()
        scores[name] = np.array([total for total, _ in lm.loglikelihood(requests, disable_tqdm=True)])
        seconds[name] = time.monotonic() - start
        print(f"{name}: {seconds[name]:.0f} s", flush=True)
    if not options.no_server:
        start = time.monotonic()
        scores["server"] = _served(options.model, checkpoint, requests)
        seconds["server"] = time.monotonic() - start
    found = {"model": str(options.model), "task": options.task, "items": len(chosen), "requests": len(requests)}
    by_item: dict[str, list[int]] = defaultdict(list)
    for at, id in enumerate(of):
        by_item[id].append(at)
    for name, mine in scores.items():
        best = {id: int(np.argmax(mine[places])) for id, places in by_item.items()}
        found[name] = {"accuracy": float(np.mean([best[id] == right[id] for id in by_item])), "s": seconds[name]}
        if name != "ours":
            found[name]["largest difference"] = float(np.abs(mine - scores["ours"]).max())
            found[name]["other answers"] = [
                {"item": id, "margin": _margin(scores["ours"][places])}
                for id, places in by_item.items()
                if best[id] != int(np.argmax(scores["ours"][places]))
            ]
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def _margin(scores: np.ndarray) -> float:
    second, first = np.sort(scores)[-2:]
    return float(first - second)


def _reference(checkpoint: Path):
    """lm-eval's adapter on a checkpoint for transformers."""
    import torch
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    network = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return HFLM(pretrained=network, tokenizer=tokenizer, backend="causal", batch_size=8, add_bos_token=True)


def _served(model: Path, checkpoint: Path, requests) -> np.ndarray:
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
            tokenizer=str(checkpoint),
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
        return np.array([total for total, _ in client._loglikelihood_tokens(asked, disable_tqdm=True)])
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
