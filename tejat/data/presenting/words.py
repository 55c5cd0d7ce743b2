"""Words and lines: meanings, bilingual dictionaries, and texts in several languages."""

from collections.abc import Sequence

import numpy as np

from tejat.data.corpus.language import NAMES
from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

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
    asked: list[tuple[str, str]] = [
        (f'What does the {fields["part"]} "{word}" mean?', f"{fields['meaning'].capitalize()}."),
        (f'Which {fields["part"]} means "{fields["meaning"]}"?', word),
    ]
    if others:
        asked.append((f'Give another word for "{word}" ({fields["meaning"]}).', others[0]))
    if "above" in fields:
        asked.append((f'What is "{word}" ({fields["meaning"]}) a kind of?', fields["above"][0]))
    if "examples" in fields:
        asked.append((f'Use "{word}" ({fields["meaning"]}) in a sentence.', fields["examples"][0]))
    return _dialogue(*asked[int(random.integers(len(asked)))])


def _entry(fields: dict) -> str:
    text = f"{', '.join(fields['words'])} ({fields['part']}): {fields['meaning']}"
    return text + "".join(f'; "{example}"' for example in fields.get("examples", ()))


def dictionary(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A page of a bilingual dictionary under the names of its languages. Fields: "text", "from", "language" (to)."""
    fields = items[k].fields
    source, target = NAMES[fields["from"]], NAMES[fields["language"]]
    return Document.of([Text(f"{source}-{target} dictionary\n\n{fields['text']}")])


def parallel(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """Item k and the next few as a table of two languages; or item k translated, asked and told; or in several
    languages under each other. Field "texts": a text by language, all of which NAMES knows."""
    texts = items[k].fields["texts"]
    languages = list(texts)
    # One side is English half the time where it is there: from and to it most pairs are asked for.
    one, other = (languages[int(j)] for j in random.permutation(len(languages))[:2])
    if "en" in texts and "en" not in (one, other) and random.random() < 0.5:
        one, other = ("en", other) if random.random() < 0.5 else (one, "en")
    way = random.random()
    if way < 0.35:
        near = [items[j] for j in range(k, min(len(items), k + LINES)) if items[j].kind == "parallel"]
        pairs = [item.fields["texts"] for item in near]
        lines = [f"{pair[one]} | {pair[other]}" for pair in pairs if one in pair and other in pair]
        return Document.of([Text("\n".join([f"{NAMES[one]} | {NAMES[other]}", *lines]))])
    if way < 0.5:
        some = [languages[int(j)] for j in random.permutation(len(languages))[:6]]
        return Document.of([Text("\n".join(f"{NAMES[name]}: {texts[name]}" for name in some))])
    wordings = (
        f"Translate from {NAMES[one]} into {NAMES[other]}: {texts[one]}",
        f"Translate into {NAMES[other]}:\n\n{texts[one]}",
        f"What is this in {NAMES[other]}?\n\n{texts[one]}",
        f"{texts[one]}\n\nPut this into {NAMES[other]}.",
    )
    return _dialogue(wordings[int(random.integers(len(wordings)))], texts[other])


def code(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A piece of a program; the first of a file, half the time, below its name. Fields: "text", "path", "piece"."""
    fields = items[k].fields
    first = fields.get("piece", (0, 1))[0] == 0
    head = f"# {fields['path']}\n" if first and random.random() < 0.5 else ""
    return Document.of([Text(head + fields["text"] + "\n")])


def _dialogue(asked: str, answer: str) -> Document:
    return Document.from_turns([Turn("user", (Text(asked),)), Turn("model", (Text(answer),))])
