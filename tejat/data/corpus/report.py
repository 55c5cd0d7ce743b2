"""The ledger for people: a table for the terminal, and a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tejat.data.corpus.ledger import MODALITIES
from tejat.parts import write_whole

_SHOWN = 8  # languages of a source


def table(ledger: Mapping[str, Any]) -> str:
    """A line for each source, and their sum."""
    rows = [("source", "items", "held out", "MB", "on disk", "M tokens", "languages", "licence")]
    for name, source in ledger["sources"].items():
        train, held = source["splits"]["train"], source["splits"]["heldout"]
        languages = _languages(train)
        rows.append(
            (
                name,
                f"{train['items']:,}",
                f"{held['items']:,}",
                f"{sum(train['bytes'].values()) / 1e6:.1f}",
                f"{source['on_disk'] / 1e6:.1f}",
                f"{sum(train['tokens'].values()) / 1e6:.1f}",
                str(len(languages) or ""),
                source["licence"] if len(source["licence"]) <= 44 else source["licence"][:43] + "…",
            )
        )
    total = ledger["total"]
    train, held = total["train"], total["heldout"]
    rows.append(
        (
            "total",
            f"{train['items']:,}",
            f"{held['items']:,}",
            f"{sum(train['bytes'].values()) / 1e6:.1f}",
            f"{total['on_disk'] / 1e6:.1f}",
            f"{sum(train['tokens'].values()) / 1e6:.1f}",
            str(len(_languages(train))),
            "",
        )
    )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 7) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _languages(split: Mapping[str, Any]) -> list[str]:
    """Their tags; "zxx" is what has none, as code."""
    return [code for code in split["languages"] if code not in ("", "zxx")]


def write(directory: Path, ledger: Mapping[str, Any]) -> Path:
    """Writes report.html into the corpus: totals by modality and language, each source with what was left out of it."""
    path = Path(directory) / "report.html"
    write_whole(path, page(ledger).encode())
    return path


def page(ledger: Mapping[str, Any]) -> str:
    """The page as HTML, which needs nothing beside it."""
    total = ledger["total"]
    parts = [
        f"<h1>The corpus {_safe(ledger['name'])}, {_safe(ledger['size'])}</h1>",
        f"<p>{len(ledger['sources'])} sources, {total['train']['items']:,} items for training and "
        f"{total['heldout']['items']:,} held out, {total['on_disk'] / 1e6:,.1f} MB on disk.</p>",
        "<h2>By modality</h2>",
        _table(
            ("modality", "MB", "M tokens, estimated"),
            [
                (m, f"{total['train']['bytes'][m] / 1e6:,.1f}", f"{total['train']['tokens'][m] / 1e6:,.1f}")
                for m in MODALITIES
            ],
        ),
        "<h2>Sources</h2>",
        _table(
            ("source", "what", "items", "held out", "MB", "on disk", "M tokens", "licence", "copyleft"),
            [_row(name, source) for name, source in ledger["sources"].items()],
        ),
        "<h2>By language</h2>",
        _table(
            ("language", "items", "MB", "M tokens, estimated"),
            [
                (code or "several or none", f"{n['items']:,}", f"{n['bytes'] / 1e6:,.2f}", f"{n['tokens'] / 1e6:,.2f}")
                for code, n in total["train"]["languages"].items()
            ],
        ),
        "<h2>What was left out</h2>",
        *(_left_out(name, source) for name, source in ledger["sources"].items()),
        "<h2>Packages</h2>",
        _table(
            ("source", "package", "version", "files", "bytes", "SHA-256 of its files"),
            [
                (name, f"{p['kind']}:{p['name']}", p["version"], f"{p['files']:,}", f"{p['bytes']:,}", p["sha256"][:16])
                for name, source in ledger["sources"].items()
                for p in source["packages"]
            ],
        ),
    ]
    return _FRAME.replace("BODY", "\n".join(parts)).replace("TITLE", _safe(ledger["name"]))


def _row(name: str, source: Mapping[str, Any]) -> tuple[str, ...]:
    train, held = source["splits"]["train"], source["splits"]["heldout"]
    return (
        name,
        source["about"],
        f"{train['items']:,}",
        f"{held['items']:,}",
        f"{sum(train['bytes'].values()) / 1e6:,.1f}",
        f"{source['on_disk'] / 1e6:,.1f}",
        f"{sum(train['tokens'].values()) / 1e6:,.1f}",
        source["licence"],
        "yes" if source["copyleft"] else "no",
    )


def _left_out(name: str, source: Mapping[str, Any]) -> str:
    rows = [(reason, f"{n['count']:,}", " · ".join(n["examples"][:3])) for reason, n in source["parser"].items()]
    for step in source["steps"]:
        if not step["dropped"]:
            continue
        shown = step.get("report", {}).get("examples", {})
        first = " · ".join(f"{reason}: {examples[0]}" for reason, examples in shown.items() if examples)
        rows.append((f"items: {step['step']}", f"{step['dropped']:,}", first))
    if not rows:
        return ""
    head = f"<h3>{_safe(name)}: {source['read']:,} items read</h3>"
    return head + _table(("what", "how many", "for example"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    cells = "".join(f"<th>{_safe(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><tr>{cells}</tr>\n{lines}</table>"


def _safe(text: object) -> str:
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_FRAME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>TITLE</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto }
th, td { text-align: left; padding: .2rem .7rem; border-bottom: 1px solid #ddd; vertical-align: top }
th { font-weight: 600 } td { font-variant-numeric: tabular-nums }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } th, td { border-color: #333 } }
</style>
BODY
</html>
"""
