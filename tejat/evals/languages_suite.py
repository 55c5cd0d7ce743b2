"""Languages: translation without and with an example, by chrF and BLEU (and COMET where it is installed), and chosen
among other sentences.

Lines of a game's dialogues, of campaigns' texts and names of places, all held out by their level or message.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tejat.data.corpus.language import NAMES
from tejat.errors import BadInput
from tejat.evals import learned, measures, statistics
from tejat.evals.answering import Choosing
from tejat.evals.grading import Grading, Remarks, bleu
from tejat.evals.ground import HELD_OUT, Ground, mixed, rng
from tejat.evals.report import Section
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Task
from tejat.parts import Text, Turn

SUITE = "languages"
SENTENCES, PLACES = ("wesnoth", "fillets"), ("iso-names", "place-names")
SPOKEN = ("de", "fr", "es", "it", "pt", "nl", "pl", "ru", "ja", "zh-CN", "ko", "cs", "sv", "hu", "uk", "bg")
LONGEST = 240  # characters of a sentence


def tasks(ground: Ground) -> list[Task]:
    """From and into English, 0 and 1 examples; names of places; one by likelihood."""
    made: list[Task] = []
    for name, into, examples in (
        ("from-english", True, 0),
        ("into-english", False, 0),
        ("from-english-1-shot", True, 1),
        ("into-english-1-shot", False, 1),
    ):
        made.append(_written(name, partial(items, ground, SENTENCES, into, examples)))
    made.append(_written("place-names", partial(items, ground, PLACES, True, 0)))
    chosen = Choosing(SUITE, "into-english-chosen", partial(items, ground, SENTENCES, False, 0), by_length=True)
    return [*made, chosen.with_(origin=HELD_OUT, quick=True)]


def sections(model: Any) -> list[Section]:
    return []


def _written(name: str, make) -> Task:
    task = Grading(
        *(SUITE, name, make, _chrf, "chrF"),
        max_tokens=64,
        lazy=(lambda item: item.material["source"], "the sentence as it is, untranslated"),
        remarks=_together,
    )
    return task.with_(origin=HELD_OUT)


def items(ground: Ground, sources: Sequence[str], from_english: bool, examples: int) -> list[Item]:
    """Sentences in English and one other language, the languages in turn."""
    raws = [raw.fields for raw in ground.heldout(*sources) if raw.kind == "parallel" and "en" in raw.fields["texts"]]
    raws = [f for f in raws if 3 < len(f["texts"]["en"]) < LONGEST]
    english = list(dict.fromkeys(fields["texts"]["en"] for fields in raws))
    made = []
    for number, fields in enumerate(ground.some(_round(raws), f"{SUITE}/{sources}")):
        language, fields = fields
        texts, random = fields["texts"], rng(SUITE, fields["group"], language, from_english)
        source, target = ("en", language) if from_english else (language, "en")
        turns: list[Turn] = []
        for n in random.permutation(len(raws)):
            shown = raws[int(n)]["texts"]
            if len(turns) >= 2 * examples:
                break
            if language in shown and raws[int(n)]["group"] != fields["group"] and shown[source] != shown[target]:
                turns += [_ask(shown[source], source, target), Turn("model", (Text(shown[target]),))]
        turns.append(_ask(texts[source], source, target))
        others = [english[int(n)] for n in random.permutation(len(english))[:4]]
        wrong = [text for text in others if text != texts["en"]][:3]
        made.append(
            Item(
                *(f"{number:04d}-{language}", fields["group"], tuple(turns), (texts[target],)),
                choices=() if from_english else mixed(texts["en"], wrong, random),
                chance=0.0 if from_english else 1 / (1 + len(wrong)),
                tags={"language": language},
                material={"source": texts[source], "target": target},
            )
        )
    return made


def _round(raws: Sequence[dict]) -> list[tuple[str, dict]]:
    """(language, fields): every sentence once, in a language whose turn it is among those that it has."""
    found = []
    for number, fields in enumerate(raws):
        turn = [SPOKEN[(number + n) % len(SPOKEN)] for n in range(len(SPOKEN))]
        language = next(
            (tag for tag in turn if fields["texts"].get(tag, fields["texts"]["en"]) != fields["texts"]["en"]), ""
        )
        if language:
            found.append((language, fields))
    return found


def _ask(text: str, source: str, target: str) -> Turn:
    return Turn("user", (Text(f"Translate from {NAMES[source]} into {NAMES[target]}: {text}"),))


def _chrf(said: str, item: Item) -> float:
    return measures.chrf(said, item.answers[0])


def _together(items: Sequence[Item], answers: Sequence[str]) -> Remarks:
    """BLEU by language, with sacreBLEU's tokenizer for each; and a learned metric where one is installed."""
    found: dict[str, Estimate | str] = {}
    for language in sorted({item.tags["language"] for item in items}):
        pairs = [(i, a) for i, a in zip(items, answers, strict=True) if i.tags["language"] == language]
        mine, said = zip(*pairs, strict=True)
        found[f"BLEU {language}"] = bleu(mine, said, mine[0].material["target"])
    if learned.installed():
        sources, due = [item.material["source"] for item in items], [item.answers[0] for item in items]
        try:
            scores = learned.comet(sources, answers, due)
            found["COMET"] = statistics.mean(scores, [item.cluster for item in items])
        except BadInput as error:  # the answers are there, and what else was made of them
            found["COMET"] = f"not computed: {error}"
    return found
