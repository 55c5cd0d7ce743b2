"""A learned metric of translations where one is installed: COMET (Rei et al. 2020), by its own command.

COMET wants older packages than Tejat, so it lives in an environment of its own (`pipx install unbabel-comet`). Its
`comet-score` has to be on the path, and TEJAT_COMET names the model: a checkpoint's path, or a name that it fetches.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tejat.errors import BadInput

MODEL = "TEJAT_COMET"


def installed() -> bool:
    """Is there a model to ask, and the command that asks it?"""
    return bool(os.environ.get(MODEL)) and shutil.which("comet-score") is not None


def comet(sources: Sequence[str], answers: Sequence[str], references: Sequence[str]) -> list[float]:
    """A score for each answer, near 1 where it is as good as its reference. Raises BadInput where the command fails."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("sources", "answers", "references")]
        for path, texts in zip(paths, (sources, answers, references), strict=True):
            path.write_text("".join(" ".join(text.split()) + "\n" for text in texts), encoding="utf-8")
        told = Path(folder, "scores.json")
        files = [word for flag, path in zip(("-s", "-t", "-r"), paths, strict=True) for word in (flag, str(path))]
        how = ["--model", os.environ[MODEL], "--gpus", "0", "--quiet", "--to_json", str(told)]
        done = subprocess.run(["comet-score", *files, *how], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode or not told.is_file():
            why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise BadInput(f"comet-score failed with the model {os.environ[MODEL]!r} ({why}); mend it or unset {MODEL}")
        (scored,) = json.loads(told.read_text(encoding="utf-8")).values()
        return [float(one["COMET"]) for one in scored]
