"""The bundled sample as data sets for the YAML tasks in this folder: they need no file of the user's own.

Drawings are of the style, and words in the voices, that training on the sample leaves out (`tejat.sample.heldout`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import datasets

from tejat import sample
from tejat.data import tour
from tejat.evals.ground import mixed, rng
from tejat.parts import to_png

CHOICES = 4
Splits = dict[str, datasets.Dataset]


def pictures(**_: Any) -> Splits:
    """Drawings of all concepts."""
    (style,) = sample.heldout()["styles"]
    every = sample.concepts()
    rows = [
        {"thing": one.id, "picture": {"bytes": to_png(tour.picture(style, one.id, None)), "path": None}}
        | _chosen("pictures", one.names["en"], [other.names["en"] for other in every])
        for one in every
    ]
    return {"test": datasets.Dataset.from_list(rows).cast_column("picture", datasets.Image())}


def words(**_: Any) -> Splits:
    """Spoken names, in each of the voices in turn. Sounds stay the bytes of a file: to decode them is the model's."""
    names = {one.id: one.names["en"] for one in sample.concepts()}
    spoken = [names[id] for id in sample.spoken()]
    rows = [
        {"thing": id, "sound": {"bytes": sample.speech(voice, id), "path": None}}
        | _chosen(f"words/{voice}", names[id], spoken)
        for id in sample.spoken()
        for voice in sample.heldout()["voices"]
    ]
    return {"test": datasets.Dataset.from_list(rows).cast_column("sound", datasets.Audio(decode=False))}


def capitals(**_: Any) -> Splits:
    """The capital of every country."""
    every = [fact["capital"] for fact in sample.facts()]
    return _of({"country": fact["country"]} | _chosen("capitals", fact["capital"], every) for fact in sample.facts())


def names(**_: Any) -> Splits:
    """What a concept is called in another language, one language after the other."""
    rows, every = [], sample.concepts()
    others = [language for language in tour.NAMES if language != "en"]
    for number, one in enumerate(every):
        language = others[number % len(others)]
        row = {"thing": one.id, "name": one.names["en"], "language": tour.NAMES[language]}
        rows.append(row | _chosen("names", one.names[language], [other.names[language] for other in every]))
    return _of(rows)


def _chosen(seed: str, right: str, every: Sequence[str]) -> dict[str, Any]:
    """Four choices, and the place of the right one among them."""
    random = rng(seed, right)
    wrong = list(dict.fromkeys(one for one in every if one != right))
    chosen = [wrong[int(n)] for n in random.permutation(len(wrong))[: CHOICES - 1]]
    choices = mixed(right, chosen, random)
    return {"choices": list(choices), "answer": choices.index(right), "answers": [right]}


def _of(rows: Iterable[dict[str, Any]]) -> Splits:
    return {"test": datasets.Dataset.from_list(list(rows))}
