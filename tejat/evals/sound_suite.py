"""Speech: written down, translated, told apart; other sounds named and counted. Every task again in silence, and as
noise as loud.

Voices, readings and dialogues are held out by speaker, by what is read and by level.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from tejat.data.presenting.speech import WORDS, heard
from tejat.data.presenting.wording import CALLED
from tejat.data.shards import Item as Raw
from tejat.evals import measures, noises, statistics
from tejat.evals.answering import Choosing
from tejat.evals.grading import Grading, Remarks, bleu
from tejat.evals.ground import HELD_OUT, MADE, Ground, mixed, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Text, Turn

SUITE = "sound"
READ, ACTED, SPOKEN = "readings", "dialogues", "voices"
LONGEST = 8.0  # seconds


def tasks(ground: Ground) -> list[Task]:
    """Word errors, chrF, and choices by likelihood."""
    made: list[Task] = []
    for name, source in (("readings", READ), ("voices", SPOKEN), ("dialogues", ACTED)):
        make = partial(transcripts, ground, source)
        made.append(
            Grading(
                *(SUITE, name, make, _errors, "word errors"),
                kind="ratio",
                better="lower",
                max_tokens=64,
                lazy=(lambda item: "", "no answer at all"),
                remarks=_characters,
            )
        )
        made.append(Choosing(SUITE, f"{name}-chosen", make, by_length=True))
    made.append(Grading(SUITE, "translate", partial(translations, ground), _chrf, "chrF", max_tokens=64, remarks=_bleu))
    made.append(Choosing(SUITE, "language", partial(languages, ground), by_length=True))
    made = [task.with_(origin=HELD_OUT) for task in made]
    made.append(Choosing(SUITE, "noises", partial(noises.named, ground), by_length=True).with_(origin=MADE))
    made.append(Choosing(SUITE, "beeps", partial(noises.counted, ground)).with_(origin=MADE))
    return [task.with_(ways=("blanked", "shuffled"), batch=32) for task in made]


def sections(model: Any) -> list[Section]:
    return []


def transcripts(ground: Ground, source: str) -> list[Item]:
    """Recordings, and four transcripts in their language to choose from."""
    raws = [raw for raw in ground.heldout(source) if raw.fields["seconds"] <= LONGEST]
    peers: dict[str, list[str]] = defaultdict(list)
    for raw in raws:
        peers[raw.fields["language"]].append(raw.fields["text"])
    made = []
    for k in ground.some(range(len(raws)), f"{SUITE}/{source}"):
        raw, random = raws[k], rng(SUITE, source, k)
        fields = raw.fields
        others = list(dict.fromkeys(text for text in peers[fields["language"]] if text != fields["text"]))
        wrong = [others[int(n)] for n in random.permutation(len(others))[:3]]
        made.append(
            Item(
                *(
                    f"{k:05d}",
                    fields["group"].partition("+")[0],
                    _asked(raw, WORDS["write"]["en"][0]),
                    (fields["text"],),
                ),
                choices=mixed(fields["text"], wrong, random),
                chance=1 / (1 + len(wrong)),
                tags={"language": fields["language"]},
            )
        )
    return made


def translations(ground: Ground) -> list[Item]:
    """Dialogues acted in one language, in English words."""
    raws = [r for r in ground.heldout(ACTED) if r.fields["language"] != "en" and "en" in r.fields["texts"]]
    raws = [raw for raw in raws if raw.fields["seconds"] <= LONGEST]
    made = []
    for k in ground.some(range(len(raws)), f"{SUITE}/translate"):
        fields = raws[k].fields
        turns = _asked(raws[k], "Translate what you hear into English.")
        tags = {"language": fields["language"]}
        made.append(Item(f"{k:05d}", fields["group"], turns, (fields["texts"]["en"],), tags=tags))
    return made


def languages(ground: Ground) -> list[Item]:
    """Which language is spoken? One of six."""
    raws = [raw for raw in ground.heldout(READ) if raw.fields["language"] in CALLED]
    raws = [raw for raw in raws if raw.fields["seconds"] <= LONGEST]
    known = sorted({CALLED[raw.fields["language"]] for raw in raws})
    made = []
    for k in ground.some(range(len(raws)), f"{SUITE}/language"):
        random, answer = rng(SUITE, "language", k), CALLED[raws[k].fields["language"]]
        others = [name for name in known if name != answer]
        wrong = [others[int(n)] for n in random.permutation(len(others))[:5]]
        turns = _asked(raws[k], "Which language is this?")
        about, choices = raws[k].fields["group"], mixed(answer, wrong, random)
        tags = {"language": answer}
        made.append(Item(f"{k:05d}", about, turns, (answer,), choices=choices, chance=1 / len(choices), tags=tags))
    return made


def _asked(raw: Raw, question: str) -> tuple[Turn, ...]:
    return (Turn("user", (heard(raw, None), Text(question))),)


def _errors(said: str, item: Item) -> tuple[float, float]:
    return measures.word_errors(said, item.answers[0], item.tags["language"])


def _characters(items: Sequence[Item], answers: Sequence[str]) -> Remarks:
    found = [measures.character_errors(a, i.answers[0]) for a, i in zip(answers, items, strict=True)]
    return {"character errors": statistics.ratio(*zip(*found, strict=True), [item.cluster for item in items])}


def _chrf(said: str, item: Item) -> float:
    return measures.chrf(said, item.answers[0])


def _bleu(items: Sequence[Item], answers: Sequence[str]) -> Remarks:
    return {"BLEU": bleu(items, answers, "en")}
