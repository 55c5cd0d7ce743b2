"""`tejat bench train --ways`: the same step packed and not, fast, deterministic and in 8-bit floats."""

import json
import subprocess
import sys
from typing import Any

WAYS = {
    "one document a row": (False, ()),
    "one document a row, deterministic": (False, ("--deterministic",)),
    "packed": (True, ()),
    "packed, deterministic": (True, ("--deterministic",)),
    "packed, 8-bit floats": (True, ("--float8",)),
}
"""(are rows packed, further words) of each."""


def run(arguments: list[str], document: int, as_json: bool) -> int:
    """All of them, one after the other, in processes of their own. `document`: the mean length in packed rows."""
    words, skip = [], False
    for word in arguments:
        taken = word in ("--ways", "--json") or word.startswith("--document=")
        if not (skip or taken or word == "--document"):
            words.append(word)
        skip = word == "--document"
    found: list[dict[str, Any]] = []
    for name, (packed, more) in WAYS.items():
        if not packed and "--media" in words:
            continue  # images and sounds come in documents
        print(f"{name} …", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "tejat", "bench", "train", *words, *more, "--json"]
        command += ["--document", str(document)] if packed else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 2:
            print(done.stderr.strip().splitlines()[-1], file=sys.stderr)
            return 2
        made = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"error": _last(done.stderr)}
        found.append({"way": name} | made)
        print(f"  {told(found[-1])}", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps({"ways": found}))
    else:
        print("| rows | tokens/s | MFU | ms a step | GiB | text loss of the last step |\n|---|---|---|---|---|---|")
        for each in found:
            print(f"| {each['way']} | {told(each)} |")
    return 1 if any("error" in each for each in found) else 0


def told(each: dict[str, Any]) -> str:
    if "error" in each:
        return f"{each['error']} | – | – | – | –"
    return (
        f"{each['tokens_per_s']:,.0f} | {each['mfu']:.1%} | {each['step_s'] * 1e3:,.1f} | {each['memory_gib']:.1f} | "
        f"{each['losses'][-1]:.4f}"
    )


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if "rror" in line] or ["failed"]
    return lines[-1].strip()[:160]
