"""Prompts written by hand, in five languages (`prompts.json`): a question, below a passage where there is one."""

import functools
import json
from collections import Counter
from importlib import resources

from tejat.evals.tasks import Item
from tejat.parts import Text, Turn


@functools.cache
def items() -> tuple[Item, ...]:
    """Each as an item, judged as those of `cases`; those of one passage, or one language and reason, are a cluster."""
    made = []
    records = json.loads(resources.files(__package__).joinpath("prompts.json").read_text("utf-8"))
    for n, record in enumerate(records):
        language, passage, reason = record["language"], record.get("passage", ""), record.get("reason", "")
        text = f"{passage}\n\n{record['prompt']}" if passage else record["prompt"]
        mine = tuple(record.get("answers", ()))
        # What the passage says in answer to other prompts: who says all of it has not answered.
        others = [
            a for other in records if passage and other.get("passage") == passage for a in other.get("answers", ())
        ]
        others = [a for a in others if not any(a in each or each in a for each in mine)]
        kind = reason or ("told" if passage else "known")
        made.append(
            Item(
                f"prompt-{n}",
                passage[:20] or f"{language}/{kind}",
                (Turn("user", (Text(text),)),),
                mine,
                tags={"kind": kind, "language": language},
                material={"language": language, "reason": reason, "passage": passage, "both": [], "others": others},
            )
        )
    # Languages take turns, so that the first prompts are of all.
    seen: Counter[str] = Counter()
    turns = []
    for item in made:
        seen[item.tags["language"]] += 1
        turns.append((seen[item.tags["language"]], item))
    return tuple(item for _, item in sorted(turns, key=lambda turn: turn[0]))
