"""The GGUF file: read back by the `gguf` package, and run by llama.cpp against JAX on prompts several windows long."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image as pillow

from tejat import cli, sample
from tejat.codecs import vocabulary
from tejat.errors import BadInput
from tejat.infer import constraints
from tejat.infer.constraints import Asked, Rule, State
from tejat.model.params import unflatten, walk
from tejat.parts import Text, Turn, to_png

gguf = pytest.importorskip("gguf")
gates = pytest.importorskip("gates")  # which needs ONNX, too

from tejat.export import gguf as exporting  # noqa: E402
from tejat.export import quantize  # noqa: E402

LENGTH = 200  # more than four windows of 48


@pytest.fixture(scope="module")
def moved(tiny):
    """`tiny` with norms and scalars that all count, and a tokenizer by byte-pair merges, as `mini` has."""
    random = np.random.default_rng(3)

    def leaf(name: str, array):
        counts = name.endswith(("norm", "scalar"))
        return np.asarray(array * random.uniform(0.7, 1.4, np.shape(array)) if counts else array, np.float32)

    lines = [line for language in sample.languages() for line in sample.prose(language).splitlines()]
    pieces = vocabulary.train(lines, tiny.config.text_vocabulary, coverage=0.98, kind="bpe")
    params = unflatten({name: leaf(name, array) for name, array in walk(tiny.params)})
    return dataclasses.replace(tiny, params=params, vocabulary=vocabulary.Vocabulary(pieces, tiny.vocabulary.codes))


@pytest.fixture(scope="module", params=[8, 4], ids=["table in 8 bits", "table in 4, as mini's"])
def quantised(moved, request):
    return quantize.quantize(moved, quantize.Plan(embedding=request.param, method="nearest"))


def read(path) -> dict[str, np.ndarray]:
    """Every tensor as the package itself makes numbers of it."""
    tensors = gguf.GGUFReader(path).tensors
    return {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in tensors}


def test_blocks_are_those_of_the_format(moved, quantised, tmp_path) -> None:
    """To the bit: what the package reads is what our own grid stands for."""
    done = exporting.write(quantised, tmp_path / "q4.gguf")
    assert done.type == "Q4_0" and done.bytes == (tmp_path / "q4.gguf").stat().st_size
    found, whole = read(tmp_path / "q4.gguf"), quantize.whole(quantised).params["decoder"]
    width = moved.config.decoder.width
    np.testing.assert_array_equal(found["token_embd.weight"], whole["embedding"])
    for n, kind in enumerate(moved.config.decoder.kinds):  # a layer of each
        block = {name: leaf[0] for name, leaf in whole["blocks"][kind.name].items()}
        np.testing.assert_array_equal(found[f"blk.{n}.attn_q.weight"], block["q"].reshape(width, -1).T)
        np.testing.assert_array_equal(found[f"blk.{n}.attn_output.weight"], block["o"].reshape(-1, width).T)
        np.testing.assert_array_equal(found[f"blk.{n}.ffn_down.weight"], block["down"].T)
        np.testing.assert_array_equal(found[f"blk.{n}.attn_q_norm.weight"], block["q_norm"])
        np.testing.assert_array_equal(found[f"blk.{n}.layer_output_scale.weight"], [block["scalar"]])


def test_a_file_that_was_changed_is_told(tiny_q4, tmp_path, capsys) -> None:
    file, changed = tmp_path / "whole.gguf", tmp_path / "changed.gguf"
    exporting.write(tiny_q4, file)
    words, whole = ["export", "gguf", "mini", str(changed), "--check"], file.read_bytes()

    def told(data: bytes) -> str:
        changed.write_bytes(data)
        assert cli.main(words) == 2
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.count("\n") == 1
        return printed.err

    changed.write_bytes(whole)
    assert cli.main(words) == 0 and "changed.gguf has" in capsys.readouterr().out
    for at in (
        len(whole) - 1,
        len(whole) // 2,
        whole.index(b"gemma4.context_length"),
        whole.index(b"tejat.sha256") + 30,
    ):
        other = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        assert "is not the file that was exported (its hash differs); copy or export it again" in told(other)
    assert "its hash differs" in told(whole[:-32]) and "its hash differs" in told(whole + b"0")
    assert "tells its hash" in told(whole[:100]) and "tells its hash" in told(b"no GGUF" + whole)
    changed.unlink()
    assert cli.main(words) == 2 and "cannot be read (No such file" in capsys.readouterr().err


@pytest.mark.parametrize(("type", "off"), [("F32", 0.0), ("F16", 2e-3), ("Q8_0", 0.02), ("Q4_0", 0.3)])
def test_each_type_holds_the_numbers(moved, tmp_path, type, off) -> None:
    exporting.write(moved, tmp_path / "model.gguf", type)
    found = read(tmp_path / "model.gguf")["blk.0.ffn_up.weight"]
    kind = moved.config.decoder.kinds[0].name
    up = moved.params["decoder"]["blocks"][kind]["up"][0].T
    assert np.abs(found - up).max() <= off * np.abs(up).max()


def test_the_header_says_what_the_network_is(moved, tmp_path) -> None:
    exporting.write(moved, tmp_path / "model.gguf", "F32")
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    config = moved.config.decoder

    def of(name: str):
        return fields[name].contents()

    assert of("general.architecture") == "gemma4"
    assert of("gemma4.attention.sliding_window") == config.window
    assert of("gemma4.attention.sliding_window_pattern") == [True, False]
    assert of("gemma4.final_logit_softcapping") == 0.0
    names = of("tokenizer.ggml.tokens")
    assert len(names) == config.vocabulary and names[-1] == f"<|code{moved.vocabulary.codes - 1}|>"
    assert of("tokenizer.ggml.eot_token_id") == moved.vocabulary["<turn|>"]


def test_what_cannot_be_written_is_told(moved, tiny, tmp_path) -> None:
    (tmp_path / "there.gguf").write_bytes(b"something")
    with pytest.raises(BadInput, match="is there already"):
        exporting.export(tmp_path, tmp_path / "there.gguf")
    config = dataclasses.replace(moved.config.decoder, shared_key_layers=1)
    shared = dataclasses.replace(moved, config=dataclasses.replace(moved.config, decoder=config))
    with pytest.raises(BadInput, match="keys shared between layers"):
        exporting.write(shared, tmp_path / "no.gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.gguf"]
    told = exporting.write(tiny, tmp_path / "unigram.gguf", "F16").left_out
    for word in ("unigram", "tower for images", "tower for sound", "image tokenizer"):
        assert any(word in line for line in told), word


@pytest.fixture(scope="module")
def tokens(moved):
    ids = np.random.default_rng(0).integers(4, moved.config.decoder.vocabulary, (1, LENGTH), np.int32)
    ids[0, 0] = 2
    return ids


@pytest.fixture(scope="module")
def expected(moved, tokens) -> np.ndarray:
    return by_jax(moved, tokens)


def by_jax(model, tokens) -> np.ndarray:
    return np.asarray(gates.by_jax(model.params, model.config, tokens))


def by_llama(path, tokens) -> np.ndarray:
    pytest.importorskip("llama_cpp")
    return gates.by_llama(path, tokens)


@pytest.mark.oracle
def test_llama_cpp_says_what_jax_says(moved, tokens, expected, tmp_path) -> None:
    """llama.cpp looks its GELU up in a table of 16-bit numbers, which is most of what is left."""
    exporting.write(moved, tmp_path / "model.gguf", "F32")
    assert np.abs(by_llama(tmp_path / "model.gguf", tokens) - expected).max() < 0.02


@pytest.mark.oracle
def test_sixteen_bits_cost_little(moved, tokens, expected, tmp_path) -> None:
    exporting.write(moved, tmp_path / "model.gguf", "F16")
    off = by_llama(tmp_path / "model.gguf", tokens) - expected
    assert np.sqrt((off**2).mean()) < 0.005


@pytest.mark.oracle
def test_blocks_are_read_as_they_are(quantised, tokens, tmp_path) -> None:
    """Activations have eight bits there: near what JAX makes of the same blocks, nearer than of others."""
    exporting.write(quantised, tmp_path / "model.gguf")
    off = np.abs(by_llama(tmp_path / "model.gguf", tokens) - by_jax(quantize.whole(quantised), tokens))
    assert np.sqrt((off**2).mean()) < 0.03


@pytest.mark.oracle
@pytest.mark.parametrize(
    "wrong",
    [{"window": 47}, {"sliding_base": 12_000.0}, {"full_base": 100_000.0}, {"full_rotated": 0.5}, {"soft_cap": 30.0}],
)
def test_a_wrong_network_is_seen(moved, tokens, expected, tmp_path, wrong) -> None:
    config = dataclasses.replace(moved.config.decoder, **wrong)
    other = dataclasses.replace(moved, config=dataclasses.replace(moved.config, decoder=config))
    exporting.write(other, tmp_path / "model.gguf", "F32")
    assert np.abs(by_llama(tmp_path / "model.gguf", tokens) - expected).max() > 0.02


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["q_norm", "k_norm", "post_attention_norm", "mlp_norm", "post_mlp_norm", "scalar"])
def test_a_norm_left_out_is_seen(moved, tokens, expected, tmp_path, name) -> None:
    mine = moved.params["decoder"]
    blocks = {kind: block | {name: np.ones_like(block[name])} for kind, block in mine["blocks"].items()}
    wrong = dataclasses.replace(moved, params={"decoder": mine | {"blocks": blocks}})
    exporting.write(wrong, tmp_path / "model.gguf", "F32")
    assert np.abs(by_llama(tmp_path / "model.gguf", tokens) - expected).max() > 0.02


@pytest.mark.oracle
def test_llama_cpp_draws(moved, quantised, tmp_path) -> None:
    """Its scores, our rule of pictures, our decoder, a PNG; of whole weights each code is one that JAX likes best."""
    llama = pytest.importorskip("llama_cpp")
    rule, size = Rule.of(moved.vocabulary, moved.config.picture), moved.config.decoder.vocabulary
    asked = Asked(np.asarray([True]), np.asarray([3]), np.asarray([4]))
    begun = [*moved.framing.prompt([Turn("user", (Text("Draw: a star."),))]).tokens.tolist(), rule.picture_begin]

    def may(ids) -> np.ndarray:
        """What the rule lets come after these."""
        state = State(*np.zeros((3, 1), np.int32))
        for token in ids[len(begun) - 1 :]:
            state = constraints.advance(rule, state, np.asarray([token], np.int32))
        return constraints.allowed(rule, state, asked, np.asarray([99]), size)[0]

    for bundle, type in ((moved, "F32"), (quantised, "Q4_0")):
        exporting.write(bundle, tmp_path / type, type)
        model = llama.Llama(str(tmp_path / type), n_ctx=256, n_threads=1, verbose=False, type_k=0, type_v=0)
        only = llama.LogitsProcessorList([lambda ids, scores: np.where(may(ids), scores, -np.inf).astype(np.float32)])
        ids = list(begun)
        for token in model.generate(begun, temp=0.0, repeat_penalty=1.0, logits_processor=only):
            ids.append(token)
            if token == rule.picture_end:
                break
        model.close()
        (picture,) = moved.framing.decode(ids[len(begun) - 1 :])
        patch = moved.config.picture.patch
        assert pillow.open(io.BytesIO(to_png(picture))).size == (4 * patch, 3 * patch)
        if bundle is moved:
            scores = by_jax(moved, np.asarray([ids + [0] * (LENGTH - len(ids))], np.int32))
            for at in range(len(begun), len(ids)):
                mine = scores[at - 1]
                assert mine[may(ids[:at])].max() - mine[ids[at]] < 0.02
            assert len(set(ids[len(begun) :])) > 6


@pytest.mark.oracle
def test_llama_cpp_cuts_text_as_we_do(moved, tmp_path) -> None:
    """Every line of the sample, and what is in no line of it; and back again. U+2581 itself is a space there."""
    llama = pytest.importorskip("llama_cpp")
    exporting.write(moved, tmp_path / "model.gguf", "F16")
    model = llama.Llama(str(tmp_path / "model.gguf"), vocab_only=True, verbose=False)
    lines = [line for language in sample.languages() for line in sample.prose(language).splitlines()[:30]]
    for text in (*lines, "  two  spaces", "漢字 é 🎉\n\tz", "<|turn>user", "1,234.5"):
        ids = moved.vocabulary.encode(text)
        assert model.tokenize(text.encode(), add_bos=False, special=False) == ids
        assert model.detokenize(ids).decode() == text
