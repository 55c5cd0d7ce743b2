"""A run that is stopped and goes on in a fresh process, and one that is made again: the same weights, to the bit?

    python benchmarks/bit_exact.py recipes/mini_15m.py --steps 60 --set pictures=PATH    on one GPU, with a corpus
    python benchmarks/bit_exact.py recipes/micro.py --steps 24 --bfloat16 --width 64 --no-fast
    python benchmarks/bit_exact.py tests/train/smallest.py --steps 8                     on a processor

Three runs of the recipe, all `deterministic`: whole; stopped in the middle and gone on with by another process, with
the kernels that were chosen kept beside its checkpoint; and the whole once more in a directory that is given the first
one's choice of kernels. Then, unless --no-fast, two runs that are not, to show what the mode is for. Prints tokens a
second too. "kernels" tells whether the decoder's attention met the kernels that a GPU has: 16-bit rows, of more than a
few tokens, with heads of certain widths do.
"""

import hashlib
import json
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
    steps: int = 60
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    bfloat16: tyro.conf.FlagCreatePairsOff[bool] = False
    """Compute in it; as the recipe has it without."""
    width: int | None = None
    """Of the decoder's heads; the recipe's without."""
    fast: bool = True
    """Two runs that are not deterministic, too."""
    limit: float = 300.0
    """Seconds for each process."""


def main(options: Options) -> int:
    with tempfile.TemporaryDirectory() as place:
        at, found = Path(place), []

        def tell(name: str, directory: str, seconds: float) -> None:
            found.append(told(name, at / directory, seconds))
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)

        tell("whole", "whole", train(options, at / "whole", True))
        train(options, at / "stopped", True, stop=options.steps // 2, chosen=at / "whole")
        tell("stopped, gone on with", "stopped", train(options, at / "stopped", True, resume=True))
        tell("made again", "again", train(options, at / "again", True, chosen=at / "whole"))
        for name in ("fast", "fast again") if options.fast else ():
            directory = name.replace(" ", "-")
            tell(name, directory, train(options, at / directory, False))
    same = len({each["weights"] for each in found[:3]}) == 1 and len({each["losses"] for each in found[:3]}) == 1
    print(json.dumps({"same": same, "kernels": by_kernels(options), "runs": found}, indent=1))
    return 0 if same else 1


def settings(options: Options) -> list[str]:
    """What is changed of the recipe, as `tejat train --set` has it."""
    wide = [f"config.decoder.head_width={options.width}"] if options.width else []
    return [*options.set, *wide, *["bfloat16=true"] * options.bfloat16]


def by_kernels(options: Options) -> bool:
    """Does the decoder's attention of these runs meet the kernels of a GPU, where there is one?"""
    import jax

    from tejat.model import interval_kernel
    from tejat.train import recipe

    found = recipe.changed(recipe.read(options.recipe), settings(options))
    fits = found.config.decoder.head_width in interval_kernel.WIDTHS and found.room.tokens > interval_kernel.LEAST
    return jax.default_backend() == "gpu" and found.bfloat16 and fits


def train(
    options: Options, out: Path, exact: bool, *, stop: int = 0, resume: bool = False, chosen: Path | None = None
) -> float:
    """Seconds. With `stop`, told to end after so many steps; `chosen`: the directory whose kernels it takes."""
    if chosen is not None and (chosen / "autotuned.txt").is_file():
        out.mkdir(parents=True)
        shutil.copy(chosen / "autotuned.txt", out)
    told = [*settings(options), f"schedule.steps={options.steps}", "log_every=1", f"deterministic={exact}"]
    command = [sys.executable, "-m", "tejat", "train", str(options.recipe), "--out", str(out), "--json"]
    command += [word for setting in told for word in ("--set", setting)] + ["--resume"] * resume
    return stopping.run(command, out / "log.jsonl", options.limit, name=out.name, stop=stop)


def told(name: str, out: Path, seconds: float) -> dict:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    losses = json.dumps([[line["text_loss"], line["picture_loss"], line["gradient_norm"]] for line in lines])
    return {
        "run": name,
        "weights": hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest()[:16],
        "losses": hashlib.sha256(losses.encode()).hexdigest()[:16],
        "last_text_loss": lines[-1]["text_loss"],
        "tokens_per_s": sorted(line["tokens_per_s"] for line in lines)[len(lines) // 2],
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
