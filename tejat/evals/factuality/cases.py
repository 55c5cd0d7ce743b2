"""Items that can be answered and items that cannot, made from seeds of their own.

An item's `material` says how it is judged: "language"; "reason", why it cannot be answered, "" where it can; "passage",
the words of its source, and "others", what the source says in answer to other questions; "both", two answers between
which the source does not decide. Its tags are reason or kind, language, and source (text, picture, sound, none).
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image as pillow
from PIL import ImageFilter

from tejat.data.presenting import handwriting, speech
from tejat.data.presenting.facts import ASKED
from tejat.data.presenting.wording import one
from tejat.data.shards import Item as Raw
from tejat.evals.factuality import worlds
from tejat.evals.factuality.worlds import LANGUAGES, phrase
from tejat.evals.ground import Ground, rng
from tejat.evals.tasks import Item
from tejat.parts import RATE, Audio, Image, Part, Text, Turn

SUITE = "factuality"
ORIGIN = "made for this, by a generator that training does not know; facts and recordings are held out of the corpus"
WORLD = ("world", "elements")
SOUNDS = ("voices", "readings")
COUNTS = {
    # can be answered
    **{"told": 180, "told in a picture": 60, "label": 50, "heard": 40, "settled": 40},
    # cannot
    **{"silent": 120, "conflict": 40, "absent thing": 100, "impossible": 50, "open": 40},
    **{"illegible": 60, "silent picture": 40, "wordless": 40, "silent recording": 40},
}
EACH = 14  # facts asked of each relation, at most
_SEEN = ("en", "de", "fr", "es", "it")  # languages whose letters the fonts have
_WIDTH = 34  # letters in a line of a picture


@cache
def all_items(ground: Ground) -> tuple[Item, ...]:
    """All of them in an order that tells nothing, so that the first of them are a sample.

    Recordings are those that a corpus holds out; of one without, there are none. Raises BadInput where there is no
    corpus to ask facts of.
    """
    made = [*_made(COUNTS, _TEXT), *_made(COUNTS, _PICTURES), *_listed(), *_known(ground), *_heard(ground)]
    return tuple(made[int(n)] for n in rng(SUITE, "order").permutation(len(made)))


def answerable(item: Item) -> bool:
    """Has the item an answer?"""
    return not item.material["reason"]


def _made(counts: dict[str, int], makers: dict[str, Callable[[str, str, np.random.Generator], Item]]) -> Iterator[Item]:
    for kind, make in makers.items():
        for n in range(counts[kind]):
            random = rng(SUITE, kind, n)
            language = "en" if random.random() < 0.4 else one(LANGUAGES, random)
            yield make(f"{kind.replace(' ', '-')}-{n}", language, random)


def _told(id: str, language: str, random: np.random.Generator) -> Item:
    made = worlds.passage(language, random)
    told = one(made.told, random)
    asked = worlds.asked(told, language, random)
    return _item(id, language, _under(made.text, asked, language, random), told=told, made=made)


def _silent(id: str, language: str, random: np.random.Generator) -> Item:
    made = worlds.passage(language, random)
    asked = worlds.asked(worlds.untold(made, language, random), language, random)
    shown = _under(made.text, asked, language, random)
    return _item(id, language, shown, reason="silent", made=made)


def _conflict(id: str, language: str, random: np.random.Generator) -> Item:
    made = worlds.passage(language, random, most=1)
    first = one(made.told, random)
    second = first
    while second.answer == first.answer:
        second = worlds.stated(first.subject, first.relation, language, random)
    text = worlds.data()["words"]["conflict"][language].format(x=first.sentence, y=second.sentence)
    shown = _under(text, worlds.asked(first, language, random), language, random)
    return _item(id, language, shown, reason="conflict", made=made, both=[first.answer, second.answer])


def _absent(id: str, language: str, random: np.random.Generator) -> Item:
    asked = phrase("absent_thing", language, random, s=worlds.name(random), p=worlds.person(random))
    return _item(id, language, (Text(asked),), reason="absent thing")


def _impossible(id: str, language: str, random: np.random.Generator) -> Item:
    asked, low, high = one(worlds.data()["words"]["impossible"][language], random)
    return _item(id, language, (Text(asked.format(n=int(random.integers(low, high)))),), reason="impossible")


def _open(id: str, language: str, random: np.random.Generator) -> Item:
    asked = phrase("open", language, random, m=str(int(random.integers(3, 60))))
    return _item(id, language, (Text(asked),), reason="open")


def _settled(id: str, language: str, random: np.random.Generator) -> Item:
    first, second = (int(n) for n in random.integers(3, 40, 2))
    asked = phrase("settled", language, random, m=str(first), n=str(second))
    return _item(id, language, (Text(asked),), kind="settled", answers=(str(first + second),))


def _label(id: str, language: str, random: np.random.Generator) -> Item:
    language = language if language in _SEEN else "en"
    text = worlds.name(random)
    picture = handwriting.printed([text], random, int(random.integers(18, 26)))
    shown = (Image(picture), Text(phrase("label", language, random)))
    return _item(id, language, shown, kind="label", answers=(text,), source="picture", passage=text)


def _illegible(id: str, language: str, random: np.random.Generator) -> Item:
    language = language if language in _SEEN else "en"
    size = int(random.integers(18, 26))
    picture = handwriting.printed([worlds.name(random)], random, size)
    shown = (Image(_spoilt(picture, size, random)), Text(phrase("label", language, random)))
    return _item(id, language, shown, reason="illegible", source="picture")


def _pictured(id: str, language: str, random: np.random.Generator) -> Item:
    language, made = _short(language, random)
    told = one(made.told, random)
    shown = (_notice(made, random), Text(worlds.asked(told, language, random)))
    return _item(id, language, shown, kind="told in a picture", told=told, made=made, source="picture")


def _silent_picture(id: str, language: str, random: np.random.Generator) -> Item:
    language, made = _short(language, random)
    asked = worlds.asked(worlds.untold(made, language, random), language, random)
    return _item(
        id, language, (_notice(made, random), Text(asked)), reason="silent picture", made=made, source="picture"
    )


_TEXT = {
    **{"told": _told, "silent": _silent, "conflict": _conflict, "absent thing": _absent, "impossible": _impossible},
    **{"open": _open, "settled": _settled},
}
_PICTURES = {
    **{"label": _label, "illegible": _illegible, "told in a picture": _pictured, "silent picture": _silent_picture},
}


def _listed() -> Iterator[Item]:
    """Questions on what is not there, and on what nobody told: each wording once."""
    for use, reason in (("attachment", "missing"), ("private", "private")):
        for language, asked in worlds.data()["words"][use].items():
            for n, text in enumerate(asked):
                yield _item(f"{use}-{language}-{n}", language, (Text(text),), reason=reason)


def _known(ground: Ground) -> Iterator[Item]:
    """Facts that a corpus states, and whose questions it holds out; of several answers any is right."""
    found: dict[str, int] = {}
    held, every = ground.heldout(*WORLD), dict[str, list[str]]()
    for raw in held:
        answer = raw.fields["answer"]
        every.setdefault(raw.fields["group"], []).append(answer if isinstance(answer, str) else answer["en"])
    for place in rng(SUITE, "known").permutation(len(held)):
        fields = held[int(place)].fields
        relation = fields["relation"]
        if found.get(relation, 0) >= EACH or relation not in ASKED or relation == "landlocked":
            continue
        answers = every.pop(fields["group"], None)
        if answers is None:  # asked already
            continue
        found[relation] = found.get(relation, 0) + 1
        asked = ASKED[relation]["en"][0].format(s=fields["subject"]["en"])
        cluster = fields["group"].rpartition("/")[2]
        shown = (Text(asked),)
        yield _item(f"known-{fields['group']}", "en", shown, kind="known", answers=tuple(answers), cluster=cluster)


def _heard(ground: Ground) -> Iterator[Item]:
    """Recordings that a corpus holds out, with what they say, with what they do not; and sounds without words."""
    here = [source for source in SOUNDS if ground.present([source]) and _has(ground, source)]
    if not here:
        return
    fit = [raw for raw in ground.heldout(*here) if _fit(raw)]
    order = rng(SUITE, "heard").permutation(len(fit))
    for n, place in enumerate(order[: COUNTS["heard"] + COUNTS["silent recording"]]):
        raw, random = fit[int(place)], rng(SUITE, "recording", n)
        language, sound = raw.fields["language"], speech.heard(raw, None)
        if n < COUNTS["heard"]:
            shown, text = (sound, Text(phrase("listen", language, random))), raw.fields["text"]
            yield _item(f"heard-{n}", language, shown, kind="heard", answers=(text,), source="sound", passage=text)
        else:
            made = worlds.passage(language, random, most=1)
            asked = worlds.asked(one(made.told, random), language, random)
            shown = (sound, Text(phrase("by_ear", language, random, q=asked)))
            yield _item(f"silent-recording-{n}", language, shown, reason="silent recording", source="sound")
    for n in range(COUNTS["wordless"]):
        random = rng(SUITE, "wordless", n)
        language = one(LANGUAGES, random)
        backwards = speech.heard(fit[int(order[-1 - n % len(fit)])], None)
        shown = (_wordless(backwards, random), Text(phrase("listen", language, random)))
        yield _item(f"wordless-{n}", language, shown, reason="wordless", source="sound")


def _has(ground: Ground, source: str) -> bool:
    from tejat.evals.ground import CORPUS

    return (ground.corpus or CORPUS).joinpath(source).is_dir()


def _fit(raw: Raw) -> bool:
    fields = raw.fields
    return fields["language"] in LANGUAGES and 0.5 < fields["seconds"] < 5 and len(fields["text"].split()) <= 8


def _item(
    id: str,
    language: str,
    shown: Sequence[Part],
    *,
    reason: str = "",
    kind: str = "told",
    answers: tuple[str, ...] = (),
    told: worlds.Statement | None = None,
    made: worlds.Passage | None = None,
    both: Sequence[str] = (),
    source: str = "",
    passage: str = "",
    cluster: str = "",
) -> Item:
    material: dict[str, Any] = {"language": language, "reason": reason, "passage": passage, "both": [*both]}
    if made is not None:
        material["passage"] = made.text
        material["others"] = sorted({each.answer for each in made.told} - {told.answer if told else ""})
    if told is not None:
        answers, material["sentence"] = (told.answer,), told.sentence
    tags = {"kind": reason or kind, "language": language, "source": source or ("text" if made else "none")}
    return Item(id, cluster or id, (Turn("user", tuple(shown)),), answers, tags=tags, material=material)


def _under(text: str, asked: str, language: str, random: np.random.Generator) -> tuple[Text]:
    """The text with the question below it, mostly with the request to keep to it, now and then to prove it."""
    if random.random() < 0.7:
        asked = phrase("source", language, random, q=asked)
    if random.random() < 0.25:
        asked = f"{asked} {phrase('evidence', language, random)}"
    return (Text(f"{text}\n\n{asked}"),)


def _short(language: str, random: np.random.Generator) -> tuple[str, worlds.Passage]:
    """A passage of three sentences at most, in a language that can be printed."""
    language = language if language in _SEEN else "en"
    made = worlds.passage(language, random, most=1)
    told = made.told[:3]
    return language, made._replace(told=told, text="\n".join(each.sentence for each in told))


def _notice(made: worlds.Passage, random: np.random.Generator) -> Image:
    lines = [line for each in made.told for line in textwrap.wrap(each.sentence, _WIDTH)]
    return Image(handwriting.printed(lines, random, 17))


def _spoilt(picture: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """The picture moved while it was taken, in the dark, cut into pieces that were mixed, or washed out."""
    way = one(("moved", "dark", "mixed", "washed"), random)
    if way == "moved":
        return _moved(picture, int(size * random.uniform(1.6, 3)))
    if way == "dark":
        noise = random.normal(0, 3, picture.shape)
        return np.clip(picture.astype(float) * 0.008 + 6 + noise, 0, 255).astype(np.uint8)
    if way == "washed":
        # All of its light and shade in three steps of 256, under a blur that leaves no stroke of them.
        flat = np.asarray(pillow.fromarray(picture).filter(ImageFilter.BoxBlur(size * 0.55))).astype(float)
        return np.clip(244 + (flat - flat.mean()) * 0.1, 0, 255).astype(np.uint8)
    step = max(4, size // 3)
    rows, columns = picture.shape[0] // step, picture.shape[1] // step
    cut = picture[: rows * step, : columns * step].reshape(rows, step, columns, step, 3).transpose(0, 2, 1, 3, 4)
    pieces = cut.reshape(rows * columns, step, step, 3)[random.permutation(rows * columns)]
    return pieces.reshape(rows, columns, step, step, 3).transpose(0, 2, 1, 3, 4).reshape(rows * step, columns * step, 3)


def _moved(picture: np.ndarray, reach: int) -> np.ndarray:
    """The mean of the picture and itself moved aside, step by step, along both diagonals."""
    whole = np.zeros(picture.shape, float)
    for step in range(-reach // 2, reach // 2 + 1):
        whole += np.roll(picture, (step // 2, step), (0, 1))
        whole += np.roll(picture, (-step // 2, step), (0, 1))
    return np.clip(whole / (2 * (2 * (reach // 2) + 1 + reach % 2)), 0, 255).astype(np.uint8)


def _wordless(recording: Audio, random: np.random.Generator) -> Audio:
    """A voice played backwards in pieces, a chirp, rain, or knocking."""
    way = one(("backwards", "chirp", "rain", "knocking"), random)
    count = int(RATE * random.uniform(0.8, 2.5))
    time = np.arange(count) / RATE
    if way == "backwards":
        pieces = np.array_split(recording.samples[::-1], max(2, int(recording.seconds * 12)))
        return Audio(np.concatenate([pieces[int(n)] for n in random.permutation(len(pieces))]).astype(np.float32))
    if way == "chirp":
        sound = 0.3 * np.sin(2 * np.pi * (300 * time + 400 * time**2))
    elif way == "rain":
        sound = random.normal(0, 0.08, count) * (1 + 0.5 * np.sin(2 * np.pi * 0.7 * time))
    else:
        sound = random.normal(0, 0.3, count) * np.exp(-((time % 0.45) * 40))
    return Audio(np.clip(sound, -1, 1).astype(np.float32))
