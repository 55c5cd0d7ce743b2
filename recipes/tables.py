"""The tables of mini's model card, of factuality and of safety, made anew: `make tables`.

python recipes/tables.py                         what is there is measured: the model that ships, and what runs/ has
python recipes/tables.py --train --gpus 3        before it, the models of docs/FACTUALITY.md's table are trained
python recipes/tables.py --train --after mini --base MODEL      from a model that has the behaviours, and one without
python recipes/tables.py --train --gpus 4 --share 2              two at a time on each GPU, which mini does not fill
python recipes/tables.py --train --updates 120 --set room.rows=16 --set how.unrolled=false     for less
python recipes/tables.py --rest --masters MODEL  all tasks of all suites besides, of MODEL in 16 bits too, pair by pair
python recipes/tables.py --show                  what would be done, and nothing more

Needs a corpus (`tejat data build recipes/corpus.py`) and, to train, a model without the behaviours (--base). Every step
has a directory under --out: one that is whole is passed over, one that was stopped goes on, so that the same command is
given again after whatever ended it. What must follow each other is a chain; chains share the GPUs, to train and to
measure. What a step says is in OUT/tables/NAME.log, what it was asked in NAME.command beside it: asked otherwise, it is
not done. A step that fails ends its chain, not the others.

What the model card has stands in OUT/tables/card.md in the end, of whatever was measured: aims, then all tasks of all
suites; in samples.md beside it are answers by lot (recipes/samples.py), in cost-SEED what behaviours cost elsewhere.
Drawings are judged where runs/judge is; --judge and --train make it, and its peer beside which names of pictures are
told (two minutes of a GPU each).

Of each SEED: without-SEED dialogues; with-SEED two fifths behaviours; and from with-SEED on, as many updates each:
more-SEED supervised on the right answers to what RLHF asks, dpo-SEED, and reward-SEED with grpo-SEED and ppo-SEED.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from tejat import bundle
from tejat.errors import BadInput
from tejat.evals import setting

HERE = Path(__file__).parent
TEJAT = (sys.executable, "-m", "tejat")
WAYS = ("without", "with", "more", "dpo", "grpo", "ppo")
"""Columns of the table, in this order."""
SUITES = ("promised", "quick", "pictures", "long-context", "factuality", "safety")
SKILLS = ("count", "where", "read", "advice", "translate", "from-english", "into-english", "check-solution", "physics")
SKILLS += ("figure-to-code", "state", "state-chosen", "order", "order-chosen", "way", "way-chosen")
"""Tasks of "all" that the card tells of and none of those suites has."""


@dataclass(frozen=True)
class Step:
    """A command, a file that is there when all of it has been done, and files that must be there before."""

    name: str
    command: tuple[str, ...]
    made: Path
    needs: tuple[Path, ...] = ()

    def done(self, out: Path) -> bool:
        """Is it, by this very command? `out` is where it was noted; what nobody noted counts as made by it."""
        noted = self.noted(out)
        return self.made.is_file() and (not noted.is_file() or noted.read_text() == self.asked)

    def noted(self, out: Path) -> Path:
        return out / "tables" / f"{self.name}.command"

    @property
    def asked(self) -> str:
        """The command, whether it begins or goes on."""
        return shlex.join(word for word in self.command if word != "--resume") + "\n"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="mini", help="what is measured; the one that comes with Tejat")
    arguments.add_argument("--corpus", type=Path, default=Path("runs/corpus"))
    arguments.add_argument("--out", type=Path, default=Path("runs"))
    arguments.add_argument("--train", action="store_true", help="train the models of the table of post-training, too")
    arguments.add_argument("--judge", action="store_true", help="make the judge of drawings, and its peer")
    arguments.add_argument("--rest", action="store_true", help="all tasks of all suites besides, docs/EVALUATION.md's")
    arguments.add_argument("--masters", type=Path, help="what --rest asks too: the model in 16 bits, for docs/NANO.md")
    arguments.add_argument(
        "--base",
        type=Path,
        default=Path("runs/mini-instruct/model"),
        help="before the behaviours: what recipes/mini_instruct.py ends with",
    )
    arguments.add_argument("--after", help="a model with the behaviours, for with-SEED; nothing is trained before it")
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--gpus", type=int, default=1, help="chains have so many GPUs, side by side")
    arguments.add_argument("--share", type=int, default=1, help="chains on one GPU at a time")
    arguments.add_argument("--updates", type=int, default=500, help="of every way")
    arguments.add_argument("--set", action="append", default=[], help="a setting of without-SEED and with-SEED")
    arguments.add_argument("--limit", type=int, default=300, help="items of a task")
    arguments.add_argument("--show", action="store_true")
    options = arguments.parse_args()
    if min(options.seeds, options.gpus, options.share, options.updates, options.limit) < 1:
        arguments.error("--seeds, --gpus, --share, --updates and --limit are at least 1")
    if options.masters and not options.rest:
        arguments.error("--masters is what --rest asks besides; give --rest, too")
    if options.after:
        if options.set:
            arguments.error("--set is of without-SEED and with-SEED, which are not trained with --after; leave one out")
        try:
            options.after = bundle.find(options.after)
        except BadInput as error:
            arguments.error(f"--after: {error}")
    rounds = [judges(options)] if options.judge and not options.train else []
    if options.train:
        rounds = [[[pairs(options)], *judges(options)], behaved(options)]
        rounds += [taught(options, ways) for ways in (("reward", "more", "dpo"), ("grpo", "ppo"))]
    if options.show:
        for step in [step for chains in [*rounds, *measured(options)] for chain in chains for step in chain]:
            print(f"{step.name}{' (is there)' if step.done(options.out) else ''}: {shlex.join(step.command)}")
        return 0
    if not (options.corpus / "corpus.json").is_file():
        arguments.error(f"{options.corpus} is no corpus; make one by `tejat data build recipes/corpus.py`")
    if options.train and not (options.base / "config.json").is_file():
        arguments.error(f"{options.base} is no model; give the one before the behaviours as --base")
    failed: list[str] = []
    for chains in rounds:
        failed += side_by_side(chains, options.out, options.gpus, options.share)
    if 0 < len(whole := there(options)) < len(WAYS):
        say(f"the table of post-training is without {', '.join(way for way in WAYS if way not in whole)}: no models")
    for chains in measured(options):  # of the models that are there by now
        failed += side_by_side(chains, options.out, options.gpus, options.share)
    if found := card(options.out / "tables"):
        (options.out / "tables" / "card.md").write_text(found)
        say(f"{options.out / 'tables' / 'card.md'} has the card's tables")
    if failed:
        print(f"not done: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def pairs(options) -> Step:
    """What reward models and RLHF learn from, the same for all seeds."""
    place = options.out / "tune_behaviours"
    command = (sys.executable, str(HERE / "tune_behaviours_pairs.py"), str(place), "--corpus", str(options.corpus))
    return Step("pairs", command, place / "heldout_dialogues.jsonl")


def judges(options) -> list[list[Step]]:
    """Chains of the judge of drawings, and of its peer, which names what models see."""
    commands = {"judge": (), "judge_peer": ("--peer", "--noise", "0")}  # as those of the card's numbers
    script, corpus = str(HERE / "judge.py"), ("--corpus", str(options.corpus))
    return [
        [
            Step(
                name,
                (sys.executable, script, str(options.out / name), *corpus, *more),
                options.out / name / "judge.json",
            )
        ]
        for name, more in commands.items()
    ]


def behaved(options) -> list[list[Step]]:
    """Chains of the models that the others begin with, and of what they are measured against."""
    if options.after:
        return []
    chains = []
    for seed in range(options.seeds):
        settings = [f"seed={seed}", f"weights={options.base}", f"schedule.steps={options.updates}"]
        settings += [f"corpus={options.corpus}", f"pictures={options.base}/picture.safetensors", *options.set]
        for way, recipe in (("without", "tune_behaviours_without"), ("with", "mini_behaviours")):
            chains.append([_training(options, ("train",), f"{way}-{seed}", recipe, settings)])
    return chains


def taught(options, ways: Sequence[str]) -> list[list[Step]]:
    """Chains of what is learnt after that; reward models are there before those who ask them."""
    place, chains = options.out / "tune_behaviours", []
    for way in ways:
        for seed in range(options.seeds):
            settings = [f"model={_model(options, 'with', seed)}", f"seed={seed}"]
            chains.append([_tuning(options, way, seed, place, settings)])
    return chains


def _tuning(options, way: str, seed: int, place: Path, settings: list[str]) -> Step:
    sampled = way in ("grpo", "ppo")
    asked = "questions" if sampled else {"more": "dialogues"}.get(way, "pairs")
    settings = [*settings, f"data={place}/{asked}.jsonl", f"heldout={place}/heldout_{asked}.jsonl"]
    # A round of answers is two updates (recipes/tune_behaviours_grpo.py).
    settings.append(f"schedule.steps={max(1, options.updates // 2) if sampled else options.updates}")
    if sampled:
        settings.append(f"reward_model={options.out}/reward-{seed}/model")
    stage = {"more": "supervised", "reward": "reward"}.get(way, "rlhf")
    begun = options.after / "config.json" if options.after else options.out / f"with-{seed}" / "loss.png"
    needs = (begun, pairs(options).made, *([options.out / f"reward-{seed}" / "curves.png"] if sampled else []))
    return _training(options, ("tune", stage), f"{way}-{seed}", f"tune_behaviours_{way}", settings, needs)


def _model(options, way: str, seed: int) -> Path:
    """Where a model of the table is."""
    if options.after and way in ("without", "with"):
        return options.base if way == "without" else options.after
    return options.out / f"{way}-{seed}" / "model"


def _models(options, way: str) -> list[Path]:
    return [_model(options, way, seed) for seed in range(options.seeds)]


def there(options) -> list[str]:
    """The ways of which the models of all seeds are there."""
    return [way for way in WAYS if all((model / "config.json").is_file() for model in _models(options, way))]


def _training(
    options, words: Sequence[str], name: str, recipe: str, settings: Sequence[str], needs: tuple[Path, ...] = ()
) -> Step:
    out = options.out / name
    command = [*TEJAT, *words, str(HERE / f"{recipe}.py"), "--out", str(out)]
    command += [word for setting in settings for word in ("--set", setting)]
    command += ["--resume"] if (out / "run.json").is_file() else []
    # Curves are drawn when the last step has been made, the model whenever a run ends.
    return Step(name, tuple(command), out / ("loss.png" if words[0] == "train" else "curves.png"), needs)


def measured(options) -> list[list[list[Step]]]:
    """What measures: the model card's suites, safety, and post-training's models as far as they are there; then what is
    made of their answers."""
    tables, corpus, limit = options.out / "tables", ("--corpus", str(options.corpus)), ("--limit", str(options.limit))
    steps = []
    for suite in SUITES:
        command = [*TEJAT, "eval", options.model, "--suite", suite, *corpus, "--out", str(tables / suite)]
        command += [] if suite == "quick" else limit
        steps.append(Step(suite, tuple(command), tables / suite / "results.json"))
    command = [*TEJAT, "eval", options.model, "--suite", "all", "--tasks", *SKILLS, *limit, *corpus]
    command += ["--out", str(tables / "skills")]
    steps.append(Step("skills", tuple(command), tables / "skills" / "results.json"))
    if options.rest:
        command = [*TEJAT, "eval", options.model, "--suite", "all", *limit, *corpus, "--out", str(tables / "rest")]
        command += ["--against", str(options.masters)] if options.masters else []
        steps.append(Step("rest", tuple(command), tables / "rest" / "results.json"))
    folders = (str(tables / name) for name in ("promised", "quick", "skills"))
    command = [sys.executable, str(HERE / "samples.py"), *folders, *corpus, "--out", str(tables / "samples.md")]
    told = [[Step("samples", tuple(command), tables / "samples.md")]]
    if len(whole := there(options)) > 1:
        out = tables / "post-training"
        script, rest = (sys.executable, str(HERE / "factuality.py")), (*corpus, *limit, "--out", str(out))
        models = list(dict.fromkeys(model for way in whole for model in _models(options, way)))
        if not options.after and (options.base / "config.json").is_file():
            models.append(options.base)  # what all began with, last: the first is what others are compared with
        for model in models:
            name = setting.called(model)
            command = (*script, str(model), *rest, "--ask")
            steps.append(Step(f"ask-{name}", command, out / name / "asked.json"))
        told.append([Step("post-training", (*script, *map(str, models), *rest), out / "table.md")])
    if {"without", "with"} <= {*whole}:  # what the behaviours cost elsewhere, item by item
        pairs_of = zip(_models(options, "with"), _models(options, "without"), strict=True)
        for seed, (after, before) in enumerate(dict.fromkeys(pairs_of)):
            command = [*TEJAT, "eval", str(after), "--suite", "quick", "--against", str(before), *corpus]
            out = tables / f"cost-{seed}"
            steps.append(Step(out.name, (*command, "--out", str(out)), out / "results.json"))
    return [[[step] for step in steps], told]


def card(tables: Path) -> str:
    """In Markdown what was found by the suites that have results: aims, then tasks; empty where none has."""
    found = {name: tables / name / "results.json" for name in (*SUITES, "skills", "rest")}
    read = {name: json.loads(path.read_text()) for name, path in found.items() if path.is_file()}
    aims: dict[str, dict] = {}  # every suite tells every aim, and has measured some; the most items count
    for one in (one for told in read.values() for one in told["promises"] if one.get("value") is not None):
        if one["n"] > aims.get(one["what"], {"n": 0})["n"]:
            aims[one["what"]] = one
    lines = ["| aimed at | found | aim | reached |", "|---|---|---|---|"] if aims else []
    for what, one in aims.items():
        aim = f"{one['is']} {one['aim']:.2f}"
        lines.append(f"| {what} | {_found(one)} | {aim} | {'yes' if one['reached'] else 'no'} |")
    for name, told in read.items():
        lines += ["", f"`{told['command']}`, {told['hardware']}", ""]
        lines += [
            "| task | measured by | found | chance | baseline | blanked | text only |",
            "|---|---|---|---|---|---|---|",
        ]
        for task in told["tasks"]:
            controls = (one and one["value"] for one in (task["blanked"], task.get("text_only")))
            beside = (task["chance"], task["baseline"], *controls)
            rest = ("" if value is None else f"{value:.3f}" for value in beside)
            lines.append(f"| {name}: {task['name']} | {task['metric']} | {_found(task)} | {' | '.join(rest)} |")
        lines += [f"| {name}: {task['name']} | not run: {task['reason']} | | | | | |" for task in told["not_run"]]
    return "\n".join(lines).strip() + "\n" if lines else ""


def _found(one: dict) -> str:
    """Without an interval where so few items tell none."""
    interval = f" ({one['low']:.3f} – {one['high']:.3f})" if one["low"] is not None else ""
    return f"{one['value']:.3f}{interval}, n {one['n']}"


def side_by_side(chains: Sequence[Sequence[Step]], out: Path, gpus: int, share: int = 1) -> list[str]:
    """So many chains at a time on each GPU. The names of what failed."""
    free: Queue[int] = Queue()
    for gpu in [*range(gpus)] * share:
        free.put(gpu)
    # Whoever shares takes what it needs and not, as JAX would, three quarters of the memory when it begins.
    sharing = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if share > 1 else {}

    def one(chain: Sequence[Step]) -> list[str]:
        gpu = free.get()
        try:
            return run(chain, out, sharing | ({"CUDA_VISIBLE_DEVICES": str(gpu)} if gpus > 1 else {}))
        finally:
            free.put(gpu)

    with ThreadPoolExecutor(gpus * share) as pool:
        return sum(pool.map(one, chains), [])


def run(steps: Sequence[Step], out: Path, environment: dict | None = None) -> list[str]:
    """One after the other, up to the first that fails. Its name."""
    failed, logs = [], out / "tables"
    logs.mkdir(parents=True, exist_ok=True)
    for step in steps:
        if step.done(out):
            say(f"{step.name}: is there")
            continue
        if lacks := next((path for path in step.needs if not path.is_file()), None):
            say(f"{step.name}: begins with what has not been made, {lacks}")
            failed.append(step.name)
            break
        say(f"{step.name} …")
        begun = time.monotonic()
        with (logs / f"{step.name}.log").open("a") as log:
            code = subprocess.run(
                step.command, stdout=log, stderr=log, env=os.environ | (environment or {}), check=False
            ).returncode
        if code == 0 and step.made.is_file():
            step.noted(out).write_text(step.asked)
            say(f"{step.name}: {time.monotonic() - begun:.0f} s")
            continue
        said = (logs / f"{step.name}.log").read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        say(f"{step.name}: ended with code {code}: {said[0][:200]}")
        failed.append(step.name)
        break
    return failed


def say(line: str) -> None:
    with _SAYING:
        print(line, file=sys.stderr, flush=True)


_SAYING = threading.Lock()

if __name__ == "__main__":
    sys.exit(main())
