"""A model as one GGUF file, for llama.cpp and what is built on it: the decoder, its tokenizer, and picture codes.

llama.cpp knows the network as "gemma4". Matrices are F32, F16, Q8_0 or Q4_0; of a model from `tejat quantize` the last
two are its very codes and scales. The table of text and codes has eight bits beside matrices of four, if it is not in
four itself. Picture codes are rows of the vocabulary like others, `<|code0|>` and so on: who reads an answer's ids
draws it by `tejat`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tejat import bundle
from tejat.bundle import Bundle
from tejat.codecs.vocabulary import BOS, EOS, PAD, UNK
from tejat.errors import BadInput
from tejat.export import gguf_hash, processor, tokenizer
from tejat.export.plain_decoder import check
from tejat.model import decoder, quantised
from tejat.model.decoder import DecoderConfig, head_shape
from tejat.model.params import walk
from tejat.model.quantised import BLOCK, Quantised

Type = Literal["F32", "F16", "Q8_0", "Q4_0"]

BITS = {"Q8_0": 8, "Q4_0": 4}

STILL = 1e30
"""What the frequency of a dimension that does not turn is divided by."""

NAMES = {
    "attention_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
    "o": "attn_output",
    "post_attention_norm": "post_attention_norm",
    "mlp_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "post_mlp_norm": "post_ffw_norm",
    "scalar": "layer_output_scale",
}


class Done(NamedTuple):
    """What was written, and in a sentence each what was not."""

    type: str
    tensors: int
    bytes: int
    left_out: list[str]


def export(model: Path, file: Path, type: Type | None = None) -> Done:
    """Writes the bundle `model` as one new file, whole or not at all.

    `type`: None is that of the model's blocks, or F16. Raises BadInput for a damaged model, for one that llama.cpp has
    no network for, for a `file` that is there, and where the `gguf` package is missing.
    """
    if file.exists():
        raise BadInput(f"{file} is there already; give a new file")
    return write(bundle.load(model, in_blocks=True), file, type)


def write(made: Bundle, file: Path, type: Type | None = None) -> Done:
    """`export` of a bundle in memory, whose weights may be `Quantised`."""
    try:
        import gguf
    except ImportError as error:
        raise BadInput("the GGUF export needs the gguf package; `pip install gguf`") from error
    config = made.config.decoder
    check(config, "GGUF")
    if config.position_scale != 1.0:
        raise BadInput("the model's positions are scaled on some layers only, which llama.cpp does not do")
    if any(inputs % BLOCK for inputs in (config.width, config.mlp, config.heads * config.head_width)):
        raise BadInput(f"the model has matrices whose inputs are no multiple of {BLOCK}, as GGUF's blocks want them")
    type = type or _usual(made)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        writer = gguf.GGUFWriter(part, "gemma4")
        gguf_hash.promise(writer)
        _describe(writer, made, gguf.LlamaFileType[{"F32": "ALL_F32"}.get(type, f"MOSTLY_{type}")])
        _write_tokenizer(writer, made)
        count = 0
        for name, array, kind in _tensors(made, type):
            writer.add_tensor(name, array, raw_dtype=gguf.GGMLQuantizationType[kind])
            count += 1
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        gguf_hash.seal(part)
        os.replace(part, file)
    except OSError as error:
        raise BadInput(f"{file} cannot be written ({error.strerror or error}); choose another place") from error
    finally:
        part.unlink(missing_ok=True)
    return Done(type, count, file.stat().st_size, _left_out(made))


def _usual(made: Bundle) -> Type:
    bits = {leaf.bits for _, leaf in walk(made.params["decoder"]["blocks"]) if isinstance(leaf, Quantised)}
    return "F16" if not bits else "Q4_0" if min(bits) == 4 else "Q8_0"


def _left_out(made: Bundle) -> list[str]:
    told = []
    spec = tokenizer.proto_of(made.vocabulary.model).trainer_spec
    if spec.model_type == spec.UNIGRAM:
        told.append(
            "the tokenizer is unigram, in which llama.cpp spells nothing in bytes: a character without a piece is <unk>"
        )
    if made.config.vision is not None:
        # With Gemma 4's projector comes that mask; the Gemmas that are causal it knows by their depth.
        told.append(
            "the tower for images is left out: llama.cpp lets the tokens of an image see each other both ways, and "
            "those of this model see what came before; `tejat export onnx` writes the whole model"
        )
    if made.config.audio is not None:
        told.append("the tower for sound is left out, which this version does not write for llama.cpp")
    if made.pictures is not None:
        told.append("the image tokenizer is left out: llama.cpp writes the codes of pictures, and Tejat draws them")
    return told


def _describe(writer: Any, made: Bundle, file_type: int) -> None:
    config = made.config.decoder
    (k_sliding, n_sliding), (k_full, n_full) = (head_shape(config, kind) for kind in ("sliding", "full"))
    sliding = [kind == "sliding" for kind in config.attention_types]
    writer.add_name(made.config.name)
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)
    writer.add_context_length(made.config.context)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.mlp)
    writer.add_head_count(config.heads)
    same = k_sliding == k_full
    writer.add_head_count_kv(k_full if same else [k_sliding if s else k_full for s in sliding])
    writer.add_layer_norm_rms_eps(config.epsilon)
    writer.add_sliding_window(config.window)
    writer.add_sliding_window_pattern(sliding)
    writer.add_shared_kv_layers(0)
    writer.add_embedding_length_per_layer_input(0)
    writer.add_key_length(n_full)
    writer.add_value_length(n_full)
    writer.add_key_length_swa(n_sliding)
    writer.add_value_length_swa(n_sliding)
    writer.add_rope_freq_base(config.full_base)
    writer.add_rope_freq_base_swa(config.sliding_base)
    writer.add_rope_dimension_count(n_full)
    writer.add_rope_dimension_count_swa(n_sliding)
    writer.add_final_logit_softcapping(config.soft_cap or 0.0)  # left out, it would be 30


def _write_tokenizer(writer: Any, made: Bundle) -> None:
    """SentencePiece's pieces and scores; what names a medium or a code is a control token, which no text gives.

    llama.cpp calls byte-pair merges "llama" and unigram "t5".
    """
    import gguf

    vocabulary, kinds = made.vocabulary, gguf.TokenType
    proto = tokenizer.proto_of(vocabulary.model)
    types = {"UNKNOWN": kinds.UNKNOWN, "CONTROL": kinds.CONTROL, "BYTE": kinds.BYTE, "USER_DEFINED": kinds.USER_DEFINED}
    names = [piece.piece for piece in proto.pieces]
    scores = [piece.score for piece in proto.pieces]
    told = [types.get(piece.Type.Name(piece.type), kinds.NORMAL) for piece in proto.pieces]
    more = made.config.decoder.vocabulary - len(names)
    names += [tokenizer.code_name(code) for code in range(vocabulary.codes)]
    names += [f"<|spare{n}|>" for n in range(more - vocabulary.codes)]
    scores, told = scores + [0.0] * more, told + [kinds.CONTROL] * more
    writer.add_tokenizer_model("t5" if proto.trainer_spec.model_type == proto.trainer_spec.UNIGRAM else "llama")
    writer.add_token_list(names)
    writer.add_token_scores(scores)
    writer.add_token_types(told)
    writer.add_add_space_prefix(False)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_eot_token_id(vocabulary["<turn|>"])
    writer.add_unk_token_id(UNK)
    writer.add_pad_token_id(PAD)
    writer.add_add_bos_token(True)
    writer.add_chat_template(processor.CHAT)


def _tensors(made: Bundle, type: Type) -> Iterator[tuple[str, np.ndarray, str]]:
    """(name, numbers or blocks, type), of every layer in turn."""
    config, params = made.config.decoder, made.params["decoder"]
    tree = dict(walk(decoder.params(config)))
    # A table that is in four bits already stays as it is; another loses more by them than a matrix does.
    in_four = isinstance(params["embedding"], Quantised) and params["embedding"].bits == 4
    table = "Q8_0" if type == "Q4_0" and not in_four else type
    yield "token_embd.weight", *_matrix(params["embedding"], quantised.Layout(0, 1, outputs_first=True), table)
    yield "output_norm.weight", np.asarray(params["final_norm"], np.float32), "F32"
    yield "rope_freqs.weight", _turning(config), "F32"
    used = dict.fromkeys(params["blocks"], 0)
    for n, kind in enumerate(config.kinds):
        at, used[kind.name] = used[kind.name], used[kind.name] + 1
        for ours, theirs in NAMES.items():
            leaf = params["blocks"][kind.name][ours]
            layout = quantised.layout(f"blocks.{kind.name}.{ours}", tree[f"blocks.{kind.name}.{ours}"])
            name = f"blk.{n}.{theirs}.weight"
            if layout is None:
                inputs = np.asarray(leaf[at], np.float32)
                yield name, inputs.reshape(-1) if inputs.ndim < 2 else inputs, "F32"
            else:
                yield name, *_matrix(_layer(leaf, at), layout._replace(stacked=0), type)


def _layer(leaf: Any, at: int) -> Any:
    if isinstance(leaf, Quantised):
        layout = leaf.layout._replace(stacked=0)
        return Quantised(leaf.codes[at], leaf.scales[at], leaf.bits, leaf.shape[1:], layout)
    return np.asarray(leaf[at], np.float32)


def _matrix(leaf: Any, layout: quantised.Layout, type: Type) -> tuple[np.ndarray, str]:
    """(outputs by inputs as the type has them, the type)."""
    if type in BITS:
        if not (isinstance(leaf, Quantised) and leaf.bits == BITS[type]):
            whole = leaf.array() if isinstance(leaf, Quantised) else leaf
            leaf = quantised.quantised(whole, layout, BITS[type])  # type: ignore[arg-type]
        return blocks(leaf), type
    whole = leaf.array() if isinstance(leaf, Quantised) else np.asarray(leaf)
    if not layout.outputs_first:
        inputs = int(np.prod(whole.shape[: layout.inputs]))
        whole = whole.reshape(inputs, -1).T
    return np.ascontiguousarray(whole, np.float32 if type == "F32" else np.float16), type


def blocks(leaf: Quantised) -> np.ndarray:
    """Bytes [O, n] as GGML has them: of each block its scale, then the codes: of four bits, 0 to 15 in lower halves of
    bytes, 16 to 31 in the upper ones."""
    outputs, inputs = leaf.codes.shape
    codes = leaf.codes.reshape(outputs, inputs // BLOCK, BLOCK)
    scales = np.ascontiguousarray(leaf.scales, "<f2").view(np.uint8).reshape(outputs, -1, 2)
    half = BLOCK // 2
    packed = codes[..., :half] | codes[..., half:] << 4 if leaf.bits == 4 else codes.view(np.uint8)
    return np.concatenate([scales, packed.astype(np.uint8)], axis=-1).reshape(outputs, -1)


def _turning(config: DecoderConfig) -> np.ndarray:
    """What llama.cpp divides the frequencies of full layers by: those past the share that turns stand still."""
    _, n = head_shape(config, "full")
    turning = int(config.full_rotated * n // 2)
    return np.asarray([1.0] * turning + [STILL] * (n // 2 - turning), np.float32)
