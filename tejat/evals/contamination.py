"""Was a model trained on what it is asked? Every item of a task is looked for in the training part of a corpus.

By runs of thirteen words, as the corpus is cleaned of evaluations (`tejat.data.cleaning.contamination`, after Brown et
al. 2020). An item of pictures and a short question has none, and is counted as too short.
"""

from collections.abc import Sequence
from pathlib import Path

from tejat.data.cleaning.contamination import Contamination
from tejat.data.corpus import ledger
from tejat.data.shards import Shards
from tejat.evals.progress import Progress
from tejat.evals.tasks import Item, Task, some
from tejat.parts import Text


def check(tasks: Sequence[Task], corpus: Path, limit: int | None = None) -> dict[tuple[str, str], str]:
    """What is known of each task, by (suite, name): "2 of 100 items met in training, 8 too short to be looked for".

    Tasks whose items cannot be made are left out. Raises BadInput where there is no corpus.
    """
    sources = ledger.read(corpus)["sources"]
    questions: dict[str, list[list[str]]] = {}
    names: dict[tuple[str, str], str] = {}
    for task in tasks:
        try:
            items = some(task.items(), limit)
        except (ValueError, OSError, ImportError):
            continue
        names[task.suite, task.name] = f"{task.suite}/{task.name}"
        questions[f"{task.suite}/{task.name}"] = [_texts(item) for item in items]
    found = Contamination(questions)
    progress = Progress("contamination", len(sources))
    for source in sources:
        for _ in found(Shards(corpus, source, "train"), source):
            pass
        progress.advance(1)
    notes = found.report.notes
    return {key: _told(notes, name, len(questions[name])) for key, name in names.items()}


def _texts(item: Item) -> list[str]:
    asked = [part.text for turn in item.turns for part in turn.parts if isinstance(part, Text)]
    return ["\n".join(asked), *item.answers]


def _told(notes, name: str, count: int) -> str:
    met, short = notes[f"questions of {name} met"], notes[f"questions of {name}, too short to be looked for"]
    told = f"{met} of {count} items met in training"
    return f"{told}, {short} too short to be looked for" if short else told
