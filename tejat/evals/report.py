"""One HTML file that shows what a model does: results, curves, and samples that nobody selected.

It needs no network and no file beside it, follows the reader's light or dark, and prints. Everything that came from a
model or from data is escaped.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from math import isfinite
from pathlib import Path

from tejat.evals import charts, embed, harness
from tejat.evals.answering import written
from tejat.evals.harness import NotRun, Row
from tejat.evals.plots import Curve, curves, is_loss
from tejat.evals.statistics import Estimate
from tejat.evals.verdicts import MEANING
from tejat.parts import Image, Part, Text, write_whole

ALSO_DRAWN = ("gradient_norm", "rate", "tokens_per_s")  # columns of a training log beside the losses
_PASSES = {None: "", True: '<b class="right">✓</b>', False: '<b class="wrong">✗</b>'}
_MARKS = {None: "", True: '<b class="mark" title="right">✓</b>', False: '<b class="mark" title="wrong">✗</b>'}


@dataclass(frozen=True)
class Sample:
    """One thing that the model was asked, and what it answered.

    Attributes:
      prompt: what it was given.
      answer: what it gave.
      expected: what would have been right; none where nothing is wrong.
      right: marked in the report; None where nothing is right or wrong.
      blanked: what it answered with the media blanked.
      nearest: the training picture that is nearest to the one it drew.
      note: a few words below.
      continues: set the answer as the continuation of the prompt, in one paragraph.
    """

    prompt: tuple[Part, ...]
    answer: tuple[Part, ...]
    expected: str = ""
    right: bool | None = None
    blanked: str | None = None
    nearest: Image | None = None
    note: str = ""
    continues: bool = False


@dataclass(frozen=True)
class Gallery:
    """The first samples of a task, in its order; of how many; and its commonest confusions (expected, said, count)."""

    title: str
    samples: Sequence[Sample]
    total: int
    right: int | None = None
    confusions: Sequence[tuple[str, str, int]] = ()
    text: str = ""


@dataclass(frozen=True)
class Table:
    """A small table; numbers may be given as text. One of `words` is set as text is: at the left, in lines."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False


@dataclass(frozen=True)
class Section:
    """A heading and, below it, paragraphs (str), tables, curves and galleries, in order."""

    title: str
    blocks: Sequence[str | Table | Curve | Gallery]


@dataclass(frozen=True)
class Report:
    """All that is on the page, from top to bottom.

    Attributes:
      title: the heading.
      summary: a paragraph under it.
      facts: (name, value): the model, the command line, the seed, the hardware, the time it took.
      rows: the table of results.
      not_run: tasks without a result, and why.
      log: a training log of JSON lines; its losses are drawn.
      galleries: the samples of each task.
      sections: anything else.
    """

    title: str
    summary: str = ""
    facts: Sequence[tuple[str, str]] = ()
    rows: Sequence[Row] = ()
    not_run: Sequence[NotRun] = ()
    log: Path | None = None
    galleries: Sequence[Gallery] = ()
    sections: Sequence[Section] = field(default=())


def write(report: Report, path: Path) -> None:
    """Writes the page, whole."""
    write_whole(path, render(report).encode())


def render(report: Report) -> str:
    """The page."""
    logged = curves(report.log) if report.log is not None else []
    parts = [_head(report)]
    if report.rows:
        parts.append(_results(report.rows))
    if report.not_run:
        lines = [(f"{task.suite} {task.name}", task.reason) for task in report.not_run]
        parts.append(_section(Section("Not run", (Table(("task", "why"), lines, words=True),))))
    if report.rows:
        told = (_controls(report.rows), _asked(report.rows), _by(report.rows))
        parts += [_section(section) for section in told if section.blocks]
    if logged:
        parts.append(_training(logged))
    if report.galleries:
        opening = "The first items of every task, in the order of the task. Nothing is selected."
        parts.append(_section(Section("Samples", (opening, *report.galleries))))
    parts += [_section(section) for section in report.sections]
    style = resources.files("tejat.evals").joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(report.title)}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n'
        "<body>\n<main>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in report.facts)
    summary = f'<p class="summary">{escape(report.summary)}</p>' if report.summary else ""
    return (
        f'<header><p class="eyebrow">Tejat</p><h1>{escape(report.title)}</h1>{summary}'
        f"{f'<dl>{facts}</dl>' if facts else ''}</header>"
    )


def _results(rows: Sequence[Row]) -> str:
    """One table for each measure, because bars are compared along one axis; all shares of items are one measure."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault("" if row.kind == "proportion" else row.metric, []).append(row)
    tables = [_scores(group) for group in groups.values()]
    return f"<section><h2>Results</h2>{''.join(tables)}{_legend(rows)}</section>"


def _controls(rows: Sequence[Row]) -> Section:
    """What every control was to show, and whether it does."""
    lines, told = [], dict[str, None]()
    for row in rows:
        for name, one in row.verdicts.items():
            above = f"{one.above.value:+.3f}", harness.interval(one.above)
            lines.append((f"{row.suite} {row.name}", name, *above, f"{one.above.n:,}", one.told))
            told[one.told] = None
    head = ("task", "control", "minus text only", "95% interval", "n", "verdict")
    meant = ". ".join(f"“{name}”: {MEANING[name]}" for name in MEANING if name in told)
    opening = f"The same items with the medium changed, less the same without it. {meant}."
    return Section("Controls", [opening, Table(head, lines)] if lines else [])


def _asked(rows: Sequence[Row]) -> Section:
    """How every task was asked, and what is known of its items in what was trained on."""
    lines = [(f"{row.suite} {row.name}", row.asked, row.contamination) for row in rows if row.asked]
    table = Table(("task", "prompt and decoding", "contamination"), lines, words=True)
    return Section("How it was asked", [table] if lines else [])


def _by(rows: Sequence[Row]) -> Section:
    """Tasks by language, depth, kind …, and numbers of all their items together."""
    blocks: list[str | Table | Curve | Gallery] = []
    end = ("95% interval", "one standard error", "n")
    for row in rows:
        for tag, found in row.by.items():
            if len(found) > 1:
                head = (f"{row.suite} {row.name}, by {tag}", row.metric, *end)
                blocks.append(Table(head, [(name, *_cells(one)) for name, one in found.items()]))
        if row.remarks:
            head = (f"{row.suite} {row.name}, all together", "", *end)
            blocks.append(Table(head, [(name, *_cells(one)) for name, one in row.remarks.items()]))
    return Section("In parts", blocks)


def _cells(one: Estimate | str) -> tuple[str, ...]:
    """A number with its interval, its error and its count; text is alone."""
    if isinstance(one, str):
        return one, "", "", ""
    return f"{one.value:.3f}", harness.interval(one), harness.error(one), f"{one.n:,}"


def _scores(rows: Sequence[Row]) -> str:
    end = charts.scale_end(rows)
    share = rows[0].kind == "proportion"
    extra = [name for name, present in _columns(rows) if present]
    head = ["<th>task</th>", f'<th class="wide">{charts.axis(end)}</th>', "<th>value</th>", "<th>95% interval</th>"]
    head += [*(f"<th>{name}</th>" for name in extra), '<th class="rest"></th>']
    body = []
    several = len({row.suite for row in rows}) > 1
    for row in rows:
        metric = f"{row.suite}: {row.metric}" if several else row.metric
        cells = {
            "chance": _number(row.chance or None),
            "blanked": _number(row.blanked and row.blanked.value),
            "the senses add": row.difference and _signed(row.difference.value, row.difference.low, row.difference.high),
            "shuffled": _number(row.shuffled and row.shuffled.value),
            "text only": _number(row.text_only and row.text_only.value),
            "baseline": _number(row.baseline),
            "n": f"{row.n:,}<small>{f'in {row.clusters} clusters' if row.clusters < row.n else ''}</small>",
        }
        line = [
            f'<th scope="row">{escape(row.name)}<small>{escape(metric)}</small></th>',
            f'<td class="wide">{charts.interval(row, end)}</td>',
            f'<td class="value">{_PASSES[row.passes]}{row.value:.3f}</td>',
            f'<td data-name="95% interval">{harness.interval(row)}<small>{harness.error(row)}</small></td>',
            *(f'<td data-name="{name}">{cells[name] or "–"}</td>' for name in extra),
            '<td class="rest"></td>',
        ]
        body.append(f"<tr>{''.join(line)}</tr>")
    measured = "Share of items, higher is better" if share else f"{rows[0].metric}, {rows[0].better} is better"
    caption = f"<caption>{escape(measured[0].upper() + measured[1:])}.</caption>"
    return (
        f'<table class="results">{caption}<thead><tr>{"".join(head)}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    )


def _columns(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """The columns that not every table has, and whether this one has them."""
    return [
        ("chance", any(row.chance for row in rows)),
        ("blanked", any(row.blanked is not None for row in rows)),
        ("the senses add", any(row.difference is not None for row in rows)),
        ("shuffled", any(row.shuffled is not None for row in rows)),
        ("text only", any(row.text_only is not None for row in rows)),
        ("baseline", any(row.baseline is not None for row in rows)),
        ("n", True),
    ]


def _legend(rows: Sequence[Row]) -> str:
    """What the marks mean: only those that are on the page."""
    marks = [("value", "the model, with its 95% interval")]
    if any(row.blanked for row in rows):
        marks.append(("blanked", "the same items with the picture grey, the sound silent, the clip still"))
    if any(row.chance for row in rows):
        marks.append(("chance", "guessing"))
    entries = [f'<span><i class="mark {name}"></i>{text}</span>' for name, text in marks]
    if told := "; ".join(dict.fromkeys(row.baseline_is for row in rows if row.baseline_is)):
        entries.append(f'<span><i class="mark baseline"></i>what looks at no item: {escape(told)}</span>')
    notes = "<p>± is one standard error.</p>"
    if any(row.shuffled is not None for row in rows):
        notes += "<p>Shuffled: the sound's samples and the clip's frames in another order; pictures stay.</p>"
    if any(row.passes is not None for row in rows):
        notes += (
            "<p>✓: the low end of the interval is at least three times chance and twice the blanked value, or, where "
            "that is past it, half-way from there to perfect.</p>"
        )
    return f'<div class="legend">{"".join(entries)}</div>{notes}'


def _training(logged: Sequence[Curve]) -> str:
    losses = [curve for curve in logged if is_loss(curve.name)]
    others = [curve for name in ALSO_DRAWN for curve in logged if curve.name == name]
    return (
        f'<section><h2>Training</h2><div class="panels">{"".join(map(charts.panel, losses))}</div>'
        f'<div class="panels minor">{"".join(map(charts.panel, others))}</div></section>'
    )


def _section(section: Section) -> str:
    return f"<section><h2>{escape(section.title)}</h2>{''.join(map(_block, section.blocks))}</section>"


def _block(block: str | Table | Curve | Gallery) -> str:
    match block:
        case Curve():
            return f'<div class="panels">{charts.panel(block)}</div>'
        case str():
            return f"<p>{escape(block)}</p>"
        case Table():
            head = "".join(f"<th>{escape(cell)}</th>" for cell in block.head)
            body = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in block.rows)
            kind = ' class="words"' if block.words else ""
            return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        case Gallery():
            return _gallery(block)


def _gallery(gallery: Gallery) -> str:
    shown = len(gallery.samples)
    told = f"the first {shown:,} of {gallery.total:,}" if shown < gallery.total else f"all {gallery.total:,}"
    if gallery.right is not None:
        told += f"; of all, {gallery.right:,} right" if shown < gallery.total else f", {gallery.right:,} right"
    confused = "".join(
        f"<li><span>{escape(expected)}</span> taken for <span>{escape(said) or 'nothing'}</span> <b>×{count}</b></li>"
        for expected, said, count in gallery.confusions
    )
    confusions = f'<div class="confusions">Most often <ul>{confused}</ul></div>' if confused else ""
    text = f"<p>{escape(gallery.text)}</p>" if gallery.text else ""
    prose = all(isinstance(part, Text) for s in gallery.samples for part in (*s.prompt, *s.answer))
    cards = "".join(map(_card, gallery.samples))
    return (
        f"<h3>{escape(gallery.title)} <small>{told}</small></h3>{text}{confusions}"
        f'<div class="cards{" prose" if prose else ""}">{cards}</div>'
    )


def _card(sample: Sample) -> str:
    state = {None: "", True: " right", False: " wrong"}[sample.right]
    mark = _MARKS[sample.right]
    media = "".join(embed.html(part) for part in sample.prompt if not isinstance(part, Text))
    asked, said = written(sample.prompt), written(sample.answer)
    drawn = [part for part in sample.answer if isinstance(part, Image)]
    parts = []
    if sample.continues:
        parts.append(f'<p class="answer" dir="auto"><span class="prompt">{escape(asked)}</span>{_lines(said)}</p>')
    else:
        parts.append(f'<p class="prompt" dir="auto">{escape(asked)}</p>' if asked else "")
        parts.append(f'<p class="answer" dir="auto">{mark}{_lines(said)}</p>' if said or not drawn else "")
    if drawn:
        pictures = [(part, "drawn") for part in drawn] + [(p, "nearest in training") for p in [sample.nearest] if p]
        captions = ["" if said else mark, *[""] * len(pictures)]  # one mark is enough
        figures = "".join(
            f"<figure>{embed.picture(picture, name)}<small>{caption}{name}</small></figure>"
            for (picture, name), caption in zip(pictures, captions, strict=False)
        )
        parts.append(f'<div class="drawn">{figures}</div>')
    if sample.expected and sample.right is not True:
        parts.append(f'<p class="expected">expected <span dir="auto">{escape(sample.expected)}</span></p>')
    if sample.blanked is not None:
        parts.append(f'<p class="without">blanked <span dir="auto">{escape(sample.blanked) or "(nothing)"}</span></p>')
    if sample.note:
        parts.append(f'<p class="note">{escape(sample.note)}</p>')
    media = f'<div class="media">{media}</div>' if media else ""
    return f'<article class="card{state}">{media}<div>{"".join(parts)}</div></article>'


def _lines(text: str) -> str:
    """Words of a model, escaped; empty lines that an untrained one writes by the dozen are counted, not shown."""
    return re.sub(r"\n{3,}", lambda run: f"\n<small>⏎ × {len(run[0])}</small>\n", escape(text))


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _signed(value: float, low: float, high: float) -> str:
    reach = f"<small>{low:+.3f} … {high:+.3f}</small>" if isfinite(low) and isfinite(high) else ""
    return f"{value:+.3f}{reach}".replace("-", "−")
