"""Metrics of the YAML tasks in this folder: programs run in our sandbox, answers matched to any of several."""

import secrets
from collections.abc import Sequence

from tejat.evals import measures, sandbox
from tejat.evals.matching import normalise

LIMITS = sandbox.Limits(seconds=5.0)


def completions(responses: Sequence[Sequence[str]], docs: Sequence[dict]) -> list[list[str]]:
    """Each continuation below its prompt: a whole program."""
    return [[doc["prompt"] + text for text in mine] for mine, doc in zip(responses, docs, strict=True)]


def passes(doc: dict, results: Sequence[Sequence[str]]) -> dict[str, float]:
    """pass@1: the share of the programs that pass the tests of a problem. Raises Unavailable where none can be run."""
    programs = results[0] if isinstance(results[0], list) else results
    return {"pass@1": sum(passed(program, doc) for program in programs) / len(programs)}


def passed(program: str, doc: dict) -> bool:
    """Does a program pass its tests, to the last? A word that nobody can guess is said after them."""
    word = secrets.token_hex(16)
    whole = f"{program}\n\n{doc['test']}\n\ncheck({doc['entry_point']})\nprint('\\n{word}')\n"
    ran = sandbox.run(whole, LIMITS)
    return ran.fine and ran.output.rstrip().endswith(word)


def answered(doc: dict, results: Sequence[str]) -> dict[str, float]:
    """Exact match with any answer, after normalisation, and the best F1 of words, as SQuAD has it."""
    said = results[0]
    answers = doc["answers"] if "answers" in doc else doc["answer"]
    exact = normalise(said) in {normalise(answer) for answer in answers}
    return {"exact_match": float(exact), "f1": max(measures.words_f1(said, answer) for answer in answers)}


def number(doc: dict, results: Sequence[str]) -> dict[str, float]:
    """Is the last number of the answer the due one?"""
    due = measures.numbers(doc["answer"].rpartition("####")[2])
    got = measures.numbers(results[0].rpartition("####")[2])
    return {"exact_match": float(bool(got) and bool(due) and got[-1] == due[-1])}
