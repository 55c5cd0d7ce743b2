"""The page of `tejat data inspect`: one HTML file, pictures and players in it."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from tejat.cli import data_inspect
from tejat.evals import embed
from tejat.parts import Text

if TYPE_CHECKING:
    from tejat.cli.data_inspect import Shown

LONGEST = 6_000  # characters of a text on the page

_STYLE = """
.documents { margin-top: 3rem; }
.document { border-top: 1px solid var(--rule); padding: 1.3rem 0 1.6rem; break-inside: avoid; }
.document > header { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; margin-bottom: .8rem; }
.document > header b { font-size: 1.1rem; font-variant-numeric: tabular-nums; }
.document > header span, .part > .of, .key { font-family: system-ui, "Noto Sans", Arial, sans-serif; font-size: .8rem;
  color: var(--muted); overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.document > header .tokens { margin-left: auto; white-space: nowrap; }
.part { display: grid; grid-template-columns: 11rem minmax(0, 1fr); gap: 0 1.2rem; padding: .35rem 0; }
.part > .of { line-height: 1.45; padding-top: .2rem; }
.part > .of strong { color: var(--ink); font-weight: 600; }
.part > .what { border-left: 3px solid var(--rule); padding-left: 1rem; color: var(--muted); }
.part.learnt > .what { border-left-color: var(--accent); color: var(--ink); }
.part .text { display: block; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 26rem; overflow: auto;
  max-width: 46rem; }
.part .strip { max-width: 40rem; }
.part .sound { max-width: 26rem; }
.key { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; margin: 1.6rem 0 0; }
.key i { display: inline-block; width: 3px; height: 1em; vertical-align: -.15em; margin-right: .5em;
  background: var(--rule); }
.key .learnt i { background: var(--accent); }
@media (max-width: 46rem) {
  .part { grid-template-columns: 1fr; gap: .3rem; }
  .document > header .tokens { margin-left: 0; white-space: normal; }
}
"""


def render(
    title: str,
    facts: Mapping[str, str],
    shown: "Sequence[Shown]",
    left_out: Mapping[str, tuple[int, Sequence[str]]],
) -> str:
    """The page; everything that came from data is escaped."""
    style = resources.files("tejat.evals").joinpath("report.css").read_text(encoding="utf-8") + _STYLE
    told = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    learnt = '<span class="learnt"><i></i>the model learns to predict it</span>'
    key = f'<p class="key">{learnt}<span><i></i>it is given</span></p>'
    documents = "\n".join(_document(one) for one in shown)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n<body>\n'
        f'<main>\n<header><p class="eyebrow">Tejat</p><h1>{escape(title)}</h1><dl>{told}</dl></header>\n'
        f"{_totals(shown)}{_left_out(left_out)}"
        f'<section class="documents"><h2>Documents</h2>{key}{documents}</section>\n</main>\n</body>\n</html>\n'
    )


def _document(one: "Shown") -> str:
    document = one.document
    tokens = ""
    if one.tokens is not None:
        kinds = ", ".join(f"{count:,} {name}" for name, count in one.tokens.items())
        kinds = f": {kinds}" if len(one.tokens) > 1 else ""
        tokens = f'<span class="tokens">{data_inspect.counted(one.total)}{kinds}</span>'
    parts = []
    for k, (part, learnt, role) in enumerate(zip(document.parts, document.loss, document.roles, strict=True)):
        count = "" if one.part_tokens is None else f", {data_inspect.counted(one.part_tokens[k])}"
        whose = f"<strong>{role}</strong> " if role else ""
        of = f"{whose}{data_inspect.kind(part)}{count}<br>{escape(data_inspect.measured(part))}"
        classes = "part learnt" if learnt else "part"
        parts.append(f'<div class="{classes}"><div class="of">{of}</div><div class="what">{_what(part)}</div></div>')
    head = f"<b>{one.number:,}</b><span>{escape(document.source) or 'unnamed'}</span>{tokens}"
    return f'<article class="document"><header>{head}</header>{"".join(parts)}</article>'


def _what(part) -> str:
    if isinstance(part, Text) and len(part.text) > LONGEST:
        more = f"<small>… {len(part.text) - LONGEST:,} characters more</small>"
        return embed.html(Text(part.text[:LONGEST])) + more
    return embed.html(part)


def _totals(shown: "Sequence[Shown]") -> str:
    rows: dict[str, list[int]] = {}
    for one in shown:
        for name, count in (one.tokens or {}).items():
            row = rows.setdefault(name, [0, 0])
            row[0], row[1] = row[0] + 1, row[1] + count
    if not rows:
        return ""
    everything = sum(count for _, count in rows.values())
    body = "".join(
        f'<tr><th scope="row">{name}</th><td>{documents:,}</td><td>{count:,}</td><td>{count / everything:.1%}</td></tr>'
        for name, (documents, count) in rows.items()
    )
    head = "<th>tokens of</th><th>documents</th><th>tokens</th><th>share</th>"
    return f"<section><h2>Tokens</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></section>\n"


def _left_out(left_out: Mapping[str, tuple[int, Sequence[str]]]) -> str:
    if not left_out:
        return ""
    rows = "".join(
        f'<tr><th scope="row" style="white-space: normal">{escape(reason)}</th><td>{count:,}</td>'
        f'<td style="white-space: normal; text-align: left">{"<br>".join(map(escape, examples))}</td></tr>'
        for reason, (count, examples) in left_out.items()
    )
    head = '<th>what</th><th>count</th><th style="text-align: left">such as</th>'
    return (
        "<section><h2>Left out on the way here</h2>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>\n'
    )
