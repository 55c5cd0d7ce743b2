"""The same small model trained with each tokenizer: bits per byte of held-out text, by language.

Tokenizers of one size make models of one size, whose steps cost the same. So there are two fair questions, and both are
asked: of models that took equally many steps (the same computing; a tokenizer with longer pieces shows them more text),
and of models that saw equally many bytes (a tokenizer with shorter pieces takes more steps for them). All draw the same
texts in the same order, cut to lengths that fit a row under any tokenizer.
"""

import dataclasses
import json
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from tejat.api import Model
from tejat.codecs import vocabulary
from tejat.codecs.framing import Encoded, Framing
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.packing import Room
from tejat.data.text_sample import Passage
from tejat.errors import BadInput
from tejat.model import family
from tejat.model.multimodal import ModelConfig
from tejat.parts import Document, Text
from tejat.train import loop
from tejat.train.optimizer import Schedule
from tejat.train.recipe import Recipe

ROW = 1_024
"""Tokens of a row. A text of so many bytes, less its two marks, fits in it whatever the tokenizer."""

Equal = Literal["steps", "bytes"]


@dataclass(frozen=True)
class Plan:
    """How each model is trained."""

    steps: int  # with the first tokenizer; with the others too, where steps are what is equal
    rows: int = 8  # of a batch
    seeds: tuple[int, ...] = (0, 1, 2)
    peak: float = 6e-3
    bfloat16: bool = False
    model: ModelConfig = field(default_factory=family.micro)  # the shape of its decoder


@dataclass(frozen=True)
class Run:
    """One model: what it was trained on, and how well it predicts text that it has not seen.

    Attributes:
      tokens, bytes: seen in training; bytes are those of the texts whose tokens they were.
      bits: bits per byte by language; "all" is the mean over languages.
    """

    tokenizer: str
    equal: Equal
    seed: int
    steps: int
    tokens: int
    bytes: int
    seconds: float
    bits: dict[str, float]


class Texts:
    """Texts as an endless stream of documents, each pass in an order of its own. Encodings are kept."""

    def __init__(self, texts: Sequence[str], framing: Framing, kept: dict[int, Encoded], seed: int):
        self._texts, self._framing, self._kept, self._seed = texts, framing, kept, seed
        self._orders: dict[int, np.ndarray] = {}

    def __call__(self, index: int) -> Encoded:
        turn, at = divmod(index, len(self._texts))
        if turn not in self._orders:
            # The rows of a batch do not turn at once: a few orders are in use together.
            self._orders = {k: order for k, order in self._orders.items() if k >= turn - 2}
            self._orders[turn] = np.random.default_rng([self._seed, turn]).permutation(len(self._texts))
        which = int(self._orders[turn][at])
        if which not in self._kept:
            self._kept[which] = self._framing.encode(Document.of([Text(self._texts[which])]))
        return self._kept[which]


def trial(
    tokenizers: Mapping[str, Vocabulary],
    training: Sequence[str],
    heldout: Sequence[Passage],
    plan: Plan,
    told: Callable[[Run], None] = lambda run: None,
) -> list[Run]:
    """Trains a model with each tokenizer, seed and question; the first tokenizer's runs answer both. `told` of each.

    Raises:
      BadInput: for tokenizers of several sizes, whose models would not be the same.
    """
    sizes = {vocabulary.size for vocabulary in tokenizers.values()}
    if len(sizes) > 1:
        named = ", ".join(f"{name} {vocabulary.size:,}" for name, vocabulary in tokenizers.items())
        raise BadInput(f"the tokenizers are of several sizes ({named}); one model needs tokenizers of one size")
    config, texts = text_only(plan.model, sizes.pop()), short(training)
    tested = [Passage(text, group) for passage, group in heldout for text in short([passage])]
    kept: dict[str, dict[int, Encoded]] = {name: {} for name in tokenizers}
    tokens_per_byte = {name: _rate(vocabulary, texts) for name, vocabulary in tokenizers.items()}
    first = next(iter(tokenizers))
    runs: list[Run] = []
    for seed in plan.seeds:
        for name, pieces in tokenizers.items():
            for equal in ("steps", "bytes"):
                if equal == "bytes" and name == first:
                    runs.append(dataclasses.replace(runs[-1], equal=equal))
                    told(runs[-1])
                    continue
                longer = tokens_per_byte[name] / tokens_per_byte[first] if equal == "bytes" else 1.0
                steps = max(1, round(plan.steps * longer))
                recipe = _recipe(config, pieces, texts, kept[name], plan, steps, seed)
                runs.append(_run(recipe, name, equal, tokens_per_byte[name], tested))
                told(runs[-1])
    return runs


def text_only(config: ModelConfig, size: int) -> ModelConfig:
    """The decoder of a size of the family over `size` ids of text."""
    return dataclasses.replace(
        config,
        name=f"{config.name}-text",
        decoder=dataclasses.replace(config.decoder, vocabulary=size),
        vision=None,
        audio=None,
        picture=None,
        text_vocabulary=size,
        context=ROW,
    )


def short(texts: Sequence[str]) -> list[str]:
    """The texts cut so that each fits a row, whatever the tokenizer."""
    return [piece for text in texts for piece in vocabulary.cut(text, ROW - 2) if piece.strip()]


def summary(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For each question and tokenizer: mean bits per byte over seeds by language, the standard error of "all" and of
    its difference from the first tokenizer, seed by seed (negative: better than the first)."""
    by_arm: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        by_arm[run.equal, run.tokenizer].append(run)
    first = runs[0].tokenizer
    rows = []
    for (equal, name), arm in sorted(by_arm.items(), key=lambda pair: pair[0][0] == "bytes"):
        reference = {run.seed: run.bits["all"] for run in by_arm[equal, first]}
        differences = [run.bits["all"] - reference[run.seed] for run in arm if run.seed in reference]
        rows.append(
            {
                "equal": equal,
                "tokenizer": name,
                "seeds": len(arm),
                "steps": arm[0].steps,
                "bytes": round(statistics.mean(run.bytes for run in arm)),
                "bits_per_byte": {key: statistics.mean(run.bits[key] for run in arm) for key in arm[0].bits},
                "stderr": _stderr([run.bits["all"] for run in arm]),
                "difference": statistics.mean(differences) if differences else None,
                "difference_stderr": _stderr(differences),
            }
        )
    return rows


def table(runs: Sequence[Run]) -> str:
    """The summary in Markdown: over languages, and what each tokenizer loses or gains beside the first."""
    lines = [
        "| equal | tokenizer | seeds | steps | MB seen | bits a byte | beside the first |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in summary(runs):
        value, difference = f"{row['bits_per_byte']['all']:.3f}", "–"
        if row["tokenizer"] != runs[0].tokenizer and row["difference"] is not None:
            difference = f"{row['difference']:+.3f}"
            if row["difference_stderr"] is not None:
                difference += f" ± {row['difference_stderr']:.3f}"
        cells = [row["equal"], row["tokenizer"], f"{row['seeds']}", f"{row['steps']:,}", f"{row['bytes'] / 1e6:.1f}"]
        lines.append("| " + " | ".join([*cells, value, difference]) + " |")
    return "\n".join(lines)


def _stderr(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _rate(pieces: Vocabulary, texts: Sequence[str], most: int = 4_000) -> float:
    """Tokens a byte of the texts, marks of their documents among them."""
    some = texts[:: max(1, len(texts) // most)]
    return sum(len(pieces.encode(text)) + 2 for text in some) / sum(len(text.encode()) for text in some)


def _recipe(
    config: ModelConfig,
    pieces: Vocabulary,
    texts: Sequence[str],
    kept: dict[int, Encoded],
    plan: Plan,
    steps: int,
    seed: int,
) -> Recipe:
    return Recipe(
        name=config.name,
        config=config,
        tokenizer=lambda: pieces.model,
        pictures=None,
        documents=lambda framing, recipe: Texts(texts, framing, kept, recipe.seed),
        room=Room(rows=plan.rows, tokens=ROW, targets=ROW, patches=0, sounds=0, frames=0),
        schedule=Schedule(steps=steps, peak=plan.peak, warmup=max(1, min(100, steps // 10)), floor=0.02, muon=True),
        bfloat16=plan.bfloat16,
        seed=seed,
        log_every=max(1, steps // 4),
        save_every=steps,
        keep=1,
    )


def _run(recipe: Recipe, name: str, equal: Equal, tokens_per_byte: float, tested: Sequence[Passage]) -> Run:
    begun = time.perf_counter()
    with TemporaryDirectory() as folder:
        trained = loop.train(recipe, Path(folder))
        last = json.loads((Path(folder) / "log.jsonl").read_text().splitlines()[-1])
    return Run(
        tokenizer=name,
        equal=equal,
        seed=recipe.seed,
        steps=last["step"],
        tokens=last["tokens"],
        bytes=round(last["tokens"] / tokens_per_byte),
        bits=bits_per_byte(Model(trained), tested),
        seconds=time.perf_counter() - begun,
    )


def bits_per_byte(model: Model, passages: Sequence[Passage]) -> dict[str, float]:
    """By language, every passage a document of its own, its end predicted too; "all" is the mean over languages."""
    scores = model.score_batch([Document.of((Text(text),)) for text, _ in passages])
    bits: dict[str, float] = defaultdict(float)
    sizes: dict[str, int] = defaultdict(int)
    for (text, group), score in zip(passages, scores, strict=True):
        bits[group.language] -= score.total / math.log(2)
        sizes[group.language] += len(text.encode())
    found = {language: bits[language] / sizes[language] for language in sorted(bits)}
    return found | {"all": statistics.mean(found.values())}


def to_json(runs: Sequence[Run]) -> dict[str, Any]:
    """Every run, and their summary."""
    return {"summary": summary(runs), "runs": [asdict(run) for run in runs]}
