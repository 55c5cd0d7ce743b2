"""`tejat doctor`: what this machine has, and whether it computes correctly.

Exit code 0 when nothing is wrong, 1 when something is; every problem is one sentence.
"""

import json
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import tyro

import tejat
from tejat import memory
from tejat.cli.options import only_with, parse
from tejat.errors import BadInput

# What `tejat` itself imports; the extras are looked for where they are used.
_DEPENDENCIES = (
    "jax",
    "jaxlib",
    "numpy",
    "optax",
    "orbax-checkpoint",
    "grain",
    "array-record",
    "sentencepiece",
    "safetensors",
    "pillow",
    "av",
    "starlette",
    "uvicorn",
    "llguidance",
)
_MATMUL_SECONDS = 1.0
# float32 products of standard normal matrices, 1,024 terms each: rounding stays near 1e-6 of the largest entry.
_MATMUL_TOLERANCE = 1e-5
_GIB = 1 << 30


@dataclass(frozen=True)
class Doctor:
    """Show what this machine has, and check that it computes correctly.

    Example: tejat doctor --json
             tejat doctor --scan --seconds 600
    """

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""
    scan: tyro.conf.FlagCreatePairsOff[bool] = False
    """Look for silent corruption: products, sums and memory of every device, against digests that are known."""
    seconds: float = 20.0
    """That --scan takes, for all devices together; each is looked at once at least."""


def main(arguments: list[str]) -> int:
    """Run `tejat doctor`. Raises BadInput for a time that is none."""
    options = parse(Doctor, arguments, "tejat doctor")
    if not options.scan:
        only_with("--scan", options, "seconds")
    if not options.seconds > 0:
        raise BadInput(f"--seconds {options.seconds:g} is no time for a scan; give more than none")
    report = examine()
    if options.scan and report["devices"]:
        report["scan"] = _scan(options.seconds, report["problems"])
        report["ok"] = not report["problems"]
    if options.json:
        print(json.dumps(report))
    else:
        _show(report)
    return 0 if report["ok"] else 1


def examine() -> dict[str, Any]:
    """Everything that `tejat doctor` knows, as a tree that `json` can write. Bytes are bytes, errors are relative."""
    problems: list[str] = []
    versions = {name: _installed_version(name) for name in _DEPENDENCIES}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        problems.append(f"Not installed: {', '.join(missing)}; `pip install tejat` installs all of them.")
    sample, weights = (_package_files(folder, problems) for folder in ("sample", "weights"))
    if not sample["present"]:
        problems.append("The sample data is not here; install Tejat again from a complete wheel or clone.")
    devices = [] if missing else _devices(problems)
    return {
        "ok": not problems,
        "problems": problems,
        "tejat": tejat.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "cores": _usable_cores(),
        "memory_bytes": memory.whole(),
        "disk_free_bytes": shutil.disk_usage(Path.cwd()).free,
        "sample": sample,
        "weights": weights,
        "devices": devices,
    }


def _scan(seconds: float, problems: list[str]) -> list[dict[str, Any]]:
    """What `--scan` adds: for each device, what was looked at and what failed."""
    from tejat.train.auditing import scan

    def told(line: str) -> None:
        if sys.stderr.isatty():
            print(f"scan: {line}", file=sys.stderr, flush=True)

    found = scan.scan(seconds, told)
    for one in found:
        if not one.ok:
            wrong = ", ".join(f"{check} ({times} of {one.checks} checks)" for check, times in one.failed.items())
            problems.append(f"{one.device} computes wrongly: {wrong}; take it out, and do not train on it.")
    return [one.to_json() for one in found]


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _usable_cores() -> int:
    """Cores this process may use, which in a container or a batch job can be fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _package_files(folder: str, problems: list[str]) -> dict[str, Any]:
    """Count the files under a folder of the package, opening each, and the header of each weights file."""
    root = resources.files("tejat") / folder
    count = size = 0
    for file in _walk(root):
        try:
            size += _check_readable(file)
            count += 1
        except Exception as error:
            problems.append(f"{file} cannot be read ({error}); install Tejat again.")
    return {"present": count > 0, "files": count, "bytes": size}


def _walk(folder: Traversable) -> list[Traversable]:
    if not folder.is_dir():
        return []
    files: list[Traversable] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            files += [] if entry.name == "__pycache__" else _walk(entry)
        elif not entry.name.endswith(".py"):
            files.append(entry)
    return files


def _check_readable(file: Traversable) -> int:
    """The size of a file in bytes, after reading its first byte or, for weights, its table of tensors."""
    with resources.as_file(file) as path:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="numpy") as tensors:
                tensors.keys()
        else:
            with path.open("rb") as stream:
                stream.read(1)
        return path.stat().st_size


def _devices(problems: list[str]) -> list[dict[str, Any]]:
    """Every device of this process with its memory, and a product of matrices checked on it."""
    import jax

    try:
        devices = jax.local_devices()
    except RuntimeError as error:
        problems.append(f"JAX finds no device ({error}); check the driver, or set JAX_PLATFORMS=cpu.")
        return []
    found = []
    for device in devices:
        statistics = device.memory_stats() or {}
        check = _check_matmul(device, _MATMUL_SECONDS / len(devices))
        if not check["relative_error"] < _MATMUL_TOLERANCE:  # written so that NaN is a problem too
            wrong = f"{check['relative_error']:.1e}"
            problems.append(f"{device} multiplies matrices wrongly (relative error {wrong}); do not train on it.")
        found.append(
            {
                "name": str(device),
                "kind": device.device_kind,
                "platform": device.platform,
                "memory_bytes": statistics.get("bytes_limit"),
                "matmul": check,
            }
        )
    return found


def _check_matmul(device: Any, seconds: float) -> dict[str, Any]:
    """Multiply float32 matrices on a device: largest error against NumPy's float64, and the speed over `seconds`."""
    import jax
    import numpy as np

    @jax.jit
    def multiply(left: jax.Array, right: jax.Array) -> jax.Array:
        return jax.numpy.matmul(left, right, precision="highest")

    random = np.random.default_rng(0)
    left, right = random.standard_normal((2, 1024, 1024), dtype=np.float32)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    got = np.asarray(multiply(jax.device_put(left, device), jax.device_put(right, device)), dtype=np.float64)
    error = float(np.abs(got - exact).max() / np.abs(exact).max())

    # Accelerators need larger matrices before arithmetic, not launching, takes the time.
    width = 1024 if device.platform == "cpu" else 4096
    square = jax.device_put(np.ones((width, width), np.float32), device)
    multiply(square, square).block_until_ready()
    start, products = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        multiply(square, square).block_until_ready()
        products += 1
    return {"dtype": "float32", "relative_error": error, "gflops": 2 * width**3 * products / elapsed / 1e9}


def _show(report: dict[str, Any]) -> None:
    """Print a report: a table in a terminal, plain lines elsewhere."""
    rows = _rows(report)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(show_header=False, box=None)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    else:
        for name, value in rows:
            print(f"{name}: {value}")
    for problem in report["problems"]:
        print(f"problem: {problem}")
    if report["ok"]:
        print("No problems found.")


def _rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [(name, report[name]) for name in ("tejat", "python", "platform")]
    rows += [(name, version or "missing") for name, version in report["versions"].items()]
    rows += [
        ("cores", str(report["cores"])),
        ("memory", f"{report['memory_bytes'] / _GIB:.1f} GiB"),
        ("free disk", f"{report['disk_free_bytes'] / _GIB:.1f} GiB"),
    ]
    for name in ("sample", "weights"):
        found = report[name]
        rows.append((name, f"{found['files']} files, {found['bytes'] / 1e6:.1f} MB" if found["present"] else "none"))
    for device in report["devices"]:
        size = f", {device['memory_bytes'] / _GIB:.1f} GiB" if device["memory_bytes"] else ""
        check = device["matmul"]
        speed = f"{check['gflops']:,.0f} GFLOP/s in {check['dtype']}, relative error {check['relative_error']:.0e}"
        rows.append((device["name"], f"{device['kind']}{size}, {speed}"))
    for one in report.get("scan", ()):
        told = "good" if one["ok"] else "BAD"
        size = f"{one['memory_bytes'] / _GIB:.1f} GiB of memory"
        rows.append((f"scan of {one['device']}", f"{told}: {one['checks']} checks in {one['rounds']} rounds, {size}"))
    return rows
