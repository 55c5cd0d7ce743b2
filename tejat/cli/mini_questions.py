"""What the tour asks `mini`: one question of each kind that it is meant to answer, each made of the sample or here.

The seed chooses what is asked about, of each kind apart; nothing is chosen by how it is answered. Drawings in styles
that mini never saw do not come with Tejat: a thing's outlines, drawn here, stand for them.
"""

import textwrap
import unicodedata
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tejat import media, sample
from tejat.data import splits
from tejat.data.presenting import charts, handwriting, moving, physics, plots, retrieval, scenes
from tejat.data.presenting.pages import SUMMARY
from tejat.data.presenting.panel import Figure, Panel, number
from tejat.data.presenting.wording import LANGUAGES, one, wordings
from tejat.data.shards import Item
from tejat.evals import measures
from tejat.evals.matching import ends, normalise
from tejat.parts import Audio, Document, Image, Part, Text, Video

if TYPE_CHECKING:
    from PIL import Image as pillow

SIDE = 128  # pixels of a drawing
PAIRS = 2_340  # of a list, about 32,100 tokens: as long as the context
PARAGRAPH = 200  # characters of a text to be summed up, at least; as many are shown
SENTENCE = sample.root() / "sentence.ogg"
"""BORN["en"] as eSpeak NG says it (en-us+f4, 155 words a minute), in a tone that no training has."""
BORN = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
}
"""The Universal Declaration of Human Rights, article 1."""
UNSEEN = {
    **{"fox": "mammals", "raccoon": "mammals", "crocodile": "reptiles", "dragon": "reptiles", "sunflower": "flowers"},
    **{"mushroom": "other plants", "locomotive": "ground transportation", "bus": "ground transportation"},
    **{"canoe": "water transportation", "helicopter": "air transportation", "ferris wheel": "other places"},
    **{"jack-o-lantern": "events & holidays", "hammer": "tools", "robot": "costumed & creatures"},
}
"""Things of the sample that are held out of mini's training, and their categories."""


class Question(NamedTuple):
    """What is asked, and how the answer is judged.

    Attributes:
      prompt: what it is given.
      expected: a right answer; "" where there is none but for the eye.
      right: whether an answer is; None where that cannot be told here. By default one that ends in `expected` is.
      shown: what people are shown in place of a long prompt.
      marked: is anything right or wrong? Else `expected` is an example.
    """

    prompt: Sequence[Part]
    expected: str = ""
    right: Callable[[str], bool | None] | None = None
    shown: Sequence[Part] = ()
    marked: bool = True

    def judged(self, said: str) -> bool | None:
        """Is this answer right? None where nobody can tell here."""
        if not self.expected or not self.marked:
            return None
        return self.right(said) if self.right else ends(said, [self.expected]) is not None


def questions(kind: str, seed: int) -> list[Question]:
    """Of one of `KINDS`, the same for the same seed."""
    (make,) = (made[kind] for made in KINDS.values() if kind in made)
    return make(np.random.default_rng([seed, zlib.crc32(kind.encode())]))


def _itself(random: np.random.Generator) -> list[Question]:
    return [Question([Text("Who are you?")])]


def _sum(random: np.random.Generator) -> list[Question]:
    first, second = (int(n) for n in random.integers(10, 100, 2))
    return [Question([Text(f"What is {first} + {second}?")], str(first + second))]


def _capital(random: np.random.Generator) -> list[Question]:
    fact = one(sample.facts(), random)
    return [Question([Text(f"What is the capital of {fact['country']}?")], fact["capital"])]


def _currency(random: np.random.Generator) -> list[Question]:
    """Right by its noun: "tögrög" is the Mongolian Tugrik."""
    fact = one(sample.facts(), random)
    noun = _bare(fact["currency"]).split()[-1]
    asked = Text(f"What is the currency of {fact['country']}?")
    return [Question([asked], fact["currency"], lambda said: ends(_bare(said), [noun]) is not None)]


def _translation(random: np.random.Generator) -> list[Question]:
    return [Question([Text(f"Translate into German: {BORN['en']}")], BORN["de"], marked=False)]


def _summary(random: np.random.Generator) -> list[Question]:
    text = one([text for text in sample.prose("en", heldout=True).splitlines() if len(text) > PARAGRAPH], random)
    asked = SUMMARY["en"][0]
    shown = Text(f"{asked} {textwrap.shorten(text, PARAGRAPH, placeholder=' …')}")
    return [Question([Text(f"{asked}\n\n{text}")], shown=[shown])]


def _key(random: np.random.Generator) -> list[Question]:
    keys, values = retrieval.pairs(PAIRS, random)
    listed = "\n".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True))
    n = int(random.integers(PAIRS))
    asked = retrieval.WORDS["value"]["en"][0].format(key=keys[n])
    first = listed.partition("\n")[0]
    shown = Text(f"{first} … {asked} (Of {PAIRS:,} keys it is number {n + 1:,}.)")
    return [Question([Text(f"{listed}\n\n{asked}")], values[n], shown=[shown])]


def _languages(random: np.random.Generator) -> list[Question]:
    seen = one(_known(), random)
    picture, ways = _on_white(sample.picture(one(sample.styles(), random), seen.id)), wordings("concepts")["what"]
    spoken = [language for language in LANGUAGES if language in seen.names]
    return [Question([picture, Text(ways[language][0])], seen.names[language]) for language in spoken]


def _outlines(random: np.random.Generator) -> list[Question]:
    from PIL import Image as pillow
    from PIL import ImageFilter, ImageOps

    seen = one(_known(), random)
    drawn = pillow.fromarray(_on_white(sample.picture(one(sample.styles(), random), seen.id)).pixels)
    lines = ImageOps.autocontrast(drawn.convert("L").filter(ImageFilter.FIND_EDGES), cutoff=(0, 2))
    lines = ImageOps.expand(lines.crop((2, 2, SIDE - 2, SIDE - 2)), 2)  # the filter leaves the rim as it is
    thick = ImageOps.invert(lines).filter(ImageFilter.MinFilter(3))
    return [Question([Image(np.asarray(thick.convert("RGB"))), Text("What is this?")], seen.names["en"])]


def _category(random: np.random.Generator) -> list[Question]:
    thing = one([concept for concept in sample.concepts() if concept.names["en"] in UNSEEN], random)
    picture = _on_white(sample.picture(one(sample.styles(), random), thing.id))
    asked = wordings("concepts")["kind"]["en"][0]
    return [Question([picture, Text(asked)], UNSEEN[thing.names["en"]])]


def _scene(random: np.random.Generator) -> list[Question]:
    made = scenes.placed(_things(random), 0, random, scenes.SIZES[0], 3)
    return [Question([made.picture, Text(scenes.WORDS["tell"]["en"][0])], made.told())]


def _number(random: np.random.Generator) -> list[Question]:
    made = scenes.scattered(_things(random), 0, random, scenes.SIZES[0])
    asked = scenes.WORDS["count"]["en"][0].format(name=made.names[0])
    return [Question([made.picture, Text(asked)], str(made.counts[0]))]


def _handwriting(random: np.random.Generator) -> list[Question]:
    line = f"{one(sample.concepts(), random).names['en']} {int(random.integers(1_000))}"
    return [Question([Image(handwriting.page([line], random)), Text(physics.WORDS["read"]["en"][0])], line)]


def _chart(random: np.random.Generator) -> list[Question]:
    """Right within 5%."""
    rain = _panel("Rain", "mm", "bar", random)
    n = int(random.integers(len(rain.labels)))
    asked, due = charts.WORDS["value"]["en"][0].format(label=rain.labels[n]), number(rain.values[n])
    picture = Image(plots.drawn(rain, charts.PIXELS[0]))
    return [Question([picture, Text(asked)], due, partial(measures.relaxed, reference=due))]


def _code(random: np.random.Generator) -> list[Question]:
    """Right where the program, run in a sandbox, draws the same."""
    panels = _panel("Rain", "mm", "bar", random), _panel("Warmth", "°C", "line", random)
    picture = Image(charts.drawn(Figure(panels, 1, 2, (310, 180))))
    due = "; ".join(f"{panel.kind} {', '.join(map(number, panel.values))}" for panel in panels)
    return [Question([picture, Text(charts.WORDS["code"]["en"][0])], due, lambda said: _draws(said, panels))]


def _draws(said: str, panels: Sequence[Panel]) -> bool | None:
    from tejat.evals import plots_suite, sandbox

    due = [{"kind": panel.kind, "values": list(panel.values), "title": panel.title} for panel in panels]
    try:
        shown, _ = plots_suite.run(said)
    except sandbox.Unavailable:
        return None
    return plots_suite.score(shown, due) == 1.0


def _physics(random: np.random.Generator) -> list[Question]:
    """Right by the number of the step."""
    items = [Item("physics", {"problem": n}) for n in range(len(physics.PROBLEMS))]
    begin = physics.WORDS["wrong"]["en"][0].partition("{")[0]
    (picture, _), told = _first(
        lambda: physics.physics(items, int(random.integers(len(items))), random), lambda told: told.startswith(begin)
    )
    due = told.partition(".")[0]
    asked = Text(physics.WORDS["check"]["en"][0])
    return [Question([picture, asked], due, lambda said: said.startswith(due))]


def _word(random: np.random.Generator) -> list[Question]:
    heard = one(sample.spoken(), random)
    return [Question([_said(heard, random), Text("Write down what you hear.")], _names(heard)["en"])]


def _sentence(random: np.random.Generator) -> list[Question]:
    sound = media.read_audio(SENTENCE.read_bytes())
    return [Question([sound, Text("Write down what you hear.")], BORN["en"])]


def _speech_translation(random: np.random.Generator) -> list[Question]:
    heard = one(sample.spoken(), random)
    asked = Text(wordings("speech")["translate"]["de"][0])
    return [Question([_said(heard, random), asked], _names(heard)["de"])]


def _speech_and_picture(random: np.random.Generator) -> list[Question]:
    heard, other = (sample.spoken()[int(n)] for n in random.permutation(len(sample.spoken()))[:2])
    """Right by its first word: mini may say what it is instead."""
    asked, yes, no = wordings("speech")["matches"]["en"]
    right = random.random() < 0.5
    due = yes if right else no
    picture = _on_white(sample.picture(one(sample.styles(), random), heard if right else other))
    prompt: list[Part] = [picture, _said(heard, random), Text(asked)]
    return [Question(prompt, due, lambda said: normalise(said).split()[:1] == [due])]


def _moving(random: np.random.Generator) -> list[Question]:
    seen, motions = one(_known(), random), moving.WORDS["motions"]["en"]
    name, kind = seen.names["en"], int(random.integers(4))  # to one of the four sides
    mover = moving.Mover(sample.picture(one(sample.styles(), random), seen.id), name, moving.KINDS[kind])
    frames = moving.frames([mover], 6, random)
    times = tuple(round(moving.STEP * n, 3) for n in range(len(frames)))
    asked = Text(moving.WORDS["does"]["en"][0].format(name=name))
    return [Question([Video(frames, times), asked], motions[kind])]


def _throw(random: np.random.Generator) -> list[Question]:
    (ball,) = (concept for concept in sample.concepts() if concept.names["en"] == "basketball")
    items, advice = [_item(ball, ball.names, random)], moving.WORDS["advice"]["en"]
    (clip, _), told = _first(lambda: moving.throw(items, 0, random), lambda told: told in advice)
    return [Question([clip, Text(moving.WORDS["better"]["en"][0])], told)]


def _drawing(random: np.random.Generator) -> list[Question]:
    return [Question([Text(f"Draw: {one(_known(), random).names['en']}.")])]


def _german_drawing(random: np.random.Generator) -> list[Question]:
    return [Question([Text("Zeichne einen roten Apfel.")])]


def _first(make: Callable[[], Document], fits: Callable[[str], bool]) -> tuple[Sequence[Part], str]:
    """What is asked and answered in the first document, as they come, whose answer is of the kind that is wanted."""
    while True:
        asked, answer = make().turns()
        told = "".join(part.text for part in answer.parts if isinstance(part, Text))
        if fits(told):
            return asked.parts, told


def _panel(title: str, unit: str, kind: str, random: np.random.Generator) -> Panel:
    months = ("Jan", "Mar", "May", "Jul", "Sep")
    values = tuple(float(n) for n in random.integers(10, 100, len(months)))
    return Panel(title, "month", unit, months, values, kind, numbers=kind == "bar")


def _things(random: np.random.Generator) -> list[Item]:
    """Five that mini has seen, to be asked about in English."""
    known = _known()
    return [_item(known[n], {"en": known[n].names["en"]}, random) for n in random.permutation(len(known))[:5]]


def _item(concept: sample.Concept, names: Mapping[str, str], random: np.random.Generator) -> Item:
    """A thing in one style, as a corpus has it."""
    style = one(sample.styles(), random)
    drawing = (sample.root() / "pictures" / style / f"{concept.id}.webp").read_bytes()
    return Item("concept", {"names": names}, {f"{style}.webp": drawing})


def _known() -> list[sample.Concept]:
    """What mini has seen drawings of."""
    return [concept for concept in sample.concepts() if not splits.is_heldout("concept", concept.id.upper())]


def _names(id: str) -> Mapping[str, str]:
    return next(concept.names for concept in sample.concepts() if concept.id == id)


def _said(id: str, random: np.random.Generator) -> Audio:
    return media.read_audio(sample.speech(one(sample.voices(), random), id))


def _on_white(drawing: "pillow.Image") -> Image:
    """A drawing with transparency, as a picture."""
    from PIL import Image as pillow

    paper = pillow.new("RGBA", drawing.size, "white")
    paper.alpha_composite(drawing)
    return Image(np.asarray(paper.convert("RGB").resize((SIDE, SIDE), pillow.Resampling.BICUBIC)))


def _bare(text: str) -> str:
    """Letters without their accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


KINDS: Mapping[str, Mapping[str, Callable[[np.random.Generator], list[Question]]]] = {
    "Words": {
        "itself": _itself,
        "a sum and its steps": _sum,
        "a capital": _capital,
        "a currency": _currency,
        "a text translated": _translation,
        "a text summed up": _summary,
        "a value by its key in a long list": _key,
    },
    "Pictures": {
        "a drawing named in ten languages": _languages,
        "another line style: outlines alone": _outlines,
        "a thing that it never saw, by category": _category,
        "all that a picture shows": _scene,
        "how many there are": _number,
    },
    "Pages": {
        "handwriting": _handwriting,
        "a chart's value": _chart,
        "sub-plots to matplotlib code": _code,
        "the wrong step of a page of physics": _physics,
    },
    "Sounds": {
        "a spoken word": _word,
        "a spoken sentence": _sentence,
        "speech translated": _speech_translation,
        "speech and a picture": _speech_and_picture,
    },
    "Clips": {"a thing that moves": _moving, "advice on a thrown ball": _throw},
    "Drawing": {"a drawing": _drawing, "a drawing asked for in German": _german_drawing},
}
"""How the questions of each kind are made, by what they are about."""
