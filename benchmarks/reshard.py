"""A checkpoint saved on many devices of one host, restored on half as many, a quarter, and one: does the loss jump?

    python benchmarks/reshard.py recipes/mini_15m.py --devices 8 --set pictures=PATH     on 8 GPUs, with a corpus
    python benchmarks/reshard.py tests/train/smallest.py --devices 4 --virtual           on a processor

The run is trained on all devices (fsdp) up to the middle and ended there. Copies of its directory are gone on with, on
all devices and on fewer, on the same batches; the losses of the steps after the joint stand side by side. On one kind
of device they differ by the order in which sums are made, and a wrong restore would show at once.
"""

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import stopping
import tyro


@dataclass(frozen=True)
class Options:
    recipe: tyro.conf.Positional[Path]
    devices: int = 8
    steps: int = 24
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    virtual: tyro.conf.FlagCreatePairsOff[bool] = False
    """Devices that a processor pretends to have."""
    limit: float = 240.0
    """Seconds for each."""
    most: float = 2e-3
    """By how much of itself a loss may differ."""


def main(options: Options) -> int:
    counts = [options.devices]
    while counts[-1] > 1:
        counts.append(counts[-1] // 2)
    with tempfile.TemporaryDirectory() as place:
        first = Path(place) / "first"
        train(options, first, options.devices, stop=options.steps // 2)
        joint = len((first / "log.jsonl").read_text().splitlines())
        losses, seconds = {}, {}
        for count in counts:
            mine = Path(place) / f"on-{count}"
            shutil.copytree(first, mine)
            seconds[count] = train(options, mine, count)
            lines = [json.loads(line) for line in (mine / "log.jsonl").read_text().splitlines()]
            losses[count] = [line["text_loss"] for line in lines[joint:]]
    worst = max(abs(a / b - 1) for each in losses.values() for a, b in zip(each, losses[options.devices], strict=True))
    print(f"joint after step {joint} of {options.steps}, saved on {options.devices} devices\n")
    print("| devices | first step after it | last step | seconds |\n|---|---|---|---|")
    for count, each in losses.items():
        print(f"| {count} | {each[0]:.6f} | {each[-1]:.6f} | {seconds[count]:.0f} |")
    print(f"\nthe largest difference is {worst:.2g} of a loss")
    return 0 if worst <= options.most else 1


def train(options: Options, out: Path, devices: int, stop: int = 0) -> float:
    """Seconds. With `stop`, told to end after so many steps; goes on where `out` is a run."""
    settings = (*options.set, f"schedule.steps={options.steps}", "log_every=1")
    command = [sys.executable, "-m", "tejat", "train", str(options.recipe), "--out", str(out), "--json"]
    command += [word for setting in settings for word in ("--set", setting)] + ["--resume"] * out.is_dir()
    command += ["--mesh", f"fsdp={devices}"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(devices)))}
    if options.virtual:
        environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    name = f"on {devices} devices"
    return stopping.run(command, out / "log.jsonl", options.limit, name=name, stop=stop, environment=environment)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
