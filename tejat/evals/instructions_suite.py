"""Following instructions that can be checked: so many, in this form, in that order, with or without a word.

After IFEval (Zhou et al. 2023): what is checked is whether the constraints are met, not whether the answer is good; a
list of animals may name any. The words are those of the sample, in ten languages.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tejat import sample
from tejat.data.presenting.instructions import FORMS, WORDS
from tejat.evals import statistics
from tejat.evals.grading import Grading, Remarks
from tejat.evals.ground import MADE, Ground, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Text, Turn

SUITE = "instructions"
KINDS = ("sort", "repeat", "length", "backwards", "form")


def tasks(ground: Ground) -> list[Task]:
    """All constraints of an instruction met; and each constraint by itself in the remarks."""
    task = Grading(
        SUITE,
        "constraints",
        partial(items, ground),
        _all_met,
        "all met",
        kind="proportion",
        max_tokens=48,
        remarks=_each,
    )
    return [task.with_(origin=MADE, quick=True)]


def sections(model: Any) -> list[Section]:
    return []


def items(ground: Ground) -> list[Item]:
    """Instructions of every kind and language, with their constraints as material."""
    made = []
    for number in range(min(ground.most, 500)):
        random = rng(SUITE, number)
        language = sample.languages()[int(random.integers(len(sample.languages())))] if number % 2 else "en"
        names = [name for c in sample.concepts() if (name := c.names.get(language)) and not {*",;:\n"} & {*name}]
        kind = KINDS[number % len(KINDS)]
        asked, answer, due = _made(kind, names, language, random)
        turns = (Turn("user", (Text(asked),)),)
        tags = {"kind": kind, "language": language}
        made.append(Item(f"{kind}-{number:04d}", str(number), turns, (answer,), tags=tags, material=due))
    return made


def _made(kind: str, names: Sequence[str], language: str, random: np.random.Generator):
    """(instruction, an answer that meets it, its constraints)."""
    several = [names[int(n)] for n in random.permutation(len(names))[: int(random.integers(3, 7))]]
    word = several[0]

    def say(use: str, **parts: str) -> str:
        wordings = WORDS[use].get(language) or WORDS[use]["en"]
        return wordings[int(random.integers(len(wordings)))].format(**parts)

    if kind == "length":
        return say("length", word=word), str(len(word)), {"exactly": str(len(word))}
    if kind == "backwards":
        return say("backwards", word=word), word[::-1], {"exactly": word[::-1]}
    if kind == "repeat":
        asked, listed = say("repeat", count=str(len(several)), word=word), [word] * len(several)
        due = {"count": len(several), "only": [word]}
    else:
        asked, listed = say("sort", words=", ".join(several)), sorted(several, key=str.casefold)
        due = {"count": len(several), "same": several, "sorted": True}
    if kind == "form":
        forms = [f for f in FORMS if f != "capitals" or word.upper() != word]
        form = forms[int(random.integers(len(forms)))]
        return f"{asked} {say(form)}", FORMS[form](listed), due | {"form": form}
    return asked, ", ".join(listed), due


def met(said: str, due: dict[str, Any]) -> dict[str, bool]:
    """Each constraint of an instruction, and whether an answer meets it."""
    found: dict[str, bool] = {}
    if "exactly" in due:
        return {"exactly": said.strip().strip(".").casefold() == due["exactly"].casefold()}
    parts = _parts(said, due.get("form"))
    folded = [part.casefold() for part in parts]
    for name, want in due.items():
        match name:
            case "count":
                found[name] = len(parts) == want
            case "only":
                found[name] = bool(parts) and {*folded} == {word.casefold() for word in want}
            case "same":
                found[name] = Counter(folded) == Counter(word.casefold() for word in want)
            case "sorted":
                found[name] = bool(parts) and folded == sorted(folded)
            case "form":
                found[name] = bool(parts) and _FORMED[want](said.strip())
    return found


def _parts(said: str, form: str | None) -> list[str]:
    """The things that an answer lists, in whatever form it does."""
    text = said.strip()
    if form == "json" or text.startswith("["):
        try:
            listed = json.loads(text)
        except ValueError:
            return []
        return [str(one) for one in listed] if isinstance(listed, list) else []
    pieces = re.split(r"[,;\n]+", text)
    return [p for piece in pieces if (p := re.sub(r"^\s*(?:\d+[.)]|[-*•])\s+", "", piece).strip().rstrip("."))]


_FORMED: dict[str, Callable[[str], bool]] = {
    "lines": lambda text: "\n" in text and not re.search(r"[,;]", text),
    "numbered": lambda text: all(line.startswith(f"{n}. ") for n, line in enumerate(text.splitlines(), 1)),
    "capitals": lambda text: text == text.upper() and text != text.lower(),
    "json": lambda text: text.startswith("["),
    "semicolons": lambda text: ";" in text and "," not in text and "\n" not in text,
}


def _all_met(said: str, item: Item) -> bool:
    return all(met(said, item.material).values())


def _each(items: Sequence[Item], answers: Sequence[str]) -> Remarks:
    marks: dict[str, list[bool]] = {}
    for item, said in zip(items, answers, strict=True):
        for name, fine in met(said, item.material).items():
            marks.setdefault(name, []).append(fine)
    return {name: statistics.proportion(found) for name, found in marks.items()}
