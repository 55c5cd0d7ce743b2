"""A model on the grid: what is written is what computes, scales that are fitted cost less, damage is told."""

import json

import numpy as np
import pytest

from tejat import bundle
from tejat.cli import quantize as command
from tejat.errors import BadInput
from tejat.export import quantize
from tejat.export.quantize import Plan
from tejat.model.params import walk
from tejat.model.quantised import Quantised
from tejat.parts import Document, Text

WORDS = "the star and the lion see a twin over the sea "


@pytest.fixture(scope="module")
def documents(micro):
    """Of one length, so that one program serves them all."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.permutation(WORDS.split())) for _ in range(12)]
    return [micro.framing.encode(Document.of([Text(text)])) for text in texts]


def test_what_is_written_is_what_computes(micro, tmp_path):
    made = quantize.quantize(micro, Plan(method="nearest"))
    bundle.save(tmp_path / "q4", made, "float16")
    whole, read = dict(walk(quantize.whole(made).params)), dict(walk(bundle.load(tmp_path / "q4").params))
    assert whole.keys() == read.keys()
    kept = dict(walk(made.params))
    for name, array in whole.items():
        close = 0 if isinstance(kept[name], Quantised) else 1e-3  # the rest has 16 bits
        np.testing.assert_allclose(read[name], array, rtol=close, err_msg=name)
    assert kept["decoder.embedding"].bits == 8 and kept["decoder.blocks.full.gate"].bits == 4
    files = sum(path.stat().st_size for path in (tmp_path / "q4").glob("*.safetensors"))
    assert quantize.size(made) < files < 1.1 * quantize.size(made) + 40_000  # and the files' heads


def test_fitted_scales_cost_less_than_nearest_ones(micro, documents):
    nearest, fitted = (
        quantize.cost(micro, quantize.whole(quantize.quantize(micro, Plan(method=m), documents[:6])), documents[6:])
        for m in ("nearest", "fitted")
    )
    assert 0 < fitted.divergence < nearest.divergence
    assert nearest.bits == fitted.bits and nearest.targets == fitted.targets > 50


@pytest.mark.slow
def test_eight_bits_cost_nearly_nothing(micro, documents):
    made = quantize.whole(quantize.quantize(micro, Plan(bits=8, method="nearest")))
    found = quantize.cost(micro, made, documents[6:])
    assert found.divergence < 1e-3 and found.agreement > 0.95


def test_fitting_without_documents_is_refused(micro):
    with pytest.raises(BadInput, match="needs documents"):
        quantize.quantize(micro, Plan())


def test_weights_without_their_scales_are_told(micro, tmp_path):
    from safetensors.numpy import load_file, save_file

    bundle.save(tmp_path, quantize.quantize(micro, Plan(method="nearest")), "float16")
    path = tmp_path / "model.safetensors"
    arrays = load_file(path)
    save_file({n: a for n, a in arrays.items() if n != "decoder.embedding.scale"}, path)
    with pytest.raises(BadInput, match=r"decoder\.embedding\.q8 and no decoder\.embedding\.scale"):
        bundle.load(tmp_path)
    save_file(arrays | {"decoder.embedding.q8": arrays["decoder.embedding.q8"][:-1]}, path)
    with pytest.raises(BadInput, match=r"decoder\.embedding of shape"):
        bundle.load(tmp_path)


def test_how_far_it_is_is_told(micro, documents):
    said: list[tuple[str, int, int]] = []
    made = quantize.quantize(micro, Plan(), documents[:3], lambda *line: said.append(line))
    quantize.cost(micro, quantize.whole(made), documents[6:8], lambda *line: said.append(line))
    for what, of in (("documents whose loss is weighed", 3), ("documents measured on", 2)):
        assert [(done, all_) for name, done, all_ in said if name == what] == [(n, of) for n in range(1, of + 1)]
    arrays = [(done, of) for name, done, of in said if name == "arrays"]
    assert arrays[0][0] == 1 and arrays[-1][0] == arrays[-1][1]


def test_the_command_writes_a_model_and_tells_its_cost(micro, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "SECONDS", 0.0)
    bundle.save(tmp_path / "model", micro)
    lines = [json.dumps({"text": WORDS + str(n % 10)}) for n in range(4)]
    (tmp_path / "few.jsonl").write_text("\n".join(lines))
    words = [str(tmp_path / "model"), str(tmp_path / "out"), "--documents", str(tmp_path / "few.jsonl"), "--json"]
    assert command.main([*words, "--method", "nearest"]) == 0
    out, err = capsys.readouterr()
    assert "documents measured on: 2 of 2" in err
    found = json.loads(out)
    assert found["bytes"] < 0.6 * found["bytes_before"] and found["targets"] > 0
    assert bundle.load(tmp_path / "out").config == micro.config
    with pytest.raises(BadInput, match="is there already"):
        command.main(words)
