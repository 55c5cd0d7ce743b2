"""Decontamination: what has a question or a picture of an evaluation in it is not trained on.

After Brown et al. 2020 (GPT-3), appendix C: a run of 13 words shared with an evaluation condemns a record. Differences:
in scripts without spaces a run is of 26 characters; a text shorter than that is looked for as a whole, if it has at
least six words (12 characters) and is the first of its question, for short answers and choices are no sign of one.
Case, punctuation, white space and what letters may wear do not count. Two kinds of runs are left out: what many
questions share (their frame, a list of names), and figures with fewer than six words of two letters and more among
them, for "1 N 2 N 3 N 4 N" and the digits in order stand in many a manual.
"""

import csv
import gzip
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tejat.data.cleaning.pictures import Known
from tejat.data.cleaning.pictures import read as read_picture
from tejat.data.cleaning.records import Record, group, pictures, text
from tejat.data.cleaning.report import Report
from tejat.data.cleaning.table import Table
from tejat.data.cleaning.words import all_runs, words
from tejat.errors import BadInput
from tejat.parts import Image

RUN, SHORTEST = 13, 6  # words; of characters in scripts without spaces twice as many
COMMON = 5  # questions from which on a run is no sign of one of them

Question = Sequence[str]
"""The texts of one question, each looked for by itself: what is asked, choices, a passage, a solution."""


class Contamination:
    """Drops records that share a run of words or a picture with an evaluation.

    Args:
      evaluations: questions by the name of the set; see `read`.
      images: pictures by the name of the set.

    Nothing grows after it is made; it holds some 30 bytes for each word of the evaluations. `report.notes` counts the
    questions of each set that were met, and those too short to be looked for.
    """

    def __init__(
        self,
        evaluations: Mapping[str, Iterable[Question]],
        images: Mapping[str, Iterable[bytes | Image]] | None = None,
    ) -> None:
        self.report = Report("contamination")
        self._of: list[tuple[str, str]] = []  # of each question its set, and how it begins
        self._met: set[int] = set()
        self._tables: dict[int, Table] = {}
        self._index(evaluations)
        self._pictures = Known()
        for name, shown in (images or {}).items():
            for picture in shown:
                if (seen := read_picture(picture)) is not None:
                    self._pictures.add(seen, name)

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        records = iter(records)
        while batch := list(islice(records, 256)):
            texts = [text(record) for record in batch]
            for record, content, question in zip(batch, texts, self._found(texts), strict=True):
                told = group(record, source)
                self.report.see(told, len(content))
                if question >= 0:
                    name, begins = self._of[question]
                    self._meet(question)
                    self.report.drop(f"has a question of {name}", told, f"{content[:120]} ∋ {begins}", len(content))
                elif shown := self._picture(record):
                    self.report.drop(f"has a picture of {shown}", told, content, len(content))
                else:
                    yield record

    def _index(self, evaluations: Mapping[str, Iterable[Question]]) -> None:
        texts: list[str] = []
        owners: list[int] = []
        for name, questions in evaluations.items():
            for question in questions:
                owners += [len(self._of)] * len(question)
                texts += question
                self._of.append((name, " ".join(" ".join(question).split())[:80]))
        found = words(plain(texts))
        unit = np.where(found.unspaced, 2, 1)
        size = np.where(found.counts >= RUN * unit, RUN * unit, found.counts)
        telling = np.concatenate([[0], np.cumsum(found.telling)])
        enough = telling[found.offsets[1:]] - telling[found.offsets[:-1]] >= SHORTEST * unit
        begins = np.zeros(len(texts), bool)  # the first text of each question that says something
        begins[np.unique(np.where(enough, owners, -1), return_index=True)[1]] = True
        size[~enough | (size < RUN * unit) & ~begins] = 0
        text_of, owner_of = found.text_of, np.asarray(owners, np.int64)
        looked: set[int] = set()
        for n, hashes, at in all_runs(found, {int(n) for n in size if n}):
            mine = (size[text_of[at]] == n) & (telling[at + n] - telling[at] >= SHORTEST * unit[text_of[at]])
            hashes, asked = hashes[mine], owner_of[text_of[at[mine]]]
            pairs = np.unique(np.stack([hashes, asked.astype(np.uint64)]), axis=1)
            keys, first, counts = np.unique(pairs[0], return_index=True, return_counts=True)
            rare = counts < COMMON if n in (RUN, 2 * RUN) else counts > 0
            self._tables[n] = Table()
            self._tables[n].add(keys[rare], pairs[1][first[rare]])
            looked |= set(asked.tolist())
        for k, (name, _) in enumerate(self._of):
            self.report.notes[f"questions of {name}"] += 1
            self.report.notes[f"questions of {name}, too short to be looked for"] += k not in looked

    def _found(self, texts: Sequence[str]) -> list[int]:
        """The first question that each text has, -1 where it has none."""
        found = words(plain(texts))
        first = np.full(len(texts), -1, np.int64)
        text_of = found.text_of
        for n, hashes, at in all_runs(found, self._tables.keys()):
            owners = self._tables[n].find(hashes)
            for hit in np.flatnonzero(owners >= 0):
                first[text_of[at[hit]]] = owners[hit]
                self._meet(int(owners[hit]))
        return first.tolist()

    def _meet(self, question: int) -> None:
        if question not in self._met:
            self._met.add(question)
            self.report.notes[f"questions of {self._of[question][0]} met"] += 1

    def _picture(self, record: Record) -> str:
        """The set that one of the record's pictures is of, or ""."""
        if not len(self._pictures):
            return ""
        seen = (read_picture(picture) for picture in pictures(record).values())
        return next((name for s in seen if s is not None and (name := self._pictures.find(s)) is not None), "")


def plain(texts: Sequence[str]) -> list[str]:
    """The texts without what letters may wear: ligatures, full width, soft hyphens, marks of no width (NFKC, without
    the category Cf), as pages of PDF and HTML have them."""
    found = []
    for content in texts:
        if not content.isascii():
            content = unicodedata.normalize("NFKC", content)
            if _UNSEEN.search(content):
                content = _UNSEEN.sub("", content)
        found.append(content)
    return found


_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def read(path: Path) -> dict[str, list[Question]]:
    """Evaluation sets by name: a file, or every file in a folder, each a set named by its path in it.

    JSON, JSON lines, CSV and TSV, also with .gz. A question is a row, or an object with strings in it.
    Raises BadInput for what is not there or cannot be read, and for a folder without such files.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if _kind(file))
    else:
        files = [path] if path.is_file() and _kind(path) else []
    if not files:
        raise BadInput(
            f"there is no evaluation set in {path}; give JSON, JSON lines, CSV or TSV files, or their folder"
        )
    root = path if path.is_dir() else path.parent
    sets: dict[str, list[Question]] = defaultdict(list)
    for file in files:
        try:
            sets[file.relative_to(root).as_posix().split(".")[0]] += _questions(file)
        except (OSError, ValueError, csv.Error) as error:
            raise BadInput(f"the evaluation set {file} cannot be read ({error}); mend or remove it") from error
    return dict(sets)


def _kind(file: Path) -> str:
    """Its format by its name; "" for none of ours."""
    name = file.name.removesuffix(".gz")
    return next((kind for kind in ("json", "jsonl", "csv", "tsv") if name.endswith(f".{kind}")), "")


def _questions(file: Path) -> list[Question]:
    data = file.read_bytes()
    content = (gzip.decompress(data) if file.suffix == ".gz" else data).decode(
        "utf-8-sig", "replace"
    )  # some are of mixed encodings
    match _kind(file):
        case "json":
            return list(_objects(json.loads(content)))
        case "jsonl":
            return [
                question for line in content.splitlines() if line.strip() for question in _objects(json.loads(line))
            ]
        case kind:
            rows = csv.reader(content.splitlines(keepends=True), delimiter="\t" if kind == "tsv" else ",")
            return [row for row in rows if row]


def _objects(value: Any) -> Iterator[Question]:
    """The strings of every object by itself, with those in lists of it."""
    if isinstance(value, list):
        for inner in value:
            yield from _objects(inner)
    elif isinstance(value, dict):
        own = [text for text in value.values() if isinstance(text, str)]
        own += [text for inner in value.values() if isinstance(inner, list) for text in inner if isinstance(text, str)]
        if own:
            yield own
        for key, inner in value.items():
            if not key.startswith("answer"):  # spans of a passage, which is there
                yield from _objects(inner)
