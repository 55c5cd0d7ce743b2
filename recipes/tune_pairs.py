"""Data of post-training from the facts and pictures that come with Tejat: dialogues, pairs and questions.

python recipes/tune_pairs.py runs/tune_facts

DIRECTORY/dialogues.jsonl   what supervised tuning learns      DIRECTORY/questions.jsonl   what rlhf asks, with checks
         /pairs.jsonl       what a reward model learns
and the same as heldout_*.jsonl, of countries and things that the others never speak of.
"""

import argparse
import itertools
import json
from pathlib import Path

from tejat.parts import write_whole
from tejat.posttrain import preferences, synthetic


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--count", type=int, default=4_000)
    arguments.add_argument("--heldout", type=int, default=800)
    arguments.add_argument("--no-pictures", action="store_true")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, heldout, count in (("", False, options.count), ("heldout_", True, options.heldout)):
        for seed, kind in enumerate(("dialogues", "pairs", "questions")):
            made = synthetic.cases(synthetic.facts(), seed, heldout, not options.no_pictures)
            some, path = list(itertools.islice(made, count)), options.out / f"{name}{kind}.jsonl"
            if kind == "pairs":
                preferences.write(path, (case.pair() for case in some))
            else:
                records = [case.question() if kind == "questions" else case.dialogue() for case in some]
                lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
                write_whole(path, "".join(lines).encode())
            print(f"{path}: {count:,}")


if __name__ == "__main__":
    main()
