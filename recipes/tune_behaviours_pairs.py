"""Data of preferences and rewards on mini: pairs and questions of the three behaviours and of refusals.

python recipes/tune_behaviours_pairs.py runs/tune_behaviours --corpus runs/corpus

DIRECTORY/pairs.jsonl       what a reward model and DPO learn
         /questions.jsonl   what rlhf asks, with checks
         /dialogues.jsonl   the same questions with their right answers, to be supervised
and the same as heldout_*.jsonl, with facts about subjects that the others never ask of. Twelve seconds.

`python recipes/tables.py --train` does this too, and then all that the table of docs/FACTUALITY.md is made of.
"""

import argparse
import itertools
import json
from pathlib import Path

from tejat.data.shards import Shards
from tejat.parts import write_whole
from tejat.posttrain import preferences
from tejat.posttrain.behaviours import anything, cases
from tejat.posttrain.behaviours.known import Facts
from tejat.posttrain.behaviours.mixture import FACTS, MEANINGS, THINGS


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--corpus", type=Path, default=Path("runs/corpus"))
    arguments.add_argument("--count", type=int, default=24_000)
    arguments.add_argument("--heldout", type=int, default=1_000)
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    meanings, things = (Shards(options.corpus, source, "train") for source in (MEANINGS, THINGS))
    items = (item for source in FACTS for item in Shards(options.corpus, source, "train") if item.kind == "fact")
    facts = Facts(items, anything.vocabulary(meanings, things))
    for name, heldout, count in (("", False, options.count), ("heldout_", True, options.heldout)):
        for seed, kinds in enumerate((("pairs",), ("questions", "dialogues"))):
            some = list(itertools.islice(cases.cases(facts, seed, heldout), count))
            for kind in kinds:
                path = options.out / f"{name}{kind}.jsonl"
                if kind == "pairs":
                    preferences.write(path, (case.pair() for case in some))
                else:
                    made = (case.question() if kind == "questions" else case.dialogue() for case in some)
                    lines = (json.dumps(one, ensure_ascii=False) + "\n" for one in made)
                    write_whole(path, "".join(lines).encode())
                print(f"{path}: {count:,}, of them {cases.spread(some)}")


if __name__ == "__main__":
    main()
