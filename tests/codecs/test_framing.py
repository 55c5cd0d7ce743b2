"""Framing: what is written can be read back, every soft token has its place, loss is only where it was asked for."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.codecs.audio import soft_count
from tejat.codecs.framing import Encoded, Framing, Modality, clock
from tejat.codecs.image import Patches
from tejat.codecs.vocabulary import BOS, EOS, LARGEST_SIDE
from tejat.errors import BadInput
from tejat.model import family
from tejat.parts import Audio, Document, Image, Text, Turn, Video

MARKS = {"<|image>": "<image|>", "<|audio>": "<audio|>", "<|video>": "<video|>", "<|picture>": "<picture|>"}
MARKS |= {"<|turn>": "<turn|>"}


class Transparent:
    """A picture codec of one code per pixel, so that a picture's codes can be read off what comes back."""

    @staticmethod
    def encode(pixels):
        return pixels[..., 0] + 256 * (pixels[..., 1].astype(np.int32) % 2)

    @staticmethod
    def decode(codes):
        return np.stack([codes % 256, codes // 256, 0 * codes], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def framing(micro_vocabulary) -> Framing:
    return Framing(family.preset("micro"), micro_vocabulary, Transparent)


side = st.integers(1, 6)


@st.composite
def images(draw):
    height, width, seed = draw(side), draw(side), draw(st.integers(0, 9))
    codes = np.random.default_rng(seed).integers(0, 512, (height, width))
    return Image(Transparent.decode(codes))


texts = st.builds(Text, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
audios = st.builds(lambda n: Audio(np.zeros(n, np.float32)), st.integers(1, 30_000))


@st.composite
def videos(draw):
    times = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=3)))
    frames = np.zeros((len(times), draw(side), draw(side), 3), np.uint8)
    return Video(frames, tuple(t / 10 for t in times), draw(st.none() | audios))


@st.composite
def documents(draw):
    parts = draw(st.lists(texts | images() | audios | videos(), max_size=5))
    loss = draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    roles = st.sampled_from(["system", "user", "model"]) if draw(st.booleans()) else st.none()
    return Document(tuple(parts), tuple(loss), tuple(draw(roles) for _ in parts))


quick = settings(max_examples=80, deadline=None)


@quick
@given(document=documents())
def test_every_soft_token_points_to_a_place_of_its_own(framing, document):
    encoded = framing.encode(document)
    places = {framing.vocabulary[name] for name in ("<|image|>", "<|audio|>")}
    assert [int(t) in places for t in encoded.tokens] == (encoded.item >= 0).tolist()
    pointed = Counter(
        zip(encoded.item[encoded.item >= 0].tolist(), encoded.soft[encoded.item >= 0].tolist(), strict=True)
    )
    counts = [m.count if isinstance(m, Patches) else soft_count(len(m)) for m in encoded.media]
    assert pointed == Counter((item, slot) for item, count in enumerate(counts) for slot in range(count))


@quick
@given(document=documents())
def test_marks_are_balanced(framing, document):
    closing = {framing.vocabulary[a]: framing.vocabulary[b] for a, b in MARKS.items()}
    waiting: list[int] = []
    for token in framing.encode(document).tokens.tolist():
        if token in closing:
            waiting.append(closing[token])
        elif token in closing.values():
            assert token == waiting.pop()
    assert waiting == []


@quick
@given(document=documents())
def test_loss_is_only_where_it_was_asked_for(framing, document):
    encoded = framing.encode(document)
    assert not encoded.loss[0] and encoded.tokens[0] == BOS
    assert set(encoded.modality[encoded.loss].tolist()) <= {Modality.TEXT, Modality.PICTURE}
    if not any(document.loss):
        assert not encoded.loss.any()
    wanted = [p.text for p, flag in zip(document.parts, document.loss, strict=True) if flag and isinstance(p, Text)]
    due = encoded.tokens[encoded.loss & (encoded.modality == Modality.TEXT)]
    assert framing.vocabulary.decode(due) == "".join(wanted)
    drawn = [
        p.pixels.shape[0] * (p.pixels.shape[1] + 1) + 4
        for p, flag, role in zip(document.parts, document.loss, document.roles, strict=True)
        if flag and isinstance(p, Image) and role in (None, "model")
    ]
    assert (encoded.loss & (encoded.modality == Modality.PICTURE)).sum() == sum(drawn)


@quick
@given(document=documents())
def test_blocks_are_the_images_seen(framing, document):
    encoded = framing.encode(document)
    for number in range(1, encoded.blocks.max() + 1):
        at = np.flatnonzero(encoded.blocks == number)
        assert (np.diff(at) == 1).all() and len(set(encoded.item[at].tolist())) == 1
        assert isinstance(encoded.media[encoded.item[at[0]]], Patches)
    seen = sum(isinstance(m, Patches) for m in encoded.media)
    assert set(encoded.blocks.tolist()) - {0} == set(range(1, seen + 1))


def merged(parts):
    """Neighbouring texts as one, empty ones left out: what a reader can tell apart."""
    found = []
    for part in parts:
        if isinstance(part, Text) and found and isinstance(found[-1], Text):
            found[-1] = Text(found[-1].text + part.text)
        else:
            found.append(part)
    return tuple(part for part in found if part != Text(""))


@quick
@given(parts=st.lists(texts | images(), max_size=5))
def test_what_a_model_writes_comes_back(framing, parts):
    encoded = framing.encode(Document.of(parts))
    assert framing.decode(encoded.tokens.tolist()) == merged([p for p in parts if p != Text("")])
    assert framing.decode(encoded.tokens) == framing.decode(encoded.tokens.tolist())


def test_a_picture_cut_short_is_completed_and_what_follows_is_kept(framing):
    codes = np.arange(12).reshape(3, 4)
    tokens = framing.codes(codes)
    assert tokens[0] == framing.vocabulary["<|picture>"] and len(tokens) == 3 + 3 * 5 + 1
    (image,) = framing.decode(tokens[:10])  # six codes and a row's end
    assert image == Image(Transparent.decode(np.asarray([0, 1, 2, 3, 4, 5, *[0] * 6]).reshape(3, 4)))
    image, text = framing.decode([*tokens[:10], *framing.vocabulary.encode(" and more")])
    assert text == Text(" and more") and image.pixels.shape == (3, 4, 3)
    first, second = framing.decode([*tokens[:10], *tokens])
    assert first == image and second == Image(Transparent.decode(codes))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_tokens_are_read_without_an_error(framing, data):
    """A model that no constraint holds may write anything."""
    vocabulary = framing.vocabulary
    picture = st.builds(
        lambda h, w, codes: [vocabulary["<|picture>"], h, w, *codes],
        st.integers(0, vocabulary.size - 1) | st.integers(1, LARGEST_SIDE).map(vocabulary.size_id),
        st.integers(0, vocabulary.size - 1) | st.integers(1, LARGEST_SIDE).map(vocabulary.size_id),
        st.lists(st.integers(vocabulary.text_size, vocabulary.size - 1), max_size=9),
    )
    anything = st.lists(st.integers(0, vocabulary.size - 1), max_size=6)
    tokens = sum(data.draw(st.lists(picture | anything, max_size=4)), [])
    table = family.preset("micro").picture.table
    for part in framing.decode(tokens):
        assert isinstance(part, Text) or max(part.pixels.shape[:2]) <= table


def shown(framing, encoded: Encoded) -> list[str]:
    """Control tokens by name, with how often they come in a row, and text."""
    names = {token: name for name, token in framing.vocabulary.controls.items()}
    found: list[tuple[str, int]] = []
    for token in encoded.tokens.tolist():
        name = names.get(token) or framing.vocabulary.decode([token]) or {BOS: "<bos>", EOS: "<eos>"}[token]
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + 1)
        else:
            found.append((name, 1))
    return [name if count == 1 else f"{name} x {count}" for name, count in found]


def test_a_video_is_told_in_the_order_of_time(framing):
    film = Video(np.zeros((2, 8, 8, 3), np.uint8), (0.0, 0.44), Audio(np.zeros(12_800, np.float32)))
    encoded = framing.encode(Document.of([film], loss=False))
    image = ["<|image>", "<|image|> x 4", "<image|>"]
    heard = [["<|audio>", f"<|audio|> x {count}", "<audio|>"] for count in (11, 9)]
    assert shown(framing, encoded) == [
        *("<bos>", "<|video>", "0", ".", "0", *image, *heard[0], "0", ".", "4", *image, *heard[1], "<video|>", "<eos>")
    ]


@st.composite
def films(draw):
    """Frames at any hundredths of a second, and a sound that may end before the last of them or after, or be none."""
    times = sorted(draw(st.sets(st.integers(0, 900), min_size=1, max_size=6)))
    sound = draw(st.none() | st.integers(1, 900).map(lambda n: Audio(np.zeros(160 * n, np.float32))))
    return Video(np.zeros((len(times), 8, 8, 3), np.uint8), tuple(t / 100 for t in times), sound)


@quick
@given(film=films(), raw=st.booleans())
def test_frames_and_sound_are_told_as_they_happen(framing, film, raw):
    """Before each frame stands its time, and before that all the sound of its past that was not told yet, in order."""
    if raw:
        audio = dataclasses.replace(framing.config.audio, front_end="raw")
        config = dataclasses.replace(framing.config, audio=audio)
        framing = Framing(config, framing.vocabulary, Transparent)
    encoded, vocabulary = framing.encode(Document.of([film], loss=False)), framing.vocabulary
    samples = 0 if film.audio is None else len(film.audio.samples)
    # Of 640 samples each; log-mel frames of 160 are none of them partial, so that the last sample may fall away.
    whole = -(-samples // 640) if raw or not samples else -(-max(1, (samples - 1) // 160) // 4)
    tokens, heard, frames, words = encoded.tokens.tolist(), [], 0, []
    marks = {vocabulary[name] for name in MARKS} | {vocabulary[name] for name in MARKS.values()} | {BOS, EOS}
    for at, token in enumerate(tokens):
        if token == vocabulary["<|audio|>"]:
            heard.append((encoded.item[at], encoded.soft[at]))
        elif token == vocabulary["<|image>"]:
            time = film.times[frames]
            assert vocabulary.decode(words) == clock(time)
            assert len(heard) == min(whole, int(time * 25 + 1e-6))
            frames, words = frames + 1, []
        elif token not in marks and token != vocabulary["<|image|>"]:
            words.append(token)
    assert frames == len(film.times) and words == []
    sounds = [n for n, medium in enumerate(encoded.media) if not isinstance(medium, Patches)]
    stride = framing.config.audio.stride
    assert heard == [(n, i) for n in sounds for i in range(soft_count(len(encoded.media[n]), stride))]
    assert len(heard) == whole


@pytest.mark.parametrize("hundredths", range(0, 400, 4))
def test_a_frame_comes_after_all_that_was_heard_before_it(framing, hundredths):
    """Every 0.04 s is the end of a soft token, whatever floats make of it."""
    film = Video(np.zeros((1, 8, 8, 3), np.uint8), (hundredths / 100,), Audio(np.zeros(80_000, np.float32)))
    tokens = framing.encode(Document.of([film], loss=False)).tokens.tolist()
    before = tokens[: tokens.index(framing.vocabulary["<|image>"])]
    assert before.count(framing.vocabulary["<|audio|>"]) == hundredths // 4


def test_a_dialogue_and_its_prompt(framing):
    turns = [Turn("user", (Text("Hi"),)), Turn("model", (Text("Yo"),))]
    encoded = framing.encode(Document.from_turns(turns))
    text = "".join(shown(framing, encoded))
    assert text == "<bos><|turn>user\nHi<turn|>\n<|turn>model\nYo<turn|>\n"
    due = encoded.tokens[encoded.loss].tolist()
    assert due == [*framing.vocabulary.encode("Yo"), framing.vocabulary["<turn|>"]]
    prompt = framing.prompt(turns[:1])
    assert "".join(shown(framing, prompt)) == "<bos><|turn>user\nHi<turn|>\n<|turn>model\n"
    np.testing.assert_array_equal(prompt.tokens, encoded.tokens[: len(prompt)])
    assert not prompt.loss.any()


def test_a_beginning_has_no_end(framing):
    assert shown(framing, framing.beginning([Text("7")])) == ["<bos>", "7"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0.0"), (0.04, "0.0"), (0.05, "0.1"), (9.96, "10.0"), (59.94, "59.9"), (59.96, "1:00.0")]
    + [(62.5, "1:02.5"), (3_661.24, "61:01.2")],
)
def test_clock(seconds, told):
    assert clock(seconds) == told


@pytest.mark.parametrize(
    ("part", "lacks", "words"),
    [
        (Image(np.zeros((8, 8, 3), np.uint8)), "vision", "'micro' sees no images"),
        (Audio(np.zeros(400, np.float32)), "audio", "'micro' hears no sound"),
        (Audio(np.zeros(400, np.float32), 8_000), None, "must come at 16000 Hz, not 8000"),
    ],
)
def test_what_a_model_lacks_is_refused(framing, part, lacks, words):
    config = dataclasses.replace(framing.config, **{lacks: None}) if lacks else framing.config
    with pytest.raises(BadInput, match=words):
        Framing(config, framing.vocabulary, Transparent).beginning([part])


def test_a_model_without_a_picture_tokenizer_draws_nothing(framing):
    mute = Framing(framing.config, framing.vocabulary, None)
    with pytest.raises(BadInput, match="draws no pictures"):
        mute.encode(Document.of([Image(np.zeros((8, 8, 3), np.uint8))]))


def test_a_tokenizer_larger_than_the_embedding_is_refused(framing):
    config = dataclasses.replace(framing.config, decoder=dataclasses.replace(framing.config.decoder, vocabulary=99))
    with pytest.raises(BadInput, match="2560 ids and the model 'micro' only 99"):
        Framing(config, framing.vocabulary, None)
