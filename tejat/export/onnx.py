"""A model as networks that ONNX Runtime runs: the decoder, both towers and the image tokenizer, from our own arrays.

What the files are, `infer.onnx_files` tells. Weights keep the grid that they are on: of a model from `tejat quantize`
the very codes and scales; of any other, 32 bits.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from tejat import bundle
from tejat.bundle import Bundle
from tejat.errors import BadInput
from tejat.export.appearing import appearing
from tejat.infer import onnx_files
from tejat.infer.engines import source_hash
from tejat.model.params import walk
from tejat.model.quantised import Quantised

Told = Callable[[str], None]


def export(model: Path, folder: Path, told: Told = lambda name: None, cache_bits: int = 32) -> dict[str, int]:
    """Writes a model's export, whole or not at all; the bytes of each file. `told` is called before each network.
    `cache_bits`: of the keys and values that the decoder keeps, 32 or 8.

    Raises BadInput for a damaged model, for one with parts that have no operators, for a `folder` that holds something,
    and where the `onnx` package is missing.
    """
    return write(bundle.load(model, in_blocks=True), folder, told, source_hash(model), cache_bits=cache_bits)


def write(
    made: Bundle,
    folder: Path,
    told: Told = lambda name: None,
    source: str | None = None,
    unpacked: bool = False,
    cache_bits: int = 32,
) -> dict[str, int]:
    """`export` of a bundle in memory, whose weights may be `Quantised`; `source` is the hash of its files.

    `unpacked`: for an engine that has no kernels for weights in blocks (`Graph.unpack`).
    """
    try:
        import onnx
    except ImportError as error:
        raise BadInput("the ONNX export needs the onnx package; `pip install onnx`") from error
    with appearing(folder) as fresh:
        for name, graph in _networks(made, cache_bits):
            told(name)
            network = graph()
            if unpacked:
                network.unpack()
            network.save(fresh / f"{name}.onnx")
        bundle.write_config(fresh / "config.json", made.config)
        (fresh / "tokenizer.model").write_bytes(made.vocabulary.model)
        about = {"name": made.config.name, "weights": stored(made), "cache": f"{cache_bits} bits", "source": source}
        about["onnx"] = onnx.__version__
        onnx_files.write_manifest(fresh, about)
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def stored(made: Bundle) -> str:
    """How the decoder's matrices are kept, in words."""
    bits = {leaf.bits for _, leaf in walk(made.params["decoder"]["blocks"]) if isinstance(leaf, Quantised)}
    return f"{min(bits)} bits" if bits else "32 bits"


def _networks(made: Bundle, cache_bits: int) -> Iterator[tuple[str, Callable]]:
    """(the name of a file, what makes its graph): one at a time, so that no two are in memory."""
    from tejat.export import onnx_audio, onnx_decoder, onnx_vision

    params, config, width = made.params, made.config, made.config.decoder.width
    yield "decoder", lambda: onnx_decoder.decoder(params["decoder"], config.decoder, config.context, cache_bits)
    if (sight := config.vision) is not None:
        yield "vision", lambda: onnx_vision.vision(params["vision"], sight, width)
    if (hearing := config.audio) is not None:
        yield "audio", lambda: onnx_audio.audio(params["audio"], hearing, width)
    if (tokenizer := made.pictures) is not None:
        yield "picture_encoder", lambda: onnx_vision.picture_encoder(tokenizer.params, tokenizer.config)
        yield "picture_decoder", lambda: onnx_vision.picture_decoder(tokenizer.params, tokenizer.config)
