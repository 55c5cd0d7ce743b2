"""Pictures that a model has drawn itself, later in the dialogue: changed as asked, and asked about."""

from collections.abc import Mapping, Sequence
from typing import Any

from tejat.data.presenting import edits, sprites
from tejat.evals import judging, statistics
from tejat.evals.answering import Answering
from tejat.evals.ground import Ground, rng
from tejat.evals.picture_changes import Case, Matching, case, changed
from tejat.evals.picture_material import SUITE, asked, drawable
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome, blank
from tejat.parts import Image, Part, Text, Turn

Dialogue = tuple[Turn, ...]


class Redrawing(Matching):
    """A thing is to be drawn, and what was drawn to be changed; the second picture is judged. None where the first
    answer has no picture."""

    @property
    def asked(self) -> str:
        return "turn by turn, the model's own answers in between; words greedily, codes as where nothing is said"

    def answers(self, model: Any, items: Sequence[Item]) -> list[tuple[Part, ...]]:
        return [said[-1].parts if whole else () for said, whole in led(model, items)]


class Recalling(Answering):
    """A thing is to be drawn, and then there is a question about the picture, answered in words.

    The dialogue says what was to be drawn: how many are answered without the picture is told beside it (`remarks`).
    """

    @property
    def asked(self) -> str:
        return "turn by turn, the model's own answers in between, the last one judged; greedy"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        found = led(model, items)
        whole = [n for n, (_, all_drawn) in enumerate(found) if all_drawn]
        blind = [tuple(map(_blanked, found[n][0][:-1])) for n in whole]
        answers = judging.drawn(model, blind, [f"{items[n].id}/blanked" for n in whole]) if whole else []
        blanked = dict(zip(whole, answers, strict=True))
        outcomes = []
        for n, (item, (said, all_drawn)) in enumerate(zip(items, found, strict=True)):
            right = all_drawn and self.judge(said[-1].parts, item)
            detail = {"drawn": all_drawn, "blanked": n in blanked and self.judge(blanked[n], item)}
            outcomes.append(Outcome(float(right), said[-1].parts if all_drawn else (), 1.0, detail))
        return outcomes

    def remarks(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Mapping[str, Estimate]:
        details, clusters = [outcome.detail or {} for outcome in outcomes], [item.cluster for item in items]
        shares = {"no picture drawn": [not one.get("drawn") for one in details]}
        shares["right with its pictures grey"] = [bool(one.get("blanked")) for one in details]
        return {name: statistics.proportion(share, clusters) for name, share in shares.items()}


def led(model: Any, items: Sequence[Item]) -> list[tuple[Dialogue, bool]]:
    """(dialogue, is it whole?) of each item: its turns, all of a user, are asked one after the other, and answered.

    Where a picture is due, in every answer but to the last turn, and does not come, the dialogue ends.
    """
    said: list[Dialogue] = [() for _ in items]
    for stage in range(max(len(item.turns) for item in items)):
        live = [n for n, item in enumerate(items) if stage < len(item.turns) and (not stage or _drew(said[n]))]
        prompts = [(*said[n], items[n].turns[stage]) for n in live]
        answers = judging.drawn(model, prompts, [f"{items[n].id}/{stage}" for n in live]) if live else []
        for n, so_far, parts in zip(live, prompts, answers, strict=True):
            said[n] = (*so_far, Turn("model", parts))
    return [(one, len(one) == 2 * len(item.turns)) for one, item in zip(said, items, strict=True)]


def redrawn(ground: Ground) -> list[Case]:
    """Things to be drawn and then changed in each of the ways that training has."""
    raws, made = drawable(ground), []
    for n in range(min(ground.most, 210)):
        random = rng(SUITE, "redrawn", n)
        k = int(random.integers(len(raws)))
        before = edits.drawing(raws[k], "en", random)
        change = [*edits.CHANGES][n % len(edits.CHANGES)]
        first = asked("concepts", "draw", random, name=before.names[0])
        found = changed(before, change, raws, k, random)
        if found is None:
            continue
        turns = [Turn("user", (Text(text),)) for text in (first, found[0])]
        made.append(case(f"{n:04d}", raws[k], turns, found[1], {"change": change}))
    return [one for one in made if one]


def recalled(ground: Ground) -> list[Item]:
    """Things to be drawn, as they are, on a ground or several, and then a question: what, on which colour, how many."""
    raws, made = drawable(ground), []
    for n in range(min(ground.most, 120)):
        random = rng(SUITE, "recalled", n)
        raw = raws[int(random.integers(len(raws)))]
        thing, colour = edits.drawing(raw, "en", random), int(random.integers(len(sprites.COLOURS)))
        name, called = thing.names[0], edits.WORDS["colours"]["en"][colour]
        count, draw = str(random.integers(2, edits.MOST + 1)), asked("concepts", "draw", random, name=name)
        kind = ("what it is", "the colour of its ground", "how many")[n % 3]
        if kind == "what it is":
            answer, said = name, [draw, asked("concepts", "made", random)]
        elif kind == "how many":
            more = asked("edits", "many", random, count=count)
            answer, said = count, [draw, more, asked("scenes", "count", random, name=name)]
        else:
            draw = asked("edits", "draw_on", random, name=name, colour=called)
            answer, said = called, [draw, asked("edits", "colour", random)]
        turns = tuple(Turn("user", (Text(text),)) for text in said)
        made.append(Item(f"{n:04d}", raw.fields["concept"], turns, (answer,), tags={"asked": kind}))
    return made


def _drew(said: Dialogue) -> bool:
    return bool(said) and any(isinstance(part, Image) for part in said[-1].parts)


def _blanked(turn: Turn) -> Turn:
    return Turn(turn.role, tuple(blank(part) for part in turn.parts))
