"""Facts of countries, cities and elements: closed book, and with a passage that tells them among others.

Every fact was stated in the corpus; that it was asked for was held out, so closed book measures what was read and
kept. With a passage, what is measured is whether the answer comes from there: what it tells is not true.
"""

from collections import defaultdict
from functools import partial
from typing import Any

from tejat.data.presenting.facts import ASKED, STATED
from tejat.data.shards import Item as Raw
from tejat.evals import measures
from tejat.evals.answering import Answering, Choosing
from tejat.evals.grading import Grading
from tejat.evals.ground import HELD_OUT, Ground, mixed, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Text, Turn

SUITE = "factuality"
SOURCES = ("world", "elements")
TOLD = 4  # facts of a passage


def tasks(ground: Ground) -> list[Task]:
    """Closed book and with passages, chosen and written."""
    closed, open_ = partial(items, ground, False), partial(items, ground, True)
    return [
        Choosing(SUITE, "closed-book", closed, by_length=True).with_(origin=HELD_OUT, quick=True),
        Choosing(SUITE, "passage", open_, by_length=True).with_(origin=HELD_OUT, quick=True),
        Answering(SUITE, "closed-book-written", closed).with_(origin=HELD_OUT),
        Grading(SUITE, "passage-written", open_, _overlap, "F1 of words").with_(origin=HELD_OUT),
    ]


def sections(model: Any) -> list[Section]:
    return []


def items(ground: Ground, passages: bool) -> list[Item]:
    """Questions with four choices: the answer, and answers to the same question about others."""
    facts = [raw for raw in ground.heldout(*SOURCES) if raw.fields["relation"] in ASKED and _answer(raw)]
    peers: dict[str, list[Raw]] = defaultdict(list)
    for raw in facts:
        peers[raw.fields["relation"]].append(raw)
    made = []
    for raw in ground.some(facts, f"{SUITE}/facts"):
        relation, subject, answer = raw.fields["relation"], _subject(raw), _answer(raw)
        random = rng(SUITE, raw.fields["group"], passages)
        others = [o for o in peers[relation] if _answer(o) != answer and _subject(o) != subject]
        others = [others[int(n)] for n in random.permutation(len(others))]
        wrong = list(dict.fromkeys(_answer(other) for other in others))[:3]
        if relation == "landlocked":
            wrong = ["No" if answer == "Yes" else "Yes"]
        if not wrong or (passages and (relation not in STATED or len(others) < TOLD)):
            continue
        asked = ASKED[relation]["en"][0].format(s=subject)
        if passages:
            # Another's answer is told of this subject: who knows the fact by heart is wrong.
            answer, wrong = wrong[0], [answer, *wrong[1:]]
            told = [(subject, answer), *((_subject(o), _answer(o)) for o in others[-(TOLD - 1) :])]
            lines = [STATED[relation]["en"][0].format(s=s, a=a) for s, a in told]
            shown = " ".join(lines[int(n)] for n in random.permutation(len(lines)))
            asked = f"{shown}\n\nAccording to the text: {asked}"
        choices = mixed(answer, wrong, random)
        turns = (Turn("user", (Text(asked),)),)
        made.append(
            Item(
                f"{'passage' if passages else 'fact'}-{raw.fields['group']}",
                _about(raw),
                turns,
                (answer,),
                choices=choices,
                chance=1 / len(choices),
                tags={"relation": relation},
            )
        )
    return made


def _about(raw: Raw) -> str:
    """The thing that a fact is about: all its facts are a cluster."""
    return raw.fields["group"].rpartition("/")[2]


def _subject(raw: Raw) -> str:
    return raw.fields["subject"].get("en", "")


def _answer(raw: Raw) -> str:
    answer = raw.fields["answer"]
    return answer.get("en", "") if isinstance(answer, dict) else answer


def _overlap(said: str, item: Item) -> float:
    return max(measures.words_f1(said, answer) for answer in item.answers)
