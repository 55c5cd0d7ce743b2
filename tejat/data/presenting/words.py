"""Words and lines: meanings, bilingual dictionaries, and texts in several languages."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from tejat.data.corpus.language import NAMES
from tejat.data.presenting.wording import LANGUAGES, asking, language, one, worded, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

WORDS = wordings("words")
ASKED = 0.15  # of the pieces of programs that have something to ask about
LONGEST_FUNCTION = 1_500  # characters
LINES = 8  # of a table of two languages at most


def meaning(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A page of a dictionary that begins with entry k, or a question on it. Fields: "words", "part", "meaning";
    "examples", "above" (what it is a kind of) where there are such."""
    if random.random() < 0.5:
        last = min(len(items), k + int(random.integers(1, 9)))
        same = [items[j] for j in range(k, last) if items[j].kind == "meaning"]
        return Document.of([Text("\n".join(_entry(item.fields) for item in same))])
    fields = items[k].fields
    word = fields["words"][int(random.integers(len(fields["words"])))]
    others = [other for other in fields["words"] if other != word]
    said = {"word": word, "part": fields["part"], "meaning": fields["meaning"]}
    answers = {"mean": f"{fields['meaning'].capitalize()}.", "word": word}
    if others:
        answers["synonym"] = others[0]
    if "above" in fields:
        answers["above"] = fields["above"][0]
    if "examples" in fields:
        answers["example"] = fields["examples"][0]
    use = one([*answers], random)
    if use == "mean" and fields["part"] == "noun" and random.random() < 0.4:
        return _dialogue(asking(WORDS["what"], "en", random, name=word), answers[use])  # of one of its senses
    return _dialogue(asking(WORDS[use], "en", random, **said), answers[use])


def _entry(fields: dict) -> str:
    text = f"{', '.join(fields['words'])} ({fields['part']}): {fields['meaning']}"
    return text + "".join(f'; "{example}"' for example in fields.get("examples", ()))


def dictionary(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A page of a bilingual dictionary under the names of its languages. Fields: "text", "from", "language" (to)."""
    fields = items[k].fields
    source, target = NAMES[fields["from"]], NAMES[fields["language"]]
    return Document.of([Text(f"{source}-{target} dictionary\n\n{fields['text']}")])


def parallel(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Item k and the next few as a table of two languages; or translations that are asked for and told, one or several;
    or item k in several languages under each other. Field "texts": a text by language, all of which NAMES knows."""
    texts = items[k].fields["texts"]
    way = random.random()
    if way < 0.12:
        some = [[*texts][int(j)] for j in random.permutation(len(texts))[:6]]
        return Document.of([Text("\n".join(f"{NAMES[name]}: {texts[name]}" for name in some))])
    first, second = _pair(texts, random)
    near = [items[j].fields["texts"] for j in range(k, min(len(items), k + LINES)) if items[j].kind == "parallel"]
    if way < 0.35:
        lines = [f"{pair[first]} | {pair[second]}" for pair in near if first in pair and second in pair]
        return Document.of([Text("\n".join([f"{NAMES[first]} | {NAMES[second]}", *lines]))])
    count = 1 if random.random() < 0.6 else int(random.integers(2, 5))
    turns: list[Turn] = []
    for pair in near[:count]:
        if turns and random.random() < 0.5 and len(pair) > 1:  # else between the same two, where they are there
            first, second = _pair(pair, random)
        if first in pair and second in pair:
            turns += _dialogue(translating(pair[first], first, second, random), pair[second]).turns()
    return Document.from_turns(turns)


def translating(text: str, first: str, second: str, random: np.random.Generator) -> str:
    """How a user asks for a text of one language in another: in English, or in either, whichever they speak."""
    # Region and script are left out where wordings know the language alone: "zh-CN" is Chinese.
    tongues = [tag for tag in (first, second) if tag in LANGUAGES]
    tongue = "en" if not tongues or random.random() < 0.5 else one(tongues, random)
    if tongue == "en":
        if random.random() < 0.15:
            return f"Translate from {NAMES[first]} into {NAMES[second]}: {text}"
        return asking(WORDS["translate"], "en", random, text=text, language=NAMES[second])
    if second not in LANGUAGES:
        return worded(WORDS["translate"], "en", random, text=text, language=NAMES[second])
    called = WORDS["languages"][tongue][LANGUAGES.index(second)]
    return asking(WORDS["translate"], tongue, random, text=text, language=called)


def _pair(texts: Mapping[str, str], random: np.random.Generator) -> tuple[str, str]:
    """The languages from which and into which. Half the time one is English where it is there: from and to it most are
    asked for; the other is then one of those that questions are worded in, half the time."""
    languages = list(texts)
    first, second = (languages[int(j)] for j in random.permutation(len(languages))[:2])
    if "en" in texts and random.random() < 0.6:
        others = [tag for tag in LANGUAGES[1:] if tag in texts] or [tag for tag in languages if tag != "en"]
        other = one(others, random) if random.random() < 0.6 else (second if first == "en" else first)
        other = other if other != "en" else second
        first, second = ("en", other) if random.random() < 0.6 else (other, "en")
    return first, second


def code(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A piece of a program; the first of a file, half the time, below its name. Now and then, where it has a short
    function that says what it does: the function is asked for, or what it does. Fields: "text", "path", "piece"."""
    fields = items[k].fields
    if random.random() < ASKED:
        functions = [found for found in _FUNCTION.finditer(fields["text"]) if len(found[0]) < LONGEST_FUNCTION]
        if functions:
            found = one(functions, random)
            program = f"```python\n{found[0].rstrip()}\n```"
            if random.random() < 0.25:
                bare = program.replace(found["doc"], "").replace("\n    \n", "\n")
                return _dialogue(f"{asking(WORDS['explain'], 'en', random)}\n\n{bare}", found["about"])
            tongue = language(random, english=0.7)
            return _dialogue(
                asking(WORDS["function"], tongue, random, name=found["name"], about=found["about"]), program
            )
    first = fields.get("piece", (0, 1))[0] == 0
    head = f"# {fields['path']}\n" if first and random.random() < 0.5 else ""
    return Document.of([Text(head + fields["text"] + "\n")])


def _dialogue(asked: str, answer: str) -> Document:
    return Document.from_turns([Turn("user", (Text(asked),)), Turn("model", (Text(answer),))])


# At the margin, its text of documentation in one line or more, and all that is further in.
_FUNCTION = re.compile(
    r"^def (?P<name>[a-z]\w*)\(.*\)[^\n]*:\n"
    r'(?P<doc>    r?"""\s*(?P<about>[A-Z][^\n"]{8,160}?\.)\s*(?:\n[^"]*)?"""\n)'
    r"(?:(?:    [^\n]*|)\n)+",
    re.MULTILINE,
)
