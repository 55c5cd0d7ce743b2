"""The user's own job, as docs/TUNE.md has it: their pictures and words, another's checkpoint, back to other engines.

200 lines of JSON → an imported Gemma 4 → LoRA → `tejat eval` → the same answers here, in transformers and in llama.cpp.
"""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image as pillow

import tejat
from tejat.cli import eval as evaluating
from tejat.cli import export as exporting
from tejat.cli import import_ as importing
from tejat.cli import tune
from tejat.codecs.image import Patches
from tejat.export import huggingface
from tejat.parts import Image, Text, Turn

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

LINES, STEPS = 200, 120
COLOURS = {"red": (220, 30, 40), "green": (40, 170, 60), "blue": (40, 80, 220), "white": (250, 250, 250)}
SAYINGS = {"ping": "pong", "knock knock": "who is there?", "marco": "polo", "tick": "tock"}
RECIPE = """
from pathlib import Path
from tejat.posttrain.lora import Lora
from tejat.posttrain.recipe import Supervised
from tejat.train.optimizer import Schedule

RECIPE = Supervised(
    name="own", model=Path("model"), schedule=Schedule(steps={steps}, peak=2e-2, warmup=10), rows=4, tokens=256,
    lora=Lora(rank=16, alpha=32.0, parts=("decoder.blocks", "vision")),
)
"""


def square(colour: tuple[int, int, int], seed: int) -> bytes:
    pixels = np.clip(np.random.default_rng(seed).normal(colour, 6, (32, 32, 3)), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    pillow.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def lines(count: int, seed: int = 0) -> str:
    """Half of them show a square and ask for its colour; the others are something that is said, and its answer."""
    made = []
    for n in range(count):
        if n % 2:
            asked, answer = list(SAYINGS.items())[n // 2 % len(SAYINGS)]
            parts = [{"text": asked}, {"text": answer}]
        else:
            name, colour = list(COLOURS.items())[n // 2 % len(COLOURS)]
            data = base64.b64encode(square(colour, seed + n)).decode()
            parts = [{"image": {"data": data}}, {"text": "colour?"}, {"text": name}]
        roles = ["user"] * (len(parts) - 1) + ["model"]
        made.append(json.dumps({"parts": parts, "roles": roles}))
    return "\n".join(made) + "\n"


@pytest.fixture(scope="module")
def tuned(saved, tmp_path_factory):
    """The folder of the whole job: checkpoint, imported, run/model, exported."""
    folder = tmp_path_factory.mktemp("job")
    huggingface.export(saved["float32"], folder / "checkpoint")  # someone else's
    assert importing.main(["huggingface", str(folder / "checkpoint"), str(folder / "imported")]) == 0
    (folder / "mine.jsonl").write_text(lines(LINES))
    (folder / "others.jsonl").write_text(lines(16, seed=1_000))
    (folder / "recipe.py").write_text(RECIPE.format(steps=STEPS))
    given = {"model": folder / "imported", "data": folder / "mine.jsonl", "heldout": folder / "others.jsonl"}
    settings = [word for name, path in given.items() for word in ("--set", f"{name}={path}")]
    assert tune.main(["supervised", str(folder / "recipe.py"), "--out", str(folder / "run"), *settings]) == 0
    return folder


@pytest.fixture(scope="module")
def model(tuned):
    return tejat.load(tuned / "run" / "model")


def test_it_has_learnt_what_it_was_shown(tuned, model):
    report = json.loads((tuned / "run" / "report.json").read_text())
    assert report["heldout_loss"] < report["heldout_loss_before"] / 10, report
    said = {asked: model.answer(asked, temperature=0.0, max_tokens=12).text for asked in SAYINGS}
    assert sum(said[asked] == answer for asked, answer in SAYINGS.items()) >= 3, said


def test_it_is_measured(tuned, capsys):
    out = tuned / "eval"
    words = ["--suite", "sample", "--tasks", "fact", "--limit", "4", "--out", str(out)]
    assert evaluating.main([str(tuned / "run" / "model"), *words]) == 0
    assert json.loads((out / "results.json").read_text())["tasks"][0]["n"] == 4


def prompts() -> list[tuple]:
    shown = [Image(np.asarray(pillow.open(io.BytesIO(square(colour, 77))))) for colour in COLOURS.values()]
    return [*((Text(asked),) for asked in SAYINGS), *((picture, Text("colour?")) for picture in shown)]


def ours(model, parts) -> list[int]:
    return model.answer([Turn("user", parts)], temperature=0.0, max_tokens=10).tokens.tolist()


def test_transformers_answers_alike(tuned, model):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    words = ["huggingface", str(tuned / "run" / "model"), str(tuned / "exported")]
    assert exporting.main(words) == 0
    network = transformers.AutoModelForImageTextToText.from_pretrained(tuned / "exported", dtype=torch.float32).eval()
    for parts in prompts():
        encoded = model.bundle.framing.prompt([Turn("user", parts)])
        ids, written = torch.tensor(np.asarray(encoded.tokens))[None].long(), []
        seen = [medium for medium in encoded.media if isinstance(medium, Patches)]
        media = {}
        if seen:
            media["pixel_values"] = torch.tensor(np.stack([m.patches for m in seen]))
            media["image_position_ids"] = torch.tensor(np.stack([m.positions for m in seen])).long()
        expected = ours(model, parts)
        for _ in expected:
            with torch.no_grad():
                scores = network(input_ids=ids, **media).logits[0, -1]
            written.append(int(scores[: model.bundle.config.text_vocabulary].argmax()))
            ids = torch.cat([ids, torch.tensor([[written[-1]]])], 1)
        assert written == expected, (parts[-1], written, expected)


def test_llama_cpp_answers_alike(tuned, model):
    llama = pytest.importorskip("llama_cpp")
    path = tuned / "model.gguf"
    assert exporting.main(["gguf", str(tuned / "run" / "model"), str(path), "--type", "F32"]) == 0
    network = llama.Llama(str(path), n_ctx=256, logits_all=True, n_threads=1, verbose=False, type_k=0, type_v=0)
    for parts in prompts()[: len(SAYINGS)]:  # of the decoder alone: a GGUF holds no tower here
        ids = model.bundle.framing.prompt([Turn("user", parts)]).tokens.tolist()
        expected, written = ours(model, parts), []
        network.reset()
        network.eval(ids)
        for _ in expected:
            scores = np.asarray(network.scores[network.n_tokens - 1])
            written.append(int(scores[: model.bundle.config.text_vocabulary].argmax()))
            network.eval(written[-1:])
        assert written == expected, (parts[-1], written, expected)
    network.close()
