"""A command of training that is waited for, or told to end once its log has so many lines."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(
    command: Sequence[str],
    log: Path,
    limit: float,
    *,
    name: str,
    stop: int = 0,
    environment: Mapping[str, str] | None = None,
) -> float:
    """Seconds. With `stop`, it is sent SIGTERM when `log` has so many lines. Ends the program with a sentence about
    `name` where it fails, or is not done within `limit` seconds."""
    begun, ended = time.monotonic(), False
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and time.monotonic() < begun + limit:
        if stop and not ended and log.is_file() and len(log.read_text().splitlines()) >= stop:
            child.send_signal(signal.SIGTERM)
            ended = True
        time.sleep(0.1)
    if child.poll() is None:
        child.kill()
        raise SystemExit(f"{name}: not done in {limit:.0f} s")
    _, error = child.communicate()
    if child.returncode not in ((0, 130) if stop else (0,)):
        raise SystemExit(f"{name}: {error.strip().splitlines()[-1][:300]}")
    return time.monotonic() - begun
