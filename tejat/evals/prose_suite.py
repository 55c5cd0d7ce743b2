"""Bits per byte of held-out text: of every kind of source, and of each language."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

from tejat.data.presenting import present
from tejat.data.shards import Item as Raw
from tejat.evals import prose
from tejat.evals.ground import HELD_OUT, Ground, rng
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Text

SUITE = "prose"
KINDS = {
    "prose": ("brown",),
    "handbooks": ("debian-handbook", "debian-reference", "installation-guide", "gnome-help", "libreoffice-help"),
    "manuals": ("manuals", "linux-docs", "postgresql-docs", "sqlite-docs", "python-docs"),
    "dictionaries": ("gcide", "wordnet", "computing-dictionaries"),
    "code": ("python-packages", "python-library"),
    "proofs": ("metamath",),
    "dialogue": ("fillets", "wesnoth"),
}
LONGEST = 600  # characters of a passage
TRAINING = 400_000  # characters that the baseline counts


def tasks(ground: Ground) -> list[Task]:
    """A task for each kind of text, broken down by language."""
    return [
        prose.Continuing(SUITE, kind, partial(passages, ground, kind), partial(training, ground, kind)).with_(
            origin=HELD_OUT, quick=kind == "handbooks"
        )
        for kind in KINDS
    ]


def sections(model: Any) -> list[Section]:
    return []


def passages(ground: Ground, kind: str) -> list[Item]:
    """Passages of the kind's sources, of as many languages as there are."""
    by_language: dict[str, list[Item]] = defaultdict(list)
    shards = ground.heldout(*KINDS[kind])
    for k, raw in enumerate(shards):
        for language, text in _texts(shards, k):
            about = raw.fields.get("group", str(k))
            by_language[language].append(Item(f"{k}-{language}", about, (), (text,), tags={"language": language}))
    # Round and round the languages, so that the large ones leave room for the others.
    queues = []
    for tag, items in sorted(by_language.items()):
        queues.append([items[int(n)] for n in rng(SUITE, kind, tag).permutation(len(items))])
    found: list[Item] = []
    while queues and len(found) < ground.most:
        found += [queue.pop() for queue in queues][: ground.most - len(found)]
        queues = [queue for queue in queues if queue]
    return found


def training(ground: Ground, kind: str) -> str:
    """Text of the same sources that is trained on, in all its languages, from all over them."""
    parts: list[str] = []
    size = 0
    for number, source in enumerate(there := ground.present(KINDS[kind]), 1):
        shards = ground.shards(source, "train")
        for k in rng(SUITE, "training", source).permutation(len(shards)):
            for _, text in _texts(shards, int(k)):
                parts.append(text)
                size += len(text)
            if size > TRAINING * number / len(there):
                break
    return "\n".join(parts)


def _texts(shards: Sequence[Raw], k: int) -> list[tuple[str, str]]:
    """(language, text) of an item as it is read."""
    fields = shards[k].fields
    if "texts" in fields:
        return [(tag, text[:LONGEST]) for tag, text in list(fields["texts"].items())[:8] if len(text) > 40]
    if "text" in fields:
        return [(fields.get("language", "mul"), fields["text"][:LONGEST])] if len(fields["text"]) > 80 else []
    document = present(shards, k, rng(SUITE, k))
    text = "\n".join(part.text for part in document.parts if isinstance(part, Text))
    return [(fields.get("language", "en"), text[:LONGEST])]
