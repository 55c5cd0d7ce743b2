"""Small models: three that references are kept of, and any number that hypothesis makes up."""

import dataclasses

from hypothesis import strategies as st
from prompts import Film, Picture, Row, Sound, Text

from tejat.model.audio import AudioConfig
from tejat.model.decoder import DecoderConfig
from tejat.model.multimodal import ModelConfig
from tejat.model.vision import VisionConfig

VISION = VisionConfig(width=16, layers=2, heads=2, head_width=8, mlp=24, patch=4, pool=3, table=32)
AUDIO = AudioConfig(width=16, layers=2, heads=2, channels=(8, 4), mels=8, chunk=4, left=5, output=12)

TEXT = ModelConfig(
    name="text",
    decoder=DecoderConfig(
        vocabulary=60, width=32, layers=3, heads=4, key_heads=2, head_width=16, mlp=40, window=6, soft_cap=4.0
    ),
    vision=None,
    audio=None,
    picture=None,
    text_vocabulary=60,
)
"""Grouped queries, one head width, a soft cap, a window shorter than the prompt."""

PLAIN = dataclasses.replace(
    TEXT,
    name="plain",
    decoder=DecoderConfig(
        vocabulary=60,
        width=32,
        layers=2,
        heads=4,
        head_width=16,
        full_head_width=32,
        mlp=40,
        window=8,
        bidirectional_images=True,
    ),
    vision=VISION,
    audio=AUDIO,
)
"""One key head, wider heads on the full layer, images seen as a whole."""

EVERYTHING = dataclasses.replace(
    PLAIN,
    name="everything",
    decoder=dataclasses.replace(
        PLAIN.decoder,
        layers=6,
        period=2,
        key_heads=2,
        full_key_heads=1,
        keys_are_values=True,
        shared_key_layers=2,
        shared_mlp_factor=2,
        per_layer_width=8,
        per_layer_vocabulary=60,
        bidirectional_images=False,
        soft_cap=5.0,
        position_scale=2.0,
    ),
    vision=dataclasses.replace(VISION, clipped=True, standardize=True),
    audio=dataclasses.replace(AUDIO, clipped=True, right=2),
)
"""All else that open checkpoints use, experts apart; everything causal."""

MIXED: tuple[Row, ...] = (
    (Text(9), Picture(2, 3), Text(2), Picture(4, 1), Sound(37)),
    (Sound(20), Sound(64), Film(3, 2, 2), Text(3)),
)
REFERENCES: dict[str, tuple[ModelConfig, tuple[Row, ...], bool]] = {
    "text": (TEXT, ((Text(24),), (Text(11),)), False),
    "plain": (PLAIN, MIXED, False),
    "everything": (EVERYTHING, MIXED, True),
}
"""Of each: the model, the prompt's rows, whether padding stands on the left."""


@st.composite
def models(draw: st.DrawFn) -> ModelConfig:
    """Any small model that a checkpoint can hold.

    No norm is over fewer than eight numbers: where their root mean square comes near nought, rounding is magnified.
    """
    heads, layers = draw(st.sampled_from([2, 4])), draw(st.integers(1, 7))
    divisors = st.sampled_from([n for n in (1, 2, 4) if heads % n == 0])
    types = (*draw(st.lists(st.sampled_from(["sliding", "full"]), min_size=layers - 1, max_size=layers - 1)), "full")
    sharing = [n for n in range(layers) if not n or set(types[: layers - n]) == set(types)]
    shared = draw(st.sampled_from(sharing))
    width, per_layer = draw(st.sampled_from([24, 32, 40])), draw(st.sampled_from([0, 8]))
    decoder = DecoderConfig(
        vocabulary=draw(st.integers(20, 60)),
        width=width,
        layers=layers,
        heads=heads,
        mlp=draw(st.integers(8, 40)),
        head_width=draw(st.sampled_from([8, 16, 24])),
        key_heads=draw(divisors),
        full_head_width=draw(st.sampled_from([None, 8, 16, 32])),
        full_key_heads=draw(st.none() | divisors),
        window=draw(st.integers(1, 12)),
        pattern=types,
        sliding_base=draw(st.sampled_from([100.0, 10_000.0])),
        full_base=draw(st.sampled_from([1_000.0, 1_000_000.0])),
        full_rotated=draw(st.sampled_from([0.25, 0.5, 1.0])),
        position_scale=draw(st.sampled_from([1.0, 8.0])),
        soft_cap=draw(st.none() | st.floats(1.0, 30.0)),
        bidirectional_images=draw(st.booleans()),
        shared_key_layers=shared,
        shared_mlp_factor=draw(st.sampled_from([1, 2])) if shared else 1,
        keys_are_values=draw(st.booleans()),
        per_layer_width=per_layer,
        per_layer_vocabulary=draw(st.just(0)) if not per_layer else 60,
        epsilon=draw(st.sampled_from([1e-6, 1e-5])),
    )
    vision = VisionConfig(
        width=draw(st.sampled_from([16, 24])),
        layers=draw(st.integers(1, 2)),
        heads=draw(st.sampled_from([1, 2])),
        head_width=draw(st.sampled_from([8, 12])),
        mlp=draw(st.integers(8, 40)),
        patch=draw(st.sampled_from([2, 4])),
        pool=draw(st.integers(2, 3)),  # of a pool of one, their class keeps the padding and drops the image
        table=draw(st.sampled_from([12, 32])),
        rope_base=draw(st.sampled_from([10.0, 100.0])),
        clipped=draw(st.booleans()),
        standardize=draw(st.booleans()),
    )
    channels = draw(st.sampled_from([4, 8])), draw(st.integers(1, 4))
    sound = AudioConfig(
        width=draw(st.sampled_from([16, 24])),
        layers=draw(st.integers(1, 2)),
        heads=draw(st.sampled_from([1, 2])),
        channels=channels,
        mels=channels[0],
        kernel=draw(st.integers(1, 5)),
        chunk=draw(st.integers(2, 6)),
        left=draw(st.integers(2, 8)),
        right=draw(st.integers(0, 3)),
        score_cap=draw(st.sampled_from([2.0, 50.0])),
        residual=draw(st.sampled_from([0.5, 1.0])),
        output=draw(st.sampled_from([8, 12])),
        clipped=draw(st.booleans()),
    )
    return ModelConfig(
        name="made up",
        decoder=decoder,
        vision=draw(st.none() | st.just(vision)),
        audio=draw(st.none() | st.just(sound)),
        picture=None,
        text_vocabulary=decoder.vocabulary,
    )


@st.composite
def rows(draw: st.DrawFn, config: ModelConfig) -> tuple[Row, ...]:
    """One to three rows of whatever the model takes."""
    side = st.integers(1, 4)
    parts = [st.builds(Text, st.integers(1, 20))]
    if config.vision:
        parts += [st.builds(Picture, side, side), st.builds(Film, st.integers(1, 3), side, side)]
    if config.audio:
        parts.append(st.builds(Sound, st.integers(1, 70)))
    row = st.lists(st.one_of(parts), min_size=1, max_size=4).map(tuple)
    return tuple(draw(st.lists(row, min_size=1, max_size=3)))
