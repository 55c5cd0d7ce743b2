"""What a model weighs and costs, from its Param tree alone: nothing is allocated and no device is touched."""

from dataclasses import dataclass

from tejat.model import decoder, experts, multimodal, picture
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Param, count, walk

BF16 = 2
"""Bytes of a number."""


@dataclass(frozen=True)
class Parts:
    """How many numbers each part of a model holds. Those of the decoder and the text embedding are its "parameters"."""

    decoder: int  # blocks, norms, and the rows of the tied embedding that stand for text
    codes: int  # the rows that stand for picture codes
    vision: int
    audio: int
    picture: int  # the image tokenizer

    @property
    def whole(self) -> int:
        return self.decoder + self.codes + self.vision + self.audio + self.picture


def parts(config: ModelConfig) -> Parts:
    tree = multimodal.params(config)
    codes = (config.decoder.vocabulary - config.text_vocabulary) * config.decoder.width
    return Parts(
        decoder=count(tree["decoder"]) - codes,
        codes=codes,
        vision=count(tree.get("vision", {})),
        audio=count(tree.get("audio", {})),
        picture=count(picture.params(config.picture)) if config.picture else 0,
    )


def active(config: DecoderConfig) -> int:
    """How many numbers of the decoder one token meets: all of them, but of the experts only those that answer."""
    return sum(_met(config, param) for _, param in walk(decoder.params(config)))


def _met(config: DecoderConfig, param: Param) -> int:
    if config.experts and experts.is_of_an_expert(param):
        return param.size // config.experts.count * config.experts.used
    return param.size


def cache_bytes(config: DecoderConfig, positions: int = 32_768) -> int:
    """Keys and values of one sequence in bfloat16: a sliding layer's ring holds its window, a sharing one nothing."""
    total = 0
    for kind in config.kinds:
        if not kind.shares:
            key_heads, width = decoder.head_shape(config, kind.attention)
            slots = min(positions, config.window) if kind.attention == "sliding" else positions
            total += 2 * slots * key_heads * width * BF16
    return total


def training_flops(config: ModelConfig, length: int | None = None) -> float:
    """Floating-point operations to train on one token of text, in documents of `length` (default: the context).

    Six for every weight that multiplies: one product and one sum forward, twice that backward. The tied embedding
    counts once, for the scores, over text and codes alike; looking its rows up is free. Of experts, those that answer
    count. Attention adds 12 H N for each
    key that a query sees: queries by keys and weights by values, forward and backward. The keys are those of the mask,
    averaged over the document: half of it under causality, the window on sliding layers. Recomputation is not counted.
    """
    length = length or config.context
    shape = config.decoder
    weights = sum(_met(shape, p) for name, p in walk(decoder.params(shape)) if multiplies(name, p))
    return 6 * weights + attention_flops(shape, length)


def attention_flops(config: DecoderConfig, length: int, of: str | None = None) -> float:
    """The part of `training_flops` that is attention's; `of` one type of it, "sliding" or "full"."""
    total = 0.0
    for kind in (kind for kind in config.kinds if of in (None, kind.attention)):
        _, width = decoder.head_shape(config, kind.attention)
        total += 12 * config.heads * width * mean_keys(length, config.window if kind.attention == "sliding" else length)
    return total


def multiplies(name: str, param: Param) -> bool:
    """Is this weight one factor of a matrix product? Norms and scalars are not, nor a table that is only looked up."""
    return param.init == "normal" or name == "embedding"


def mean_keys(length: int, window: int) -> float:
    """The mean over t = 1 .. length of min(t, window): the keys that a causal query sees."""
    window = min(window, length)
    return (window * (window + 1) / 2 + (length - window) * window) / length


def weight_bytes(config: ModelConfig, bits: int) -> int:
    """The decoder with its text embedding: matrices at `bits` a number, norms and scalars in bfloat16.

    Scales of quantisation groups come on top: they belong to a format, not to a size.
    """
    counted = parts(config)
    leaves = [param for _, param in walk(decoder.params(config.decoder))]
    matrices = sum(param.size for param in leaves if param.init in ("normal", "embedding")) - counted.codes
    return matrices * bits // 8 + (counted.decoder - matrices) * BF16
