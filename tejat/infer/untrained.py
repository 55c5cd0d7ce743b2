"""A size of the family as it is before training: for measurements, since noise takes as long to write as sense does."""

import numpy as np

from tejat import sample
from tejat.bundle import Bundle
from tejat.codecs import vocabulary
from tejat.codecs.picture import PictureCodec
from tejat.model import family, multimodal, picture
from tejat.model.params import Param, Tree, map_params


def untrained(size: str, seed: int = 0) -> Bundle:
    """Random weights of a size, with a tokenizer of the bundled sample. Raises BadInput for a size that is none.

    Attention and MLPs count for more than in a new model, so that answers are various: else the likeliest token is
    always the one before.
    """
    config = family.preset(size)
    params = _drawn(multimodal.params(config), seed)
    for block in params["decoder"]["blocks"].values():
        for name in ("post_attention_norm", "post_mlp_norm"):
            block[name] = block[name] * 2
    pieces = vocabulary.Vocabulary(_tokenizer(config.text_vocabulary), config.picture.codes if config.picture else 0)
    draws = PictureCodec(_drawn(picture.params(config.picture), seed + 1), config.picture) if config.picture else None
    return Bundle(config, pieces, params, draws)


def _drawn(tree: Tree, seed: int) -> Tree:
    """By NumPy: to compile a draw for every shape takes longer than to serve."""
    random = np.random.default_rng(seed)

    def draw(param: Param) -> np.ndarray:
        if isinstance(param.init, float):
            return np.full(param.shape, param.init, np.float32)
        return random.standard_normal(param.shape, np.float32) / np.float32(max(param.fan_in, 1) ** 0.5)

    return map_params(draw, tree)


def _tokenizer(pieces: int) -> bytes:
    lines = [line for language in sample.languages() for line in sample.prose(language).splitlines()]
    random = np.random.default_rng(0)
    if pieces > 4_000:  # more than the sample alone has: words that nobody says give the rest
        syllables = [
            "".join(random.choice([*letters]) for letters in ("bcdfghklmnprstvz", "aeiou", "nrslt")) for _ in range(400)
        ]
        for _ in range(4_000):
            words = ("".join(random.choice(syllables, random.integers(1, 4))) for _ in range(12))
            lines.append(" ".join(words))
    return vocabulary.train(lines, pieces, coverage=0.98, kind="unigram" if pieces <= 4_000 else "bpe")
