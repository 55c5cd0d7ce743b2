"""Benchmark files, as their authors publish them, for the YAML tasks in this folder.

The folder that holds them is `data` in the tasks' metadata (`tejat eval --benchmarks DIR`), or TEJAT_BENCHMARKS in the
environment, for lm-eval's own command. Files are found by name, wherever they lie in it.
"""

import ast
import csv
import gzip
import json
import os
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import datasets

from tejat.errors import BadInput

VARIABLE = "TEJAT_BENCHMARKS"
ALPHABET = "ABCD"

ASKED = {
    "en": ("Context", "Question", "Answer"),
    "de": ("Kontext", "Frage", "Antwort"),
    "es": ("Contexto", "Pregunta", "Respuesta"),
    "fr": ("Contexte", "Question", "Réponse"),
    "ru": ("Контекст", "Вопрос", "Ответ"),
    "zh": ("语境", "问题", "答案"),
    "ja": ("文脈", "問題", "答え"),
    "sw": ("Muktadha", "Swali", "Jibu"),
    "bn": ("প্রসঙ্গ", "প্রশ্ন", "উত্তর"),
    "te": ("సందర్భం", "ప్రశ్న", "సమాధానం"),
    "th": ("เนื้อหา", "คำถาม", "คำตอบ"),
    "ar": ("السياق", "السؤال", "الإجابة"),
    "el": ("Συμφραζόμενα", "Ερώτηση", "Απάντηση"),
    "hi": ("प्रसंग", "प्रश्न", "उत्तर"),
    "tr": ("Bağlam", "Soru", "Cevap"),
    "vi": ("Bối cảnh", "Câu hỏi", "Trả lời"),
    "ro": ("Context", "Întrebare", "Răspuns"),
}
"""What stands before a passage, a question and an answer, by language; English in others."""

Splits = dict[str, datasets.Dataset]


def gsm8k(data: str = "", **_: Any) -> Splits:
    """GSM8K: train.jsonl for examples, test.jsonl."""
    found = {"test": _of(_lines(_file(data, "gsm8k/test.jsonl", "test.jsonl")))}
    return found | {"train": _of(_lines(_file(data, "gsm8k/train.jsonl", "train.jsonl")))}


def humaneval(data: str = "", **_: Any) -> Splits:
    """HumanEval."""
    return {"test": _of(_lines(_file(data, "HumanEval.jsonl.gz", "HumanEval.jsonl")))}


def mgsm(data: str = "", **_: Any) -> Splits:
    """MGSM: questions and numbers, one of each language in turn, of all languages that are there."""
    columns = []
    for language, file in _files(data, "mgsm_*.tsv", r"mgsm_(\w+)\.tsv"):
        asks, answers = ASKED[language][1:] if language in ASKED else ASKED["en"][1:]
        rows = [row for row in csv.reader(_text(file).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE) if row]
        columns.append(
            [
                {"language": language, "asks": asks, "answers": answers}
                | {"question": row[0], "answer": row[1].replace(",", "")}
                for row in _whole(rows, 2, file)
            ]
        )
    return {"test": _of(_in_turn(columns))}


def nq_open(data: str = "", **_: Any) -> Splits:
    """NQ-open's development set."""
    return {"validation": _of(_lines(_file(data, "nq_open/dev.jsonl", "NQ-open.dev.jsonl")))}


def xquad(data: str = "", **_: Any) -> Splits:
    """XQuAD: a row for each question, one of each language in turn, of all languages that are there."""
    columns = []
    for language, file in _files(data, "xquad.*.json", r"xquad\.(\w+)\.json"):
        passage, asks, reply = ASKED.get(language, ASKED["en"])
        words = {"language": language, "passage": passage, "asks": asks, "reply": reply}
        try:
            paragraphs = [p for article in json.loads(_text(file))["data"] for p in article["paragraphs"]]
            columns.append(
                [
                    words
                    | {"id": asked["id"], "context": p["context"], "question": asked["question"]}
                    | {"answers": [answer["text"] for answer in asked["answers"]]}
                    for p in paragraphs
                    for asked in p["qas"]
                ]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{file} is not as XQuAD has it ({error}); fetch it again") from error
    return {"validation": _of(_in_turn(columns))}


def mmlu_redux(data: str = "", **_: Any) -> Splits:
    """MMLU-Redux: questions that its reviewers found right, or set right, one of each subject in turn."""
    columns = []
    for subject, file in _files(data, "mmlu_*.csv", r"mmlu_(\w+)\.csv"):
        text = _text(file)
        delimiter = ";" if ";" in text.partition("\n")[0] else ","
        rows = list(csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter))
        found = [{"subject": subject} | made for row in rows if (made := _reviewed(row)) is not None]
        if not found:
            raise BadInput(f"{file} has no question of MMLU-Redux; fetch it again")
        columns.append(found)
    return {"test": _of(_in_turn(columns))}


def _reviewed(row: dict[str, str]) -> dict[str, Any] | None:
    """A question with its choices and the number of the answer; None where it was found unfit."""
    told, answer = (row.get("error_type") or "").strip().casefold().replace("_", " "), (row.get("answer") or "").strip()
    if told == "wrong groundtruth":
        answer = (row.get("correct_answer") or "").strip()
        answer = str(ALPHABET.find(answer)) if len(answer) == 1 and answer in ALPHABET else answer
    elif told != "ok":
        return None
    try:
        choices = [str(choice) for choice in ast.literal_eval(row["choices"])]
    except (ValueError, SyntaxError, KeyError):
        return None
    if len(choices) != 4 or answer not in ("0", "1", "2", "3"):
        return None
    return {"question": row["question"], "choices": choices, "answer": int(answer)}


def _file(data: str, *names: str) -> Path:
    """The first of the files that is there. Raises BadInput, naming what is looked for."""
    given = data or os.environ.get(VARIABLE, "")
    if not given:
        raise BadInput(f"{names[0]} is wanted; name the folder it lies in with --benchmarks, or in {VARIABLE}")
    root = Path(given)
    for name in names:
        exact = root / name
        found = sorted(root.rglob(name)) if "/" not in name and not exact.is_file() else [exact]
        if found and found[0].is_file():
            return found[0]
    raise BadInput(f"{names[0]} is not in {root}; put it there, or name the folder it lies in with --benchmarks")


def _files(data: str, pattern: str, name: str) -> list[tuple[str, Path]]:
    """(what the expression `name` finds in the file's name, file) of all files of a set. Raises BadInput for none."""
    given = data or os.environ.get(VARIABLE, "")
    if not given:
        raise BadInput(f"{pattern} is wanted; name the folder it lies in with --benchmarks, or in {VARIABLE}")
    found = [
        (match[1], file) for file in sorted(Path(given).rglob(pattern)) if (match := re.fullmatch(name, file.name))
    ]
    if not found:
        raise BadInput(f"there is no {pattern} in {given}; put them there, or name the folder with --benchmarks")
    return found


def _in_turn(columns: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The first of each, then the second …: so the first hundred are of all."""
    return [row for rows in zip_longest(*columns) for row in rows if row is not None]


def _text(file: Path) -> str:
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        return data.decode("utf-8-sig", "replace")
    except (OSError, EOFError) as error:
        raise BadInput(f"{file} cannot be read ({error}); fetch it again") from error


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_text(file).splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise BadInput(f"line {number} of {file} is not JSON ({error}); fetch it again") from error


def _whole(rows: list[list[str]], columns: int, file: Path) -> list[list[str]]:
    for number, row in enumerate(rows, 1):
        if len(row) < columns:
            raise BadInput(f"row {number} of {file} has {len(row)} columns, and {columns} are due; fetch it again")
    return rows


def _of(rows) -> datasets.Dataset:
    return datasets.Dataset.from_list(list(rows))
