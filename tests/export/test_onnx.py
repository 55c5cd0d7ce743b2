"""The ONNX export against JAX, on prompts several windows long, with controls that must differ; and what is refused."""

import dataclasses
import json

import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.model import multimodal
from tejat.model.params import unflatten, walk
from tejat.model.picture import PictureConfig

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from gates import by_jax, by_onnx  # noqa: E402

from tejat.export import onnx as exporting  # noqa: E402
from tejat.export import onnx_decoder, onnx_graph, onnx_vision, quantize  # noqa: E402
from tejat.infer import onnx_files, onnx_model  # noqa: E402

LENGTH = 200  # more than four windows of 48


@pytest.fixture(scope="module")
def drawn_apart(tiny):
    """`tiny` with norms and scalars that all count: as it is drawn, they are ones."""
    random = np.random.default_rng(3)

    def moved(name: str, leaf):
        counts = name.endswith(("norm", "scalar"))
        return np.asarray(leaf * random.uniform(0.7, 1.4, np.shape(leaf)) if counts else leaf, np.float32)

    params = unflatten({name: moved(name, leaf) for name, leaf in walk(tiny.params)})
    config = dataclasses.replace(tiny.config.decoder, soft_cap=30.0)
    return dataclasses.replace(tiny, params=params, config=dataclasses.replace(tiny.config, decoder=config))


@pytest.fixture(scope="module")
def tokens(tiny):
    return np.random.default_rng(0).integers(4, tiny.config.decoder.vocabulary, (1, LENGTH), np.int32)


@pytest.fixture(scope="module")
def expected(drawn_apart, tokens) -> np.ndarray:
    return np.asarray(by_jax(drawn_apart.params, drawn_apart.config, tokens))


def written(bundle, folder, **fields):
    """The decoder's file, of a configuration with other fields."""
    graph = onnx_decoder.decoder(bundle.params["decoder"], changed(bundle, **fields).config.decoder, LENGTH)
    graph.save(folder / "decoder.onnx")
    return folder / "decoder.onnx"


def changed(bundle, **fields):
    config = dataclasses.replace(bundle.config.decoder, **fields)
    return dataclasses.replace(bundle, config=dataclasses.replace(bundle.config, decoder=config))


@pytest.mark.parametrize("parts", [1, 7])
def test_scores_are_those_of_jax(drawn_apart, tokens, expected, tmp_path, parts) -> None:
    """The gate is 0.02; float32 keeps far below it."""
    found = by_onnx(written(drawn_apart, tmp_path), drawn_apart.config.decoder, tokens, parts)
    assert np.abs(found - expected).max() < 1e-3


def test_full_layers_with_heads_of_512_and_more_of_them(tiny, drawn, tokens, tmp_path) -> None:
    model = changed(tiny, full_head_width=512, full_key_heads=2)
    model = dataclasses.replace(model, params=drawn(multimodal.params(model.config), 2))
    found = by_onnx(written(model, tmp_path), model.config.decoder, tokens, 3)
    due = np.asarray(by_jax(model.params, model.config, tokens))
    assert np.abs(due).max() > 1 and np.abs(found - due).max() < 1e-3


@pytest.mark.parametrize(("reach", "near"), [(onnx_decoder.REACH, True), (1.0, False), (200.0, False)])
def test_a_cache_in_eight_bits(drawn_apart, tokens, expected, tmp_path, monkeypatch, reach, near) -> None:
    """Rounded to 127 steps, 1.1% of a number's deviation, scores hardly move; cut, or coarser, they do."""
    monkeypatch.setattr(onnx_decoder, "REACH", reach)
    config = drawn_apart.config.decoder
    onnx_decoder.decoder(drawn_apart.params["decoder"], config, LENGTH, cache_bits=8).save(tmp_path / "decoder.onnx")
    moved = by_onnx(tmp_path / "decoder.onnx", config, tokens, 7, np.int8) - expected
    assert (np.sqrt(np.square(moved).mean()) < 0.03 * expected.std()) == near


@pytest.mark.parametrize(
    "wrong",
    [{"window": 47}, {"sliding_base": 12_000.0}, {"full_base": 100_000.0}, {"full_rotated": 0.5}, {"soft_cap": 50.0}],
)
def test_a_wrong_network_is_seen(drawn_apart, tokens, expected, tmp_path, wrong) -> None:
    found = by_onnx(written(drawn_apart, tmp_path, **wrong), drawn_apart.config.decoder, tokens)
    assert np.abs(found - expected).max() > 0.02


@pytest.mark.parametrize("name", ["q_norm", "k_norm", "post_attention_norm", "mlp_norm", "post_mlp_norm", "scalar"])
def test_a_norm_left_out_is_seen(drawn_apart, tokens, expected, tmp_path, name) -> None:
    mine = drawn_apart.params["decoder"]
    blocks = {kind: block | {name: np.ones_like(block[name])} for kind, block in mine["blocks"].items()}
    wrong = dataclasses.replace(drawn_apart, params={"decoder": mine | {"blocks": blocks}})
    found = by_onnx(written(wrong, tmp_path), drawn_apart.config.decoder, tokens)
    assert np.abs(found - expected).max() > 0.02


@pytest.fixture(scope="module", params=[8, 4], ids=["table in 8 bits", "table in 4, as mini's"])
def quantised(drawn_apart, request):
    return quantize.quantize(drawn_apart, quantize.Plan(embedding=request.param, method="nearest"))


def test_the_grid_is_the_one_of_the_operators(quantised, tokens, tmp_path) -> None:
    """With activations left whole, products over blocks are those of the numbers that the blocks stand for."""
    path = written(quantised, tmp_path)
    model, levels = onnx.load(path), set()
    for attribute in (attribute for node in model.graph.node for attribute in node.attribute):
        if attribute.name == "accuracy_level":
            levels.add(attribute.i)
            attribute.i = 1
    assert levels == {4}
    onnx.save(model, path)
    whole = quantize.whole(quantised)
    expected = np.asarray(by_jax(whole.params, whole.config, tokens))
    assert np.abs(by_onnx(path, quantised.config.decoder, tokens) - expected).max() < 1e-3


@pytest.fixture
def exported(tiny, tmp_path):
    folder = tmp_path / "export"
    exporting.write(tiny, folder)
    return folder


def test_large_weights_lie_beside_their_network(drawn_apart, tokens, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(onnx_graph, "LARGEST", 1_000)
    path = written(drawn_apart, tmp_path)
    assert path.stat().st_size < 0.2 * (tmp_path / "decoder.onnx.data").stat().st_size
    assert np.abs(by_onnx(path, drawn_apart.config.decoder, tokens) - expected).max() < 1e-3


def test_a_quantised_model_takes_a_fraction(quantised, exported, tmp_path) -> None:
    files = exporting.write(quantised, tmp_path / "q4")
    assert files["decoder.onnx"] < 0.35 * (exported / "decoder.onnx").stat().st_size
    assert onnx_files.check(tmp_path / "q4")["weights"] == "4 bits"


def test_damage_is_told(exported) -> None:
    whole = (exported / "vision.onnx").read_bytes()
    (exported / "vision.onnx").write_bytes(whole[:-10])
    with pytest.raises(BadInput, match="vision.onnx has .* bytes where"):
        onnx_model.OnnxModel(exported)
    (exported / "vision.onnx").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BadInput, match="its hash differs"):
        onnx_model.OnnxModel(exported)
    (exported / "vision.onnx").unlink()
    with pytest.raises(BadInput, match="vision.onnx is missing"):
        onnx_model.OnnxModel(exported)
    (exported / onnx_files.MANIFEST).write_text("{}")
    with pytest.raises(BadInput, match="cannot be read"):
        onnx_model.OnnxModel(exported)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda node: setattr(node, "op_type", "AttentionOfTomorrow"), "lacks the operator AttentionOfTomorrow"),
        (
            lambda node: node.attribute.append(onnx.helper.make_attribute("of_tomorrow", 8)),
            "lacks a part of an operator",
        ),
    ],
)
def test_an_operator_that_is_not_there_is_named(exported, change, told) -> None:
    model = onnx.load(exported / "decoder.onnx")
    change(next(node for node in model.graph.node if node.op_type == "GroupQueryAttention"))
    onnx.save(model, exported / "decoder.onnx")
    manifest = json.loads((exported / onnx_files.MANIFEST).read_text())
    onnx_files.write_manifest(exported, {"name": manifest["name"]})
    with pytest.raises(BadInput, match=told):
        onnx_model.OnnxModel(exported)


def test_a_runtime_that_sees_too_much_is_told(exported, monkeypatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.23.2")
    with pytest.raises(BadInput, match="1.23.2 attends to one token too many"):
        onnx_model.OnnxModel(exported)


def test_too_little_memory_is_told(exported, monkeypatch) -> None:
    monkeypatch.setattr(onnx_model.memory, "free", lambda: 1_000)
    with pytest.raises(BadInput, match="are free; close other programs"):
        onnx_model.OnnxModel(exported)


def test_what_has_no_operators_is_refused(tiny, tmp_path) -> None:
    for fields, told in (({"keys_are_values": True}, "keys that are values"), ({"per_layer_width": 8}, "per-layer")):
        with pytest.raises(BadInput, match=told):
            exporting.write(changed(tiny, **fields), tmp_path / "no")
    assert not (tmp_path / "no").exists() and not list(tmp_path.iterdir())


def test_a_learned_codebook_of_pictures_is_refused() -> None:
    shape = dict(width=8, encoder_layers=1, decoder_layers=1, heads=1, head_width=8, mlp=8, patch=2, levels=(8, 8))
    for write in (onnx_vision.picture_encoder, onnx_vision.picture_decoder):
        with pytest.raises(BadInput, match="learned vectors"):
            write({}, PictureConfig(**shape, vectors=4))
