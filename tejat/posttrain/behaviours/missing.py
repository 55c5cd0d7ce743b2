"""What is asked of a picture, a recording or a text that is not there, of what nobody told, or of nobody in particular.

Where they are there, other dialogues ask the same (`seen`, `heard`, `passages`, and those of the corpus).
"""

import numpy as np

from tejat.data.presenting.wording import one
from tejat.parts import Document
from tejat.posttrain.behaviours import invented, passages
from tejat.posttrain.behaviours.invented import Names
from tejat.posttrain.behaviours.wording import Exchange, ask, dialogue, has, say

_ANSWERS = {
    "see": "no_picture",
    "listen": "no_sound",
    "watch": "no_video",
    "unknowable": "dont_know",
    "referent": "whom",
}


def document(language: str, random: np.random.Generator, names: Names) -> Document:
    """One or two such questions."""
    return dialogue([exchange(language, random, names) for _ in range(int(random.integers(1, 3)))])


def exchange(language: str, random: np.random.Generator, names: Names) -> Exchange:
    """One of them."""
    use = one(
        ("see", "see", "sign", "listen", "watch", "unknowable", "unknowable", "lacking", "text", "about", "referent"),
        random,
    )
    if use == "referent" and not has("whom", language):
        use = "unknowable"
    if use in _ANSWERS:
        return Exchange(ask(use, language, random), say(_ANSWERS[use], language, random), "missing")
    if use == "sign":
        return Exchange(ask("sign", language, random), say("no_picture", language, random), "missing")
    if use == "lacking":
        asked = ask("lacking", language, random, b=str(int(random.integers(2, 90))))
        return Exchange(asked, say("unsaid", language, random), "missing")
    if use == "about":
        asked = ask("about", language, random, w=invented.root(random))
    else:
        of = one(invented.kinds(), random)
        name = invented.thing(of, language, random, names)
        asked = passages.question(one(invented.attributes(of), random), name, language, random)
        asked = ask("according", language, random, q=asked)
    return Exchange(asked, say("no_text", language, random), "missing")
