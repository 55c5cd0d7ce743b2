"""`tejat demo`: the tour. A small model is trained before your eyes, then shows what it learnt and what it did not."""

import dataclasses
import json
import shlex
import shutil
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from tejat.cli import default_model, freed_memory, table
from tejat.cli.options import parse
from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.evals.harness import Result, Row
    from tejat.evals.report import Gallery, Sample, Section

# What a demo writes to its directory: this, and nothing else there, is removed when the next one begins.
_MARK = "demo.json"
_RUN = ("checkpoints", "log.jsonl", "loss.png", "model", "run.json", "tokenizer.model")
_SHOWN = ("drawn.png", "mini-1.png", "mini-2.png", "report.html", "results.json", "samples")

_TITLES = {
    "caption": "A picture, in a style of drawing that it never saw",
    "spoken": "A word, in a voice that it never heard",
    "motion": "A clip of a thing that it never saw move like this",
    "fact": "A fact that it was taught",
    "draw": "A request: whether to answer with a picture is for the model to say",
}
_BLANK = {"caption": "the picture grey", "spoken": "the sound silent", "motion": "the clip grey and still"}


@dataclass(frozen=True)
class Demo:
    """Train the small model `micro` on the data that comes with Tejat, in minutes; see what it and `mini` can do.

    Example: tejat demo --steps 200 --out runs/short
    """

    out: Path = default_model.TRAINED_HERE.parent
    """Where everything goes. An earlier demo there is replaced."""
    steps: int | None = None
    """Steps of training; default: as many as make a good model in minutes."""
    seed: int = 0
    """Of the training, and of the choice of what is shown."""
    no_train: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show the model of an earlier demo again."""


def main(arguments: list[str], limit: int | None = None) -> int:
    """Run `tejat demo`; `limit` bounds the items of each task.

    Raises:
      BadInput: for options that make no sense, and for a directory that holds what no demo wrote.
    """
    options = parse(Demo, arguments, "tejat demo")
    if options.steps is not None and options.steps < 1:
        raise BadInput(f"--steps is {options.steps}; give at least 1")
    if not 0 <= options.seed < 2**31:
        raise BadInput(f"--seed is {options.seed}; give a whole number from 0 to {2**31 - 1:,}")
    _check(options)
    _announce(options)

    if not options.no_train and not _train(options):
        return 1
    start = time.monotonic()
    results, prose = _ask(options, limit)
    _table([result.row for result in results])
    made = json.loads((options.out / _MARK).read_text())
    seconds = {"training": made.get("seconds", 0.0), "questions": time.monotonic() - start}
    start = time.monotonic()
    mini = _mini(options)
    seconds["mini"] = time.monotonic() - start
    _report(options, results, prose, mini, made, seconds)
    _next(options, seconds)
    return 0


def _check(options: Demo) -> None:
    """Raises BadInput, before anything is done, where the directory is not a demo's or has no model to show."""
    out = options.out
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; give a directory with --out")
    if options.no_train:
        if not ((out / "model" / "config.json").is_file() and (out / _MARK).is_file()):
            raise BadInput(f"no demo has trained a model in {out}; run `tejat demo` without --no-train first")
    elif out.is_dir() and any(out.iterdir()) and not (out / _MARK).is_file():
        raise BadInput(f"{out} holds files that no demo wrote; give another directory with --out")


def _announce(options: Demo) -> None:
    """What will happen, in three lines."""
    again = " (the demo that is there is replaced)" if not options.no_train and (options.out / _MARK).exists() else ""
    first = "of the last demo is taken" if options.no_train else "is trained"
    print(f"1. A small Transformer that reads, sees, hears, watches and draws {first}.")
    print("2. It is asked about what was kept from it and scored; the seed chooses what is shown.")
    print(f"3. All of it goes to {options.out}{again}. It takes minutes; Ctrl-C stops it.", flush=True)


def _train(options: Demo) -> bool:
    """Trains the model; False, after telling why, where that fails."""
    from tejat.cli.training_bar import TrainingBar
    from tejat.parts import write_whole
    from tejat.train import loop
    from tejat.train.tour import RECIPE

    for name in (*_RUN, *_SHOWN):
        _remove(options.out / name)
    options.out.mkdir(parents=True, exist_ok=True)
    steps = options.steps or RECIPE.schedule.steps
    freed_memory.keep(steps)
    made = {"steps": steps, "seed": options.seed}
    write_whole(options.out / _MARK, (json.dumps(made) + "\n").encode())
    recipe = dataclasses.replace(
        RECIPE, schedule=dataclasses.replace(RECIPE.schedule, steps=steps), seed=options.seed, log_every=5
    )
    print()
    start = time.monotonic()
    try:
        with TrainingBar(steps) as bar:
            loop.train(recipe, options.out, told=bar)
    except loop.Diverged as error:
        print(f"tejat: error: {error}", file=sys.stderr)
        return False
    made["seconds"] = time.monotonic() - start
    write_whole(options.out / _MARK, (json.dumps(made) + "\n").encode())
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _ask(options: Demo, limit: int | None) -> tuple[list["Result"], "Gallery"]:
    """Measures every task of the tour and shows one of its items; (results, how prose was continued)."""
    from tejat import api
    from tejat.cli import exhibit
    from tejat.evals import harness, suites, tour_suite
    from tejat.evals.answering import written

    model, mark = api.load(options.out / "model"), harness.fingerprint(options.out / "model")
    results = []
    for task in suites.tasks("tour"):
        if task.name in _TITLES:
            _heading(_TITLES[task.name])
        (result,) = harness.run(model, [task], options.out, fingerprint=mark, limit=limit)
        results.append(result)
        if task.name in _TITLES:
            _exhibit(result, options)
    _heading("A sentence that it never read, to go on with")
    prose = tour_suite.continued(model, options.seed)
    exhibit.continued(written(prose.samples[0].prompt), prose.samples[0].answer)
    return results, prose


def _exhibit(result: "Result", options: Demo) -> None:
    """The item that the seed chooses, whether its answer is right or wrong, and how many were right."""
    import numpy as np

    from tejat import media
    from tejat.cli import exhibit
    from tejat.parts import Image

    task, row = result.task, result.row
    random = np.random.default_rng([options.seed, zlib.crc32(task.name.encode())])
    item = result.items[int(random.integers(len(result.items)))]
    outcome = result.outcomes[item.id]
    drawn = next((part for part in outcome.parts if isinstance(part, Image)), None)
    nearest = task.nearest(drawn) if drawn is not None else None
    asked = [part for turn in item.turns for part in turn.parts]
    exhibit.show(asked, outcome.parts, item.answers[0], bool(outcome.score), nearest)
    if drawn is not None and task.name == "draw":
        media.write_png(drawn, options.out / "drawn.png")
        print(f"  saved     {options.out / 'drawn.png'} (right: nearest in training is the thing asked for)")
    told = f"  of {row.n:<6} {row.value:.0%} right ({row.low:.0%} to {row.high:.0%}), guessing {row.chance:.1%}"
    print(told + (f", with {_BLANK[task.name]} {row.blanked.value:.1%}" if row.blanked else ""), flush=True)


def _table(rows: Sequence["Row"]) -> None:
    """The scores; for the senses, whether the interval is clear of guessing and of what words alone give."""
    _heading("Scores, each with its 95% interval")
    head = ("task", "right", "interval", "n", "chance", "blanked", "≥ 3 × chance", "≥ 2 × blanked")
    lines = []
    for row in rows:
        clear = [_clears(row, 3, row.chance), _clears(row, 2, row.blanked and row.blanked.value)]
        blanked = f"{row.blanked.value:.3f}" if row.blanked else "–"
        interval = f"{row.low:.3f} – {row.high:.3f}"
        lines.append((row.name, f"{row.value:.3f}", interval, f"{row.n}", f"{row.chance:.3f}", blanked, *clear))
    table.show(head, lines, fewer=("interval", "n"))


def _clears(row: "Row", factor: float, level: float | None) -> str:
    """Is the low end of the interval at least so many times a level? A dash where that would be everything or more."""
    if level is None or factor * level >= 1:
        return "–"
    return "yes" if row.low > 0 and row.low >= factor * level else "no"


def _report(
    options: Demo,
    results: Sequence["Result"],
    prose: "Gallery",
    mini: "Section",
    made: dict[str, Any],
    seconds: dict[str, float],
) -> None:
    """results.json and report.html."""
    from tejat.evals import report, setting
    from tejat.evals.gallery import gallery
    from tejat.parts import write_whole

    facts = {
        "model": f"micro, {made['steps']} steps, seed {made['seed']}",
        "command": setting.command(),
        "seed of what was shown": str(options.seed),
        "hardware": setting.hardware(),
    }
    rows = [result.row for result in results]
    found = {**facts, "seconds": seconds, "peak_memory_bytes": _peak_memory(), "tasks": [row.to_json() for row in rows]}
    shown = [block.samples for block in mini.blocks if isinstance(block, report.Gallery)]
    found["mini"] = [_told(sample) for samples in shown for sample in samples]
    write_whole(options.out / "results.json", (json.dumps(found, indent=1) + "\n").encode())
    took = [(name, f"{spent:.0f} s") for name, spent in seconds.items()]
    page = report.Report(
        title="What a small model learnt in minutes",
        summary="One decoder-only Transformer, trained from nothing on the data that comes with Tejat, then asked "
        "about drawings in a style, words in voices, and motions of things that were kept from it. Drawing and facts "
        "are about what it was taught.",
        facts=[*facts.items(), *took, ("peak memory", f"{_peak_memory() / 2**30:.1f} GiB")],
        rows=rows,
        log=options.out / "log.jsonl",
        galleries=[gallery(result) for result in results],
        sections=[report.Section("Prose", [prose]), mini],
    )
    report.write(page, options.out / "report.html")


def _mini(options: Demo) -> "Section":
    """What the model that comes with Tejat answers, for the report."""
    from tejat.cli import mini_tour
    from tejat.evals.report import Section

    mini = mini_tour.directory()
    _heading(mini_tour.HEADING)
    if mini is None:
        print(mini_tour.ABSENT)
        return Section(mini_tour.HEADING, [mini_tour.ABSENT])
    return Section(mini_tour.HEADING, [mini_tour.OPENING, *mini_tour.show(mini, options.out, options.seed)])


def _told(sample: "Sample") -> dict[str, Any]:
    """A question to mini and its answer, for `json.dumps`."""
    from tejat.evals.answering import written

    said = {"asked": written(sample.prompt), "answered": written(sample.answer), "expected": sample.expected}
    return {"task": sample.note, **said, "right": sample.right}


def _peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _next(options: Demo, seconds: dict[str, float]) -> None:
    """What took how long, where it is, and what to type now."""
    program, model = _program(), shlex.quote(str(options.out / "model"))
    took = ", ".join(f"{name} {spent:.0f} s" for name, spent in seconds.items() if spent >= 1)
    print(f"\n{options.out / 'report.html'} shows all of it ({took}; {_peak_memory() / 2**30:.1f} GiB of memory).")
    print("What next:")
    lines = [
        (f"{program} chat", "talk with mini"),
        (f"{program} chat --model {model}", "talk with the small model"),
        (f'{program} generate "Draw the cat." --model {model}', "its picture is saved here"),
        (f"{program} eval {model} --limit 50", "more questions"),
    ]
    if Path("recipes", "micro.py").is_file():
        lines.append((f"{program} train recipes/micro.py", "the same training, yours to change"))
    width = max(len(line) for line, _ in lines)
    for line, what in lines:
        print(f"  {line:<{width}}  {what}")


def _program() -> str:
    """How this program was called, so that the lines above work as they stand."""
    name = Path(sys.argv[0])
    if name.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m tejat"
    return "tejat" if shutil.which("tejat") == str(name.absolute()) else shlex.quote(str(name))


def _heading(text: str) -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{text}{plain}", flush=True)
