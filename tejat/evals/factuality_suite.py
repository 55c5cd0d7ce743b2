"""Facts of countries, cities and elements; attribution, answers from memory, and owning up to what cannot be answered.

The tasks of `tejat.evals.factuality` look at one set of answers: to questions that have an answer, in a source or in
what was read, and to questions that have none. The others ask facts alone, by likelihood and in words: every fact was
stated in the corpus, and that it was asked for was held out, so closed book measures what was read and kept. With a
passage, what is measured is whether the answer comes from there: what it tells is not true.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from tejat.data.presenting.facts import ASKED, STATED
from tejat.data.shards import Item as Raw
from tejat.evals import measures
from tejat.evals.answering import Answering, Choosing
from tejat.evals.factuality import cases, judging, measuring, prompts
from tejat.evals.factuality.measuring import Answers, Covering, Judging, Risking
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
        *_behaviours(ground),
    ]


def sections(model: Any) -> list[Section]:
    return []


def _behaviours(ground: Ground) -> list[Task]:
    """Shares of one set of answers: each task looks at those of its items."""
    answers, every = Answers(), partial(cases.all_items, ground)

    def those(fit: Callable[[Item], bool]) -> Callable[[], list[Item]]:
        return lambda: ground.some(filter(fit, every()), f"{SUITE}/behaviours")

    def by_hand(able: bool) -> Callable[[], list[Item]]:
        return lambda: [item for item in prompts.items() if cases.answerable(item) == able]

    able, from_source = those(cases.answerable), those(lambda item: cases.answerable(item) and _sourced(item))
    unable = those(lambda item: not cases.answerable(item))
    shares = {"by its words": judging.by_words, "by its sense": judging.by_sense, "quotes": _quotes}
    made: list[Judging] = [
        Judging(
            SUITE,
            "attribution",
            from_source,
            answers,
            measuring.attributed,
            "borne out by the source",
            "higher",
            shares,
        ),
        Judging(SUITE, "hedging", unable, answers, measuring.hedged, "owns up"),
        Judging(SUITE, "over-hedging", able, answers, measuring.hedged, "owns up needlessly", "lower"),
        Judging(SUITE, "helpful", able, answers, measuring.right, "right"),
        Covering(SUITE, "inaccurate", those(_any), answers, measuring.wrong, "wrong, of all questions", "lower"),
        Risking(SUITE, "risk-coverage", those(_any), answers, measuring.wrong, "area under the curve", "lower"),
        Judging(SUITE, "prompts-helpful", by_hand(True), answers, measuring.right, "right"),
        Judging(SUITE, "prompts-hedging", by_hand(False), answers, measuring.hedged, "owns up"),
    ]
    # What cannot be answered cannot be answered of a grey picture either: only the others have a control.
    ways = {"attribution": ("blanked",), "over-hedging": ("blanked",), "helpful": ("blanked",)}
    return [task.with_(origin=cases.ORIGIN, ways=ways.get(task.name, ())) for task in made]


def _sourced(item: Item) -> bool:
    return item.tags["kind"] in ("told", "told in a picture", "label", "heard")


def _any(item: Item) -> bool:
    return True


def _quotes(said: str, item: Item) -> bool:
    return bool(judging.quotations(said))


def items(ground: Ground, passages: bool) -> list[Item]:
    """Questions with four choices: the answer, and answers to the same question about others. Of several answers, as
    of a country with two currencies, the first is offered, and closed book any is right."""
    facts = [raw for raw in ground.heldout(*SOURCES) if raw.fields["relation"] in ASKED and _answer(raw)]
    peers: dict[str, list[Raw]] = defaultdict(list)
    every: dict[str, list[str]] = defaultdict(list)
    first: dict[str, Raw] = {}
    for raw in facts:
        peers[raw.fields["relation"]].append(raw)
        every[raw.fields["group"]].append(_answer(raw))
        first.setdefault(raw.fields["group"], raw)
    made = []
    for raw in ground.some(first.values(), f"{SUITE}/facts"):
        relation, subject, answer = raw.fields["relation"], _subject(raw), _answer(raw)
        random, right = rng(SUITE, raw.fields["group"], passages), every[raw.fields["group"]]
        others = [o for o in peers[relation] if _answer(o) not in right and _subject(o) != subject]
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
            right = [answer]
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
                tuple(right),
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
