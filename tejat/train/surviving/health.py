"""Is this host fit to take part in a run? By `tejat doctor --scan`, in a process that gives its devices back."""

import json
import subprocess
import sys

PATIENCE = 900.0
"""Seconds beside those of the scan itself: it compiles, and fills the devices' memory."""


def ailment(seconds: float) -> str | None:
    """What is wrong with this host; None where a scan of so many seconds finds nothing."""
    command = [sys.executable, "-m", "tejat", "doctor", "--scan", "--seconds", f"{seconds:g}", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        return "a scan of it does not end"
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"a scan of it ends with code {done.returncode}: {last}"
    return None if report["ok"] else " ".join(report["problems"])
