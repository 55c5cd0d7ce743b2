"""Summing up: package descriptions, manual pages and sections of help, in many languages, in one line.

What an author wrote as the short description is the reference. The first sentence of a text is a summary that is hard
to beat, and so the baseline. Beside ROUGE stands how near a summary's vector is to the reference's: vectors are the
model's own (`Model.embed`), less the mean of the references asked with it, without which all lie close together.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tejat.data.presenting.pages import SUMMARY
from tejat.data.shards import Item as Raw
from tejat.evals import measures, statistics
from tejat.evals.answering import Choosing, written
from tejat.evals.grading import Grading, Remarks
from tejat.evals.ground import HELD_OUT, Ground, mixed, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Outcome, Task
from tejat.parts import Text, Turn

SUITE = "summaries"
KINDS = {"packages": ("package-descriptions",), "pages": ("manuals", "gnome-help", "libreoffice-help")}
LONGEST = 1_500  # characters of a text
LENGTHS = ((200, "up to 200 characters"), (500, "200 – 500"), (10**9, "over 500"))


def tasks(ground: Ground) -> list[Task]:
    """Written, graded by ROUGE-L; and chosen among the summaries of other texts of the language."""
    made: list[Task] = []
    for kind in KINDS:
        make = partial(items, ground, kind)
        made.append(
            Summing(
                *(SUITE, kind, make, _grade, "ROUGE-L"),
                max_tokens=40,
                lazy=(_first, "the first sentence of the text"),
                remarks=_remarks,
            ).with_(origin=HELD_OUT)
        )
        choosing = Choosing(SUITE, f"{kind}-chosen", make, by_length=True)
        made.append(choosing.with_(origin=HELD_OUT, quick=kind == "packages"))
    return made


def sections(model: Any) -> list[Section]:
    return []


class Summing(Grading):
    """Graded, and with the cosine of the vectors of summary and reference, and of summary and another's reference."""

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        outcomes = super().measure(model, items)
        due = np.stack([model.embed(item.answers[0]) for item in items])
        middle = due.mean(axis=0) if len(items) > 1 else 0.0
        due = _units(due - middle)
        found = []
        for n, outcome in enumerate(outcomes):
            said = written(outcome.parts)
            mine = _units(model.embed(said)[None] - middle)[0] if said.strip() else np.zeros_like(due[0])
            detail = {"similar": float(mine @ due[n]), "other": float(mine @ due[n - 1])}
            found.append(outcome._replace(detail={key: round(value, 4) for key, value in detail.items()}))
        return found

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Remarks:
        """Similarity by length, and that to references of other texts, which tells how much it is worth."""
        told = dict(super().remarks(items, outcomes))
        values: dict[str, list[float]] = defaultdict(list)
        for item, outcome in zip(items, outcomes, strict=True):
            if outcome.detail:
                values["similarity"].append(outcome.detail["similar"])
                values[f"similarity, {item.tags['length']}"].append(outcome.detail["similar"])
                values["similarity to another's reference"].append(outcome.detail["other"])
        return told | {name: statistics.mean(mine) for name, mine in values.items()}


def _units(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def items(ground: Ground, kind: str) -> list[Item]:
    """Texts that have a summary, with four to choose from."""
    raws = [raw for raw in ground.heldout(*KINDS[kind]) if _usable(raw)]
    peers: dict[str, list[str]] = defaultdict(list)
    for raw in raws:
        peers[raw.fields["language"]].append(raw.fields["summary"])
    made, seen = [], set[str]()
    for raw in ground.some(_apart(raws, ground.most), f"{SUITE}/{kind}"):
        fields = raw.fields
        language, summary, text = fields["language"], fields["summary"], _cut(fields["text"])
        random = rng(SUITE, fields["group"], language)
        others = list(dict.fromkeys(s for s in peers[language] if s != summary))
        wrong = [others[int(n)] for n in random.permutation(len(others))[:3]]
        id = f"{fields['group']}-{language}"
        if len(wrong) < 3 or id in seen:
            continue
        seen.add(id)
        asked = SUMMARY.get(language, SUMMARY["en"])[0]
        made.append(
            Item(
                *(id, fields["group"], (Turn("user", (Text(f"{asked}\n\n{text}"),)),), (summary,)),
                choices=mixed(summary, wrong, random),
                chance=0.25,
                tags={"language": language, "length": next(told for most, told in LENGTHS if len(text) <= most)},
                material=text,
            )
        )
    return made


def _apart(raws: Sequence[Raw], most: int) -> Sequence[Raw]:
    """Of each text one language, drawn, where there are texts enough: translations of one tell little more than it."""
    by_text: dict[str, list[Raw]] = defaultdict(list)
    for raw in raws:
        by_text[raw.fields["group"]].append(raw)
    if len(by_text) < most:
        return raws
    return [mine[int(rng(SUITE, group).integers(len(mine)))] for group, mine in by_text.items()]


def _usable(raw: Raw) -> bool:
    fields = raw.fields
    return bool(fields.get("summary")) and len(fields["text"]) > 80 and fields.get("piece", (0, 1))[0] == 0


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    end = text.rfind("\n", LONGEST // 2, LONGEST)
    return text[: end if end > 0 else LONGEST]


def _grade(said: str, item: Item) -> float:
    return measures.rouge_l(said, item.answers[0])


def _first(item: Item) -> str:
    """The first sentence of the text."""
    return re.split(r"(?<=[.!?。])\s*|\n", item.material, maxsplit=1)[0]


def _remarks(items: Sequence[Item], answers: Sequence[str]) -> Remarks:
    pairs = [(said, item.answers[0]) for said, item in zip(answers, items, strict=True)]
    values = {f"ROUGE-{n}": [measures.rouge_n(*pair, n) for pair in pairs] for n in (1, 2)}
    values["chrF"] = [measures.chrf(*pair) for pair in pairs]
    return {name: statistics.mean(mine, [item.cluster for item in items]) for name, mine in values.items()}
