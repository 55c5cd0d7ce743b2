"""`tejat tune supervised|reward|rlhf|distill`: from a model that talks to one that answers well, or a smaller one."""

import json
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from tejat.cli import freed_memory
from tejat.cli.options import parse
from tejat.errors import BadInput


@dataclass(frozen=True)
class Tune:
    """Tune a model: on dialogues (supervised), on pairs of answers (reward, a model of which is better), on rewards
    for its own answers (rlhf: PPO, GRPO, or DPO, by the recipe), or on what a larger model thinks or writes (distill).
    A run that was stopped goes on with --resume, to the same weights.

    Example: tejat tune supervised recipes/tune_dialogues.py --set data=mine.jsonl
             tejat tune distill recipes/distil_dialogues.py --set teacher=runs/mini/model --set data=mine.jsonl
    """

    stage: Annotated[Literal["supervised", "reward", "rlhf", "distill"], tyro.conf.Positional]
    """What is learnt from."""
    recipe: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RECIPE")]
    """A Python file that defines RECIPE."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on from the newest checkpoint of the directory."""
    out: Path | None = None
    """Where the log, the checkpoints and the model go; runs/NAME, by the recipe's name, if not given."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """Another value for a field of the recipe, as in schedule.peak=0.0002; may be given again."""
    minutes: float | None = None
    """Stop after so many, with a checkpoint and the model so far; go on with --resume."""
    export_chain: Path | None = None
    """Where to write the end of the run in few bytes and in pieces, to go on with on another machine."""
    from_chain: Path | None = None
    """Begin where the chain in this directory ends."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object, what was measured, and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat tune`.

    Raises:
      BadInput: for a recipe, its data, a setting or a directory that cannot be used, and for what is not in this
        version.
    """
    begun = time.monotonic()
    options = parse(Tune, arguments, "tejat tune")
    if options.minutes is not None and not options.minutes > 0:  # nor what is no number
        raise BadInput("--minutes is how long to tune; give more than none")
    if options.from_chain is not None and options.resume:
        raise BadInput("--resume goes on in the same directory and --from-chain in a new one; give one of them")

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.posttrain import loop, recipe
    from tejat.train.recipe import changed, read

    chosen = changed(read(options.recipe, recipe.Tuning), list(options.set))
    work = _work(options.stage, chosen)
    freed_memory.keep(chosen.schedule.steps)
    directory = options.out or Path("runs", chosen.name)
    until = None if options.minutes is None else begun + 60 * options.minutes
    try:
        found = loop.run(
            work,
            directory,
            resume=options.resume,
            until=until,
            from_chain=options.from_chain,
            to_chain=options.export_chain,
            told=Progress(chosen.schedule.steps),
        )
    except loop.Stopped as stop:
        told = f"tejat: {stop}; the model so far is {directory / 'model'}; go on with: {_again(arguments)}"
        print(told, file=sys.stderr)
        return 0 if stop.due else 130
    except (loop.Collapsed, loop.Diverged) as error:
        print(f"tejat: error: {error}", file=sys.stderr)
        return 1
    result = {"name": chosen.name, "directory": str(directory), **found}
    if options.json:
        print(json.dumps(loop.finite(result)))
    else:
        show(result)
    return 0


def _work(stage: str, chosen: Any) -> Any:
    """What the recipe asks for. Raises BadInput for a recipe of another stage, and for one that cannot be done."""
    from tejat.posttrain import limits
    from tejat.posttrain.recipe import Distil, Dpo, Reward, Rlhf, Supervised, found

    stages = {Distil: "distill", Supervised: "supervised", Reward: "reward", Rlhf: "rlhf", Dpo: "rlhf"}
    if (wanted := stages[type(chosen)]) != stage:
        raise BadInput(f"the recipe {chosen.name} is for `tejat tune {wanted}`; `tejat tune {stage}` needs another")
    limits.check(chosen)
    chosen = found(chosen)
    match chosen:
        case Distil():
            from tejat.posttrain.distil import DistilWork

            return DistilWork(chosen, _answered)
        case Supervised():
            from tejat.posttrain.supervised import SupervisedWork

            return SupervisedWork(chosen)
        case Reward():
            from tejat.posttrain.reward import RewardWork

            return RewardWork(chosen)
        case Dpo():
            from tejat.posttrain.dpo import DpoWork

            return DpoWork(chosen)
    from tejat.posttrain.rlhf import RlhfWork

    return RlhfWork(chosen)


def _answered(done: int, whole: int) -> None:
    print(f"tuning: the teacher has answered {done:,} of {whole:,} dialogues", file=sys.stderr, flush=True)


class Progress:
    """A line on standard error now and then: how far it is, how long it will take, how it goes."""

    SECONDS = 10.0
    TOLD = (
        "text_loss",
        "picture_loss",
        "text_divergence",
        "picture_divergence",
        "pair_loss",
        "accuracy",
        "gap",
        "reward",
        "divergence",
        "entropy",
        "ended",
    )

    def __init__(self, steps: int):
        self.steps = steps
        self._said, self._start = 0.0, (0.0, -1)

    def __call__(self, line: dict[str, Any]) -> None:
        now, step = time.monotonic(), line["step"]
        if line.keys() == {"step"}:
            print(f"tuning: {step}/{self.steps}, compiling", file=sys.stderr, flush=True)
            return
        if self._start[1] < 0:
            self._start = now, step
        if now - self._said < self.SECONDS and step < self.steps:
            return
        self._said = now
        rate = (step - self._start[1]) / max(now - self._start[0], 1e-9)
        left = f", {(self.steps - step) / rate:.0f} s left" if rate and step < self.steps else ""
        how = ", ".join(
            f"{name.replace('_', ' ')} {line[name]:.3g}" for name in self.TOLD if line.get(name) is not None
        )
        print(f"tuning: {step}/{self.steps}{left}, {how}", file=sys.stderr, flush=True)


def show(result: dict[str, Any]) -> None:
    """What was measured, as a table."""
    print(f"{result['name']}: {result['step']:,} steps, {result['seconds']:.0f} s; the model is {result['model']}")
    if "heldout_loss" in result:
        print(f"held-out loss: {result['heldout_loss_before']:.4f} → {result['heldout_loss']:.4f} nats a token")
    for kind in ("text", "picture"):
        if result.get(f"heldout_{kind}_loss") is not None:
            print(f"held-out {kind}: {result[f'heldout_{kind}_loss']:.4f} nats a token")
    if "pairs" in result:
        print(f"{'held-out pairs':24} {'n':>6} {'accuracy':>9} {'95%':>15} {'all heads':>10} {'calibration error':>18}")
        for row in result["pairs"]:
            interval = f"{row['low']:.3f} to {row['high']:.3f}"
            right = f"{row['pairs']:6,} {row['accuracy']:9.3f} {interval:>15} {row['together']:10.3f}"
            print(f"{row['name']:24} {right} {row['calibration_error']:18.3f}")
        length = result["length"]
        if length["longer_preferred"] is not None:
            share = f"{length['longer_preferred']:.3f}, where it is the better one in {length['chosen_longer']:.3f}"
            print(f"the longer answer scores higher: {share}")
        for dress, found in result["dress"].items():
            print(
                f"the same answer, {dress}: preferred {found['preferred']:.3f}, shift {found['shift']:+.2f} deviations"
            )
    if "heldout_accuracy" in result:
        print(f"held-out pairs: {result['heldout_pairs']:,}, preferred as told {result['heldout_accuracy']:.3f}")
    if "heldout" in result:
        for kind, after in result["heldout"]["after"].items():
            before = result["heldout"]["before"][kind]
            told = f"{before['reward']:.3f} → {after['reward']:.3f} ({after['low']:.3f} to {after['high']:.3f})"
            print(f"held-out {kind}: reward {told}, n = {after['n']:,}")


def _again(arguments: list[str]) -> str:
    """The command that goes on."""
    kept, words = [], iter(arguments)
    for word in words:
        if word == "--from-chain":
            next(words, None)
        elif word != "--resume" and not word.startswith("--from-chain="):
            kept.append(word)
    return shlex.join(["tejat", "tune", *kept, "--resume"])
