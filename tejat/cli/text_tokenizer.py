"""`tejat tokenizer text`: trains text tokenizers, and compares them."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tejat.cli.table import straight
from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.cli.tokenizer import Tokenizer
    from tejat.codecs.vocabulary import Vocabulary
    from tejat.evals.tokenizer_trial import Plan, Run
    from tejat.train.text_tokenizer import TextRecipe

SHOWN = 12  # languages of a sample in the terminal
EVENLY = 1e6  # a temperature at which every language has the same number of bytes
HELD_OUT, TRIED_ON, LEARNT_FROM = 8_000_000, 800_000, 120_000_000  # bytes: of the table; of the trial


def train(options: "Tokenizer") -> int:
    """Run `tejat tokenizer text train`. Raises BadInput for a recipe or a text that makes no tokenizer."""
    chosen, directory = _recipe(options)
    from tejat.train import text_tokenizer

    found = text_tokenizer.train(chosen, directory, _say)
    if options.json:
        print(json.dumps({**found, "directory": str(directory)}))
        return 0
    languages = text_tokenizer.languages(found)
    for name, there, drawn in languages[:SHOWN]:
        print(f"{name:<12} {drawn:>12,} bytes of {there:,}")
    if len(languages) > SHOWN:
        print(f"and {len(languages) - SHOWN} more in {directory / text_tokenizer.SAMPLE}")
    print(f"{found['pieces']:,} pieces, {found['kind']}: {directory / text_tokenizer.MODEL}")
    return 0


def report(options: "Tokenizer") -> int:
    """Run `tejat tokenizer text report`. Raises BadInput for a tokenizer that is not there or cannot be compared."""
    chosen, directory = _recipe(options)
    from tejat.codecs.vocabulary import Vocabulary
    from tejat.data import text_sample
    from tejat.evals import compression, tokenizer_trial
    from tejat.parts import write_whole
    from tejat.train.text_tokenizer import MODEL

    own = directory / MODEL
    if not own.is_file():
        raise BadInput(f"there is no {own} to report on; train it first: tejat tokenizer text train {options.recipe}")
    tokenizers = {"ours": Vocabulary.load(own, 0)}
    for given in options.against:
        name, vocabulary = _other(given)
        if name in tokenizers:
            raise BadInput(f"two tokenizers are called {name!r}; give each a name of its own")
        tokenizers[name] = vocabulary

    _say("encoding held-out text")
    heldout = text_sample.draw(chosen.heldout, HELD_OUT, EVENLY, chosen.seed)
    comparison = compression.compare(tokenizers, heldout.passages)
    found: dict[str, Any] = {
        "tokenizers": {name: {"pieces": vocabulary.size} for name, vocabulary in tokenizers.items()},
        **comparison.to_json(),
    }
    said = [compression.tables(comparison)]
    if options.steps:
        sized = {name: v for name, v in tokenizers.items() if v.size == tokenizers["ours"].size}
        plan = _plan(options)
        _say(f"{plan.rows} rows a batch, {'bfloat16' if plan.bfloat16 else 'float32'}")
        training = text_sample.draw(chosen.passages, LEARNT_FROM, chosen.temperature, chosen.seed)
        tested = text_sample.draw(chosen.heldout, TRIED_ON, EVENLY, chosen.seed)
        texts = [passage.text for passage in training.passages]
        runs = tokenizer_trial.trial(sized, texts, tested.passages, plan, _told)
        found["trial"] = tokenizer_trial.to_json(runs)
        said.append(tokenizer_trial.table(runs))
    write_whole(directory / "report.json", (json.dumps(found, indent=1) + "\n").encode())
    compression.plot(comparison, directory / "report.png")
    if options.json:
        print(json.dumps({**found, "directory": str(directory)}))
    else:
        print(straight("\n\n".join(said)))
        print(f"\n{directory / 'report.png'} shows it; {directory / 'report.json'} has the numbers")
    return 0


def _plan(options: "Tokenizer") -> "Plan":
    """Of the trial: eight times the batch where there is an accelerator, and what it computes fast in."""
    import jax

    from tejat.evals.tokenizer_trial import Plan

    seeds = tuple(range(options.seeds))
    if jax.default_backend() == "cpu":
        return Plan(options.steps, seeds=seeds)
    return Plan(options.steps, rows=64, seeds=seeds, bfloat16=True)


def _recipe(options: "Tokenizer") -> tuple["TextRecipe", Path]:
    """The recipe with its settings, and its directory."""
    from tejat.train import recipe
    from tejat.train.text_tokenizer import TextRecipe

    chosen = recipe.changed(recipe.read(options.recipe, TextRecipe), list(options.set))
    return chosen, options.out or Path("runs", chosen.name)


def _other(given: str) -> tuple[str, "Vocabulary"]:
    """NAME=FILE or NAME=FILE@SIZE."""
    from tejat.codecs.adopted import adopt
    from tejat.codecs.vocabulary import Vocabulary

    name, equals, place = given.partition("=")
    place, at, size = place.partition("@")
    if not (name and equals and place) or (at and not size.isdecimal()):
        raise BadInput(f"the tokenizer {given!r} cannot be read; write it as NAME=FILE or NAME=FILE@SIZE")
    if not Path(place).is_file():
        raise BadInput(f"there is no tokenizer {place}; give a SentencePiece model")
    model = Path(place).read_bytes()
    if size:
        return name, Vocabulary(adopt(model, int(size)), 0)
    try:
        return name, Vocabulary(model, 0)
    except BadInput:  # it has no marks of ours
        return name, Vocabulary(adopt(model), 0)


def _say(line: str) -> None:
    print(f"tokenizer: {line}", file=sys.stderr, flush=True)


def _told(run: "Run") -> None:
    _say(
        f"{run.tokenizer}, equal {run.equal}, seed {run.seed}: {run.bits['all']:.4f} bits a byte "
        f"after {run.steps:,} steps, {run.bytes:,} bytes, {run.seconds:.0f} s"
    )
