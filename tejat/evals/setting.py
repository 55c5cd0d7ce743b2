"""Where and how a number was measured: without this it is not a result."""

import os
import platform
import shlex
import sys
from pathlib import Path


def command() -> str:
    """The command line of this process, as one would type it."""
    return shlex.join(["tejat", *sys.argv[1:]])


def called(model: Path) -> str:
    """What a model is called among others: its directory's name; of runs/NAME/model, as training writes it, NAME."""
    name, above = model.name, model.parent.name
    return above if name == "model" and above else name


def hardware() -> str:
    """The devices that compute, and the version of JAX that drives them."""
    import jax

    devices = jax.devices()
    if devices[0].platform == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        found = f"{cores} {'core' if cores == 1 else 'cores'} of {_processor()}"
    else:
        found = f"{len(devices)} × {devices[0].device_kind}"
    return f"{found}, JAX {jax.__version__}"


def _processor() -> str:
    """The name of the processor; Linux tells it in /proc, other systems tell Python."""
    told = Path("/proc/cpuinfo")
    names = [line for line in told.read_text().splitlines() if line.startswith("model name")] if told.is_file() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()
