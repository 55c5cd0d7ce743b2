"""How many bytes a token of each tokenizer stands for, by language and by domain, as numbers, a table and a plot.

More bytes a token is a longer context and less work for the same text. Whether a model learns better by it is another
question, which `tejat.evals.tokenizer_trial` asks.
"""

import io
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tejat.codecs.vocabulary import Vocabulary
from tejat.data.text_sample import Passage
from tejat.parts import write_whole

LEAST = 4_000
"""Bytes of held-out text from which on a language is shown, and counts in the mean."""

COLOURS = ("#0f6f78", "#c2571a", "#6a4c93", "#8a8d2b", "#b83256", "#4d6fb3", "#7a7a7a")


@dataclass(frozen=True)
class Row:
    """Text of one language or domain under each tokenizer.

    Attributes:
      tokens: by the tokenizer's name.
      spelled: those of them that are a byte of a character which has no piece of its own.
    """

    name: str
    bytes: int
    tokens: dict[str, int]
    spelled: dict[str, int]

    def per_token(self, tokenizer: str) -> float:
        """Bytes a token."""
        return self.bytes / max(self.tokens[tokenizer], 1)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "bytes": self.bytes,
            "bytes_per_token": {name: round(self.per_token(name), 4) for name in self.tokens},
            "spelled": {name: round(self.spelled[name] / max(n, 1), 4) for name, n in self.tokens.items()},
        }


@dataclass(frozen=True)
class Comparison:
    """Rows by language and by domain, most text first, and one of all the text."""

    languages: list[Row]
    domains: list[Row]
    all: Row

    @property
    def measured(self) -> list[Row]:
        """Languages with text enough to speak of."""
        return [row for row in self.languages if row.bytes >= LEAST]

    def mean(self, tokenizer: str) -> float:
        """Bytes a token: the mean over the languages measured, whatever the size of each; of all if there is none."""
        return statistics.mean(row.per_token(tokenizer) for row in self.measured or [self.all])

    def to_json(self) -> dict[str, Any]:
        names = list(self.all.tokens)
        return {
            "languages": [row.to_json() for row in self.languages],
            "domains": [row.to_json() for row in self.domains],
            "all": self.all.to_json(),
            "mean": {"languages": len(self.measured), **{name: round(self.mean(name), 4) for name in names}},
        }


def compare(tokenizers: Mapping[str, Vocabulary], passages: Iterable[Passage]) -> Comparison:
    """Encodes every passage with every tokenizer."""
    sums: dict[tuple[str, str], Row] = {}
    fragments = {name: _fragments(vocabulary) for name, vocabulary in tokenizers.items()}
    for text, group in passages:
        keys = (("language", group.language), ("domain", group.domain), ("all", "all"))
        size = len(text.encode())
        encoded = {name: vocabulary.encode(text) for name, vocabulary in tokenizers.items()}
        for key in keys:
            row = sums.get(key) or Row(key[1], 0, dict.fromkeys(tokenizers, 0), dict.fromkeys(tokenizers, 0))
            tokens = {name: row.tokens[name] + len(ids) for name, ids in encoded.items()}
            spelled = {
                name: row.spelled[name] + sum(map(fragments[name].__contains__, ids)) for name, ids in encoded.items()
            }
            sums[key] = Row(row.name, row.bytes + size, tokens, spelled)
    kinds = defaultdict(list)
    for (kind, _), row in sums.items():
        kinds[kind].append(row)
    for rows in kinds.values():
        rows.sort(key=lambda row: (-row.bytes, row.name))
    return Comparison(kinds["language"], kinds["domain"], kinds["all"][0])


def _fragments(vocabulary: Vocabulary) -> frozenset[int]:
    """Ids of bytes that are no character alone."""
    return frozenset(i for i, piece in enumerate(vocabulary.piece_bytes) if len(piece) == 1 and piece[0] >= 0x80)


def tables(comparison: Comparison) -> str:
    """Bytes a token in Markdown, the best of a row in bold: by language, their mean, by domain, and of all the text."""
    names = list(comparison.all.tokens)
    size = sum(row.bytes for row in comparison.measured)
    mean = _cells(f"mean of {len(comparison.measured)}", size, [comparison.mean(name) for name in names])
    return "\n\n".join(
        [
            "\n".join([*_rows("language", comparison.measured, names), mean]),
            "\n".join(_rows("domain", [*comparison.domains, comparison.all], names)),
        ]
    )


def _rows(heading: str, rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    head = ["| " + " | ".join([heading, "bytes", *names]) + " |", "|" + "---|" + "--:|" * (len(names) + 1)]
    return head + [_cells(row.name, row.bytes, [row.per_token(name) for name in names]) for row in rows]


def _cells(name: str, size: int, values: Sequence[float]) -> str:
    shown = [f"{value:.2f}" for value in values]
    best = max(shown, key=float)
    cells = [f"**{value}**" if value == best else value for value in shown]
    return "| " + " | ".join([name, f"{size:,}", *cells]) + " |"


def plot(comparison: Comparison, out: Path) -> None:
    """Writes a PNG: a line for each language, a dot on it for each tokenizer; on top, where the first gains most."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(comparison.all.tokens)

    def gain(row: Row) -> float:
        return row.per_token(names[0]) / max(row.per_token(name) for name in names[1:] or names)

    rows = sorted(comparison.measured or [comparison.all], key=gain)
    figure = Figure(figsize=(7.2, 1.2 + 0.2 * len(rows)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for at, row in enumerate(rows):
        values = [row.per_token(name) for name in names]
        axes.plot([min(values), max(values)], [at, at], color="#cccccc", linewidth=1, zorder=1)
    for name, colour in zip(names, COLOURS, strict=False):
        axes.scatter([row.per_token(name) for row in rows], range(len(rows)), s=22, color=colour, label=name, zorder=2)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.set_xlim(left=0)
    axes.set_xlabel("bytes a token, held-out text")
    axes.grid(axis="x", alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=min(len(names), 3), frameon=False, fontsize=9)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_whole(out, png.getvalue())
