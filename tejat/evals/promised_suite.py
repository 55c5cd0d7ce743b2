"""What a released model is held to, each answered in words and judged exactly, beside the same asked in other words.

Held out are styles of drawings, concepts, speakers and what they say, tables, and things that move; of facts and lists
nothing is: capitals and currencies are those that were asked for in training. "In other words" asks in wordings that
no document of training has (`wordings/heldout.json`).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tejat import sample
from tejat.data.presenting import moving, speech, sprites
from tejat.data.presenting.wording import LANGUAGES
from tejat.data.shards import Item as Raw
from tejat.errors import BadInput
from tejat.evals import images_suite, measures
from tejat.evals.answering import Answering
from tejat.evals.grading import Grading
from tejat.evals.ground import HELD_OUT, MADE, Ground, rng
from tejat.evals.long_context_suite import LENGTHS, Retrieving, fitted
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Outcome, Task
from tejat.evals.ways import way
from tejat.infer.continuations import continuations
from tejat.parts import Image, Text, Turn

SUITE = "promised"
FLAT, LINES = ("emojione", "emojione-v1"), ("openmoji",)
TRAINED = "asked for in training"
SPOKEN = ("voices", "readings", "dialogues")
LONGEST = 8.0  # seconds


def tasks(ground: Ground) -> list[Task]:
    """Those that are promised, and after them the same in other words."""
    made: list[Task] = []
    for unseen, after in ((False, ""), (True, "-in-other-words")):
        few = Ground(ground.corpus, ground.benchmarks, min(ground.most, 300)) if unseen else ground
        flat = partial(named, few, FLAT, ("en",), unseen)
        found: list[Task] = [
            Answering(SUITE, f"name-emojione{after}", flat).with_(origin=HELD_OUT, quick=not unseen),
            Answering(SUITE, f"category-unseen{after}", partial(categories, few, unseen)).with_(origin=HELD_OUT),
            _spoken(f"words{after}", partial(heard, few, True, unseen), quick=not unseen),
            Grading(
                *(SUITE, f"chart-value{after}", partial(values, few, unseen), _relaxed, "within 5%"),
                kind="proportion",
                max_tokens=16,
            ).with_(origin=HELD_OUT, quick=not unseen),
            Answering(SUITE, f"facts{after}", partial(facts, few, unseen)).with_(origin=TRAINED, quick=not unseen),
        ]
        if not unseen:
            ten = partial(named, ground, FLAT, sample.languages(), False)
            found += [
                Answering(SUITE, "name-ten-languages", ten).with_(origin=HELD_OUT),
                Answering(SUITE, "name-openmoji", partial(named, ground, LINES, ("en",), False)).with_(origin=HELD_OUT),
                _spoken("sentences", partial(heard, ground, False, False)),
                Answering(SUITE, "moving", partial(moved, ground)).with_(
                    origin=HELD_OUT, ways=("blanked", "shuffled"), quick=True
                ),
                Finding("1k", ground).with_(origin=MADE, quick=True),
                Finding("32k", ground).with_(origin=MADE),
            ]
        for task in found:
            task.promised = not unseen and task.name != "retrieval-1k"
        made += found
    return made


def sections(model: Any) -> list[Section]:
    return []


def named(
    ground: Ground, styles: Sequence[str], languages: Sequence[str], unseen: bool, where: str = "style"
) -> list[Item]:
    """What is this? Drawings in styles that training has none of, of things that it has in others; the languages in
    turn."""
    pairs = [
        (raw, name)
        for raw in ground.heldout("concepts")
        if raw.fields.get("axis") == where
        for name in raw.blobs
        if name.rpartition(".")[0] in styles
    ]
    made = []
    for n, (raw, name) in enumerate(ground.some(pairs, f"{SUITE}/{'+'.join(styles)}")):
        language, concept = languages[n % len(languages)], raw.fields["concept"]
        random = rng(SUITE, concept, name, language)
        asked, answer = way("concepts", "what", language, random, unseen), raw.fields["names"].get(language)
        if not asked or not answer:
            continue
        picture = Image(sprites.picture(raw.blobs[name], None, images_suite.SIDE))
        turns = (Turn("user", (picture, Text(asked))),)
        style = name.rpartition(".")[0]
        tags = {"style": style, "language": language} if len(languages) > 1 else {"style": style}
        made.append(Item(f"{concept}-{style}-{language}", concept, turns, (answer,), tags=tags))
    return made


def categories(ground: Ground, unseen: bool) -> list[Item]:
    """What kind of thing is this? Things that training never shows, in every style that they have."""
    raws = [
        raw
        for raw in ground.heldout("concepts")
        if raw.fields.get("axis") == "concept" and "en" in raw.fields.get("category", {})
    ]
    pairs = [(raw, name) for raw in raws for name in raw.blobs]
    made = []
    for raw, name in ground.some(pairs, f"{SUITE}/category"):
        concept, style = raw.fields["concept"], name.rpartition(".")[0]
        asked = way("concepts", "kind", "en", rng(SUITE, concept, name), unseen)
        if asked:
            picture = Image(sprites.picture(raw.blobs[name], None, images_suite.SIDE))
            turns = (Turn("user", (picture, Text(asked))),)
            answer = raw.fields["category"]["en"]
            made.append(Item(f"{concept}-{style}", concept, turns, (answer,), tags={"style": style}))
    return made


def heard(ground: Ground, words: bool, unseen: bool) -> list[Item]:
    """Recordings of one or two words, or of more; asked about in the language that is spoken, where it is one of those
    in which questions are worded."""
    raws = [raw for raw in ground.heldout(*SPOKEN) if raw.fields["seconds"] <= LONGEST]
    raws = [raw for raw in raws if _is_short(raw) == words]
    made = []
    for k in ground.some(range(len(raws)), f"{SUITE}/heard/{words}"):
        raw, fields = raws[k], raws[k].fields
        random = rng(SUITE, "heard", k)
        language = fields["language"] if fields["language"] in LANGUAGES and not unseen else "en"
        asked = way("speech", "write", language, random, unseen)
        if asked:
            turns = (Turn("user", (speech.heard(raw, None), Text(asked))),)
            about = fields["group"].partition("+")[0]
            tags = {"language": fields["language"]}
            made.append(Item(f"{k:05d}", about, turns, (fields["text"],), tags=tags))
    return made


def values(ground: Ground, unseen: bool) -> list[Item]:
    """Values of charts of tables that no training chart shows."""
    return [
        _asked_again(item, way("charts", "value", "en", rng(SUITE, item.id), unseen, label=item.material))
        for item in images_suite.charted(ground, "value")
    ]


def facts(ground: Ground, unseen: bool) -> list[Item]:
    """Capitals and currencies of the countries whose were asked for in training; of several, any is right."""
    answers: dict[tuple[str, str], list[str]] = {}
    for raw in ground.shards("world", "train"):
        relation, fields = raw.fields["relation"], raw.fields
        if relation in ("capital", "currency") and fields["asked"]:
            answer = fields["answer"]
            told = answer["en"] if isinstance(answer, dict) else answer
            answers.setdefault((relation, fields["subject"]["en"]), []).append(told)
    made = []
    for (relation, subject), told in answers.items():
        asked = way("facts", relation, "en", rng(SUITE, relation, subject), unseen, s=subject)
        if asked:
            turns = (Turn("user", (Text(asked),)),)
            made.append(Item(f"{relation}-{subject}", subject, turns, tuple(told), tags={"relation": relation}))
    return ground.some(made, f"{SUITE}/facts")


def moved(ground: Ground) -> list[Item]:
    """What a thing in a clip does, and whether it does: as training asks, of things that it never shows. What they are
    called is not asked: nobody has told it."""
    raws = [raw for raw in ground.heldout("concepts") if raw.fields.get("axis") == "concept"]
    sayings = [*moving.WORDS["motions"].values(), *(words[1:] for words in moving.WORDS["true"].values())]
    motions = {saying for each in sayings for saying in each}
    made = []
    for n in range(min(ground.most, 500)):
        random = rng(SUITE, "moving", n)
        asked, said = None, ""
        while asked is None or said not in motions:
            # Alone: of two strangers it could not tell which is meant.
            document = moving.clip([raws[int(random.integers(len(raws)))]], 0, random, further=())
            if document.source == "clip":  # not a throw, which has a task of its own
                asked, answer = document.turns()[:2]
                said = "".join(part.text for part in answer.parts if isinstance(part, Text))
        made.append(Item(f"{n:04d}", str(n), (asked,), (said,)))
    return made


class Finding(Answering):
    """The value of a key in a list that fills so many tokens: right where the model's likeliest token is the answer's
    at every place, its end among them, which is where it would write just that. So a list is read once for all of its
    questions."""

    metric = "exact match"

    def __init__(self, length: str, ground: Ground):
        super().__init__(SUITE, f"retrieval-{length}", partial(Retrieving._lists, length, ground.most))
        self.length, self.batch = LENGTHS[length], 128

    @property
    def asked(self) -> str:
        return f"the turns alone, no examples; the likeliest token at every place; lists of {self.length:,} tokens"

    def measure(self, model: Any, items: Sequence[Item]) -> list[Outcome]:
        if self.length > model.bundle.config.context:
            raise BadInput(
                f"lists of {self.length:,} tokens are asked of {model.name!r}, whose context holds "
                f"{model.bundle.config.context:,}; ask a model with a longer one"
            )
        asked = [self.ready(model, item) for item in items]
        vocabulary = model.bundle.vocabulary
        wanted = [[[*vocabulary.encode(item.answers[0]), vocabulary["<turn|>"]]] for item in asked]
        prompts = [model.bundle.framing.prompt(item.turns) for item in asked]
        outcomes = []
        for (found,), (ids,) in zip(continuations(model.engine, prompts, wanted), wanted, strict=True):
            right = bool((found.best == np.asarray(ids)).all())
            outcomes.append(Outcome(float(right), (Text(vocabulary.decode(found.best[:-1])),)))
        return outcomes

    def ready(self, model: Any, item: Item) -> Item:
        return fitted(item, model, self.length)

    def baseline(self, items: Sequence[Item]) -> None:
        return None


def _spoken(name: str, make: Any, quick: bool = False) -> Task:
    task = Grading(
        *(SUITE, name, make, _characters, "character errors"),
        kind="ratio",
        better="lower",
        max_tokens=64,
        lazy=(lambda item: "", "no answer at all"),
    )
    return task.with_(origin=HELD_OUT, ways=("blanked", "shuffled"), quick=quick)


def _is_short(raw: Raw) -> bool:
    return len(raw.fields["text"].split()) <= 2 and raw.fields["language"] not in measures.UNSPACED


def _asked_again(item: Item, asked: str | None) -> Item:
    assert asked is not None
    (turn,) = item.turns
    return replace(item, turns=(Turn("user", (turn.parts[0], Text(asked))),))


def _characters(said: str, item: Item) -> tuple[float, float]:
    return measures.character_errors(said, item.answers[0])


def _relaxed(said: str, item: Item) -> bool:
    return measures.relaxed(said, item.answers[0])
