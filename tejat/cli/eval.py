"""`tejat eval`: measures a model; one table, a report to read, and every answer on disk."""

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from tejat.cli import table
from tejat.cli.options import parse
from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.api import Model
    from tejat.evals.comparing import Difference
    from tejat.evals.harness import NotRun, Result, Row
    from tejat.evals.report import Report, Section
    from tejat.evals.tasks import Task

FEWER = ("error", "baseline", "metric", "passes", "text only", "shuffled", "chance")
"""Columns that a narrow terminal does without; the report has them."""


@dataclass(frozen=True)
class Eval:
    """Measure a model. A run that was stopped goes on where it was.

    Example: tejat eval runs/demo/model --limit 20
             tejat eval mini --suite quick --corpus runs/corpus
             tejat eval mini --suite all --minutes 10
             tejat eval mini --suite lm-eval --tasks gsm8k_local arc_easy --benchmarks DIR
             tejat eval A --against B --suite maths
             tejat eval trends runs/eval/micro runs/eval/mini --reference mini
    """

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|DIR")]
    """A model that comes with Tejat, or the directory of one."""
    suite: Annotated[str, tyro.conf.arg(metavar="SUITE")] = "sample"
    """The tasks to measure: quick (of everything a little: minutes on a laptop), all, factuality, images, instructions,
    languages, lm-eval, long-context, maths, pictures, plots, promised, prose, reasoning, safety, sample, sound,
    summaries, tour or video."""
    tasks: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TASK ...")] = ()
    """Only these tasks of the suite; of "lm-eval" any of its tasks, by name."""
    out: Path | None = None
    """Where report.html, results.json and samples/ go; runs/eval/MODEL if not given."""
    limit: int | None = None
    """Ask only so many items of each task, from all over it; of "all" as many, if there are, and 500 if not given."""
    minutes: float | None = None
    """Begin nothing new after so long; what a release is held to is asked first, and a second run goes on."""
    engine: Literal["jax", "onnx"] | None = None
    """What computes: ONNX Runtime where there is an export and no accelerator, if not given."""
    corpus: Path | None = None
    """A built corpus, of whose held-out part most suites are made; runs/corpus if not given."""
    benchmarks: Path | None = None
    """A folder with benchmark files of your own, for the suite "lm-eval"."""
    against: Annotated[str | None, tyro.conf.arg(metavar="NAME|DIR")] = None
    """Another model, to be measured on the same items: every task's difference, with the interval of pairs."""
    route: int | None = None
    """Ask every task of right and wrong for so many chains of thought as well: greedy, by majority, and routed."""
    contamination: Path | None = None
    """A corpus that the model was trained on, to look for the items in."""
    log: Path | None = None
    """A training log, whose losses go into the report and loss.png."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


@dataclass(frozen=True)
class Trends:
    """Draw capabilities by model, relative to one of them. Seeds of a model, NAME-0 and NAME-1, are drawn as one.

    Example: tejat eval trends runs/eval/micro runs/eval/mini --reference mini --out trends.png
    """

    results: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RESULTS")]
    """The results.json of each model, or its folder, from left to right."""
    reference: str | None = None
    """The model that all are relative to; the last one if not given."""
    out: Path = Path("trends.png")
    """The plot."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat eval`.

    Raises:
      BadInput: for a model, a suite or a limit that cannot be, and where no task could be measured.
    """
    if arguments[:1] == ["trends"]:
        return _trends(parse(Trends, arguments[1:], "tejat eval trends"))
    options = parse(Eval, arguments, "tejat eval")
    _check(options)

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat import bundle
    from tejat.evals import comparing, contamination, harness, plots, promises, report, setting
    from tejat.infer.engine import Engine
    from tejat.model import sizes
    from tejat.parts import write_whole

    if options.log is not None:
        plots.losses(options.log)  # one that cannot be read is told now, not after the work
    tasks, directory = _tasks(options), bundle.find(options.model)
    other = bundle.find(options.against) if options.against is not None else None
    known = contamination.check(tasks, options.contamination, options.limit) if options.contamination else {}
    _compile_quickly()
    start = time.monotonic()
    until = math.inf if options.minutes is None else start + 60 * options.minutes
    model, mark = _loaded(directory, options)
    out = options.out or _folder(directory)
    facts = {
        "model": options.model,
        "suite": options.suite,
        "command": setting.command(),
        "hardware": setting.hardware(),
        "engine": "JAX" if isinstance(model.engine, Engine) else "ONNX Runtime",
        "seed": "0",
        "weights": mark,
    }
    parameters = sizes.parts(bundle.read_config(directory / "config.json")).whole

    def keep(results: "Sequence[Result]", not_run: "Sequence[NotRun]", **more: Any) -> dict[str, Any]:
        """What there is so far, on disk: whatever comes next, it is not lost."""
        rows = [_checked(result, known).row.to_json() for result in results]
        held = [promise.to_json() for promise in promises.kept(results)]
        found = {
            **facts,
            "limit": options.limit,
            "parameters": parameters,
            "tasks": rows,
            "not_run": [vars(task) for task in not_run],
            "promises": held,
            **more,
        }
        if results:  # else there may be no folder, and nothing to tell
            write_whole(out / "results.json", (json.dumps(found, indent=1) + "\n").encode())
        return found

    with _gone_on_with(out):
        results, not_run = harness.survey(
            model, tasks, out, fingerprint=mark, limit=options.limit, until=until, done=keep
        )
    results = [_checked(result, known) for result in results]
    if not results:
        told = "; ".join(f"{task.name}: {task.reason}" for task in not_run[:3])
        raise BadInput(f"no task of {options.suite!r} could be measured ({told}); mend that or choose others")
    differences, not_compared = ([], []) if other is None else _against(other, tasks, results, options, out, until)
    rows = [result.row for result in results]
    compared = {
        "against": options.against,
        "differences": [d.to_json() for d in differences],
        "means": {suite: mean._asdict() for suite, mean in comparing.means(differences).items()},
        "not_compared": [vars(task) for task in not_compared],
    }
    found = keep(results, not_run, **(compared if other is not None else {}))
    taken = [*facts.items(), ("this run took", f"{time.monotonic() - start:.0f} s")]
    sections = _compared(options, differences, not_compared)
    report.write(_page(options, model, taken, results, not_run, sections), out / "report.html")
    plots.results_plot(rows, out / "results.png")
    if options.log is not None:
        plots.loss_plot(options.log, out / "loss.png")
    if options.json:
        print(json.dumps(found))
    else:
        _show(rows, not_run, differences)
        for task in not_compared:
            print(f"{task.name}: not compared, because {task.reason}")
        if held := promises.kept(results):
            kept = promises.table(held)
            table.show(kept.head, kept.rows, fewer=("95% interval", "n"))
        print(f"{out / 'report.html'} shows more")
    return 0


def _check(options: Eval) -> None:
    """Raises BadInput for numbers and folders that cannot be."""
    if options.limit is not None and options.limit < 1:
        raise BadInput(f"--limit is {options.limit}; give at least 1")
    if options.route is not None and options.route < 2:
        raise BadInput(f"--route is {options.route}; give at least 2 chains of thought")
    if options.minutes is not None and not options.minutes > 0:
        raise BadInput(f"--minutes is {options.minutes}; give more than 0")
    if options.corpus is not None and not (options.corpus / "corpus.json").is_file():
        raise BadInput(f"there is no corpus in {options.corpus}; build one with `tejat data build`, or name another")
    if options.benchmarks is not None and not options.benchmarks.is_dir():
        raise BadInput(f"--benchmarks is {options.benchmarks}, which is no folder; give the one with your files")


@contextlib.contextmanager
def _gone_on_with(out: Path) -> Iterator[None]:
    """Tells who stops it that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"\ntejat: answers so far are in {out / 'samples'}; the same command goes on", file=sys.stderr)
        raise


def _against(
    other: Path, tasks: "Sequence[Task]", results: "Sequence[Result]", options: Eval, out: Path, until: float
) -> "tuple[list[Difference], list[NotRun]]":
    """(every task's difference from the other model, tasks of which that one could not be measured on)."""
    from tejat.evals import comparing, harness

    beside = _folder(other)
    if beside == out:  # of one name: its answers must not take the place of the first one's
        beside = out / "against"
    peer, mark = _loaded(other, options)
    with _gone_on_with(beside):
        theirs, not_run = harness.survey(peer, tasks, beside, fingerprint=mark, limit=options.limit, until=until)
    measured = {(result.task.suite, result.task.name) for result in results}
    return comparing.compare(results, theirs), [task for task in not_run if (task.suite, task.name) in measured]


def _page(
    options: Eval,
    model: "Model",
    facts: "Sequence[tuple[str, str]]",
    results: "Sequence[Result]",
    not_run: "Sequence[NotRun]",
    compared: "Sequence[Section]",
) -> "Report":
    from tejat.evals import promises, report, routing, suites
    from tejat.evals.gallery import gallery

    answered = [result for result in results if any(outcome.parts for outcome in result.outcomes.values())]
    return report.Report(
        title=f"{model.name}, measured on {options.suite}",
        facts=facts,
        rows=[result.row for result in results],
        not_run=not_run,
        log=options.log,
        galleries=[gallery(result, 12 if len(results) < 12 else 6) for result in answered],
        sections=[
            *promises.sections(results),
            *compared,
            *routing.sections(results),
            *([] if options.tasks or options.route else suites.sections(options.suite, model)),
        ],
    )


def _compile_quickly() -> None:
    """An accelerator is not to try several ways of every product: it takes longer than all that is asked here, and what
    it compiles is kept for the next run."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "autotune" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_autotune_level=0".strip()

    import jax

    from tejat.infer import warming

    if jax.default_backend() != "cpu":
        with contextlib.suppress(OSError):  # where nothing can be kept, every run compiles
            warming.keep_compiled(warming.usual_folder())


def _loaded(directory: Path, options: Eval) -> "tuple[Model, str]":
    """(a model, what tells its answers from those of others): engines differ in rounding."""
    from tejat import api
    from tejat.evals import harness
    from tejat.infer.engine import Engine

    model, mark = api.load(directory, options.engine), harness.fingerprint(directory)
    return model, mark if isinstance(model.engine, Engine) else f"{mark}-onnx"


def _tasks(options: Eval) -> "Sequence[Task]":
    from tejat.evals import routing, suites
    from tejat.evals.ground import Ground

    ground = Ground(options.corpus, options.benchmarks, suites.most(options.suite, options.limit))
    tasks = suites.tasks(options.suite, options.tasks, ground)
    return tasks if options.route is None else routing.sweeps(tasks, options.route, options.limit)


def _folder(directory: Path) -> Path:
    from tejat.evals import setting

    return Path("runs", "eval", setting.called(directory.resolve()))


def _checked(result: "Result", known: dict[tuple[str, str], str]) -> "Result":
    told = known.get((result.row.suite, result.row.name), result.row.contamination)
    return replace(result, row=replace(result.row, contamination=told))


def _compared(options: Eval, differences: "Sequence[Difference]", not_compared: "Sequence[NotRun]") -> "list[Section]":
    from tejat.evals import comparing
    from tejat.evals.harness import interval
    from tejat.evals.report import Section, Table

    if not differences and not not_compared:
        return []
    head = ("task", "metric", options.model, str(options.against), "difference", "95% interval", "better for sure")
    named = {"first": options.model, "second": str(options.against), "neither": "–"}
    lines = [
        (d.name, d.metric, f"{d.first:.3f}", f"{d.second:.3f}", f"{d.difference.value:+.3f}", interval(d.difference))
        + (named[d.better],)
        for d in differences
    ]
    missing = [(f"{task.suite} {task.name}", task.reason) for task in not_compared]
    blocks = ["Over the same items, pair by pair.", Table(head, lines)] if lines else []
    if found := comparing.means(differences):
        blocks.append(f"By suite, how much better {options.model} is in the mean of what is right or wrong.")
        suites = [(suite, f"{mean.value:+.3f}", interval(mean)) for suite, mean in found.items()]
        blocks.append(Table(("suite", "mean difference", "95% interval"), suites))
    blocks += [Table(("not compared", "why"), missing, words=True)] if missing else []
    return [Section(f"Against {options.against}", blocks)]


def _show(rows: "Sequence[Row]", not_run: "Sequence[NotRun]", differences: "Sequence[Difference]") -> None:
    """The table of results, differences, and what was not run."""
    from tejat.evals import comparing, harness

    head = ("task", "metric", "value", "95% interval", "error", "n")
    head += ("chance", "blanked", "shuffled", "text only", "baseline", "passes")
    lines = [
        (
            row.name,
            row.metric,
            f"{row.value:.3f}",
            harness.interval(row),
            harness.error(row),
            f"{row.n:,}",
            f"{row.chance:.3f}" if row.chance else "",
            f"{row.blanked.value:.3f}" if row.blanked else "",
            f"{row.shuffled.value:.3f}" if row.shuffled else "",
            f"{row.text_only.value:.3f}" if row.text_only else "",
            f"{row.baseline:.3f}" if row.baseline is not None else "",
            {None: "", True: "yes", False: "no"}[row.passes],
        )
        for row in rows
    ]
    table.show(head, lines, ("metric",), FEWER)
    for row in rows:
        for name, one in row.verdicts.items():
            above = f"{one.above.value:+.3f}, 95% interval {harness.interval(one.above)}"
            print(f"{row.name}, {name}: {one.told}; minus text only {above}")
    for d in differences:
        print(f"{d.name}: {d.difference.value:+.3f} against the other, 95% interval {harness.interval(d.difference)}")
    for suite, mean in comparing.means(differences).items():
        told = f"{mean.value:+.3f} against the other in the mean of its tasks, more being better"
        print(f"{suite}: {told}, 95% interval {harness.interval(mean)}")
    for task in not_run:
        print(f"{task.name}: not run, because {task.reason}")


def _trends(options: Trends) -> int:
    from tejat.evals import trends

    if len(options.results) < 2:
        raise BadInput("trends are of two models or more; give the results of each")
    found = trends.of_seeds(trends.told_apart([trends.read(path) for path in options.results], options.results))
    if len(found) < 2:
        raise BadInput(f"these are {found[0].seeds} seeds of one model; give the results of another, too")
    reference = options.reference or found[-1].model
    points = trends.relative(found, reference)
    trends.plot(points, found, reference, options.out)
    if options.json:
        print(json.dumps({"reference": reference, "points": [vars(point) for point in points]}))
    else:
        for point in points:
            print(f"{point.capability}, {point.model}: {point.value:.3f} ± {point.stderr:.3f} of {reference}")
        used = sum(point.tasks for point in points if point.model == reference)
        if left := len({key for one in found for key in one.tasks}) - used:
            why = f"not all have been measured on it, or {reference} has nought or what guessing reaches"
            print(f"left out {left} {'task' if left == 1 else 'tasks'}: {why}")
        print(f"{options.out} draws it")
    return 0
