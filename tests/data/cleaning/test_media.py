"""Pictures and sounds: damaged, absurd and empty ones go; copies are known again, other things are not."""

import io

import numpy as np
import pytest
from PIL import Image as pillow
from PIL import ImageDraw

from tejat import sample
from tejat.data.cleaning.pictures import HELD_OUT, NearPictures, Pictures, perceptual_hash
from tejat.data.cleaning.sounds import Sounds
from tejat.data.shards import Item
from tejat.parts import Audio, Document, Image, Text, to_wav


def encoded(picture: pillow.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def drawn(picture: pillow.Image) -> pillow.Image:
    ground = pillow.new("RGB", picture.size, (255, 255, 255))
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground


@pytest.fixture(scope="module")
def drawings() -> list[pillow.Image]:
    """Fifty things in one style, on white."""
    return [drawn(sample.picture("noto", concept.id)) for concept in sample.concepts()[:150:3]]


def item(name: str, **blobs: bytes) -> Item:
    return Item("drawing", {"name": name, "language": "en"}, blobs)


def test_good_pictures_stay(drawings):
    step = Pictures()
    records = [item(str(k), webp=encoded(each, "WEBP")) for k, each in enumerate(drawings)]
    assert list(step(records)) == records and step.report.counts == (len(records), 0)


def grey(width: int, height: int, noise: bool = True) -> pillow.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3)) if noise else np.full((height, width, 3), 99)
    return pillow.fromarray(values.astype(np.uint8))


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (encoded(grey(64, 64), "PNG")[:200], "a picture that cannot be read"),
        (b"\x89PNG\r\n\x1a\nnothing", "a picture that cannot be read"),
        (encoded(grey(420, 20), "PNG"), "a picture of absurd shape"),
        (encoded(grey(7, 9), "PNG"), "a picture too small to see"),
        (encoded(grey(64, 64, noise=False), "JPEG"), "a picture that shows nothing"),
        (encoded(pillow.new("RGB", (64, 64), (200, 30, 30)), "PNG"), "a picture that shows nothing"),
        (encoded(pillow.new("RGBA", (64, 64), (200, 30, 30, 0)), "WEBP"), "a picture that shows nothing"),
    ],
)
def test_bad_pictures_go_and_an_item_with_another_medium_stays(blob, reason):
    step, good = Pictures(), encoded(grey(64, 64), "PNG")
    out = list(step([item("bad", png=blob), item("both", png=blob, other=good)], "here"))
    assert out == [item("both", other=good)]
    assert step.report.dropped[reason] == {("here", "en"): 1}
    assert step.report.changed[f"{reason}, taken out"] == {("here", "en"): 1}


def test_what_white_hides_is_seen_on_grey():
    step, near, ground = Pictures(), NearPictures(), pillow.new("RGBA", (64, 64), (0, 0, 0, 0))
    bolt, ball = ground.copy(), ground.copy()
    ImageDraw.Draw(bolt).polygon([(30, 2), (8, 38), (28, 36), (20, 62), (54, 22), (34, 24)], (255, 255, 255, 255))
    ImageDraw.Draw(ball).ellipse([4, 4, 60, 60], (255, 255, 255, 255))
    records = [item("bolt", png=encoded(bolt, "PNG")), item("ball", png=encoded(ball, "PNG"))]
    assert list(near(step(records))) == records


def test_a_document_goes_with_its_picture():
    flat = Document.of([Image(np.zeros((30, 30, 3), np.uint8)), Text("black")])
    assert list(Pictures()([flat])) == []


def test_an_animation_may_begin_with_nothing():
    frames = [grey(32, 32, noise=False), grey(32, 32)]
    moving = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert len(list(Pictures()([item("moves", webp=moving)]))) == 1


def test_vector_drawings_are_looked_at():
    pytest.importorskip("resvg_py")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="%d"/></svg>'
    step = Pictures()
    assert list(step([item("dot", svg=svg % 3), item("none", svg=svg % 0), item("bad", svg=b"<svg")])) == [
        item("dot", svg=svg % 3)
    ]


def test_different_things_are_not_taken_for_each_other(drawings):
    step = NearPictures()
    records = [item(str(k), png=encoded(each, "PNG")) for k, each in enumerate(drawings)]
    assert list(step(records)) == records


@pytest.mark.parametrize(
    "copy",
    [
        lambda p: encoded(p, "JPEG", quality=70),
        lambda p: encoded(p, "WEBP", quality=60),
        lambda p: encoded(p.resize((60, 60)), "PNG"),
        lambda p: encoded(p.resize((200, 200), pillow.Resampling.BICUBIC), "PNG"),
        lambda p: encoded(p.point(lambda v: min(255, int(v * 1.06))), "PNG"),
    ],
    ids=["jpeg", "webp", "smaller", "larger", "brighter"],
)
def test_copies_are_known_again(drawings, copy):
    step = NearPictures()
    step.remember([item(str(k), png=encoded(each, "PNG")) for k, each in enumerate(drawings)], heldout=True)
    left = list(step([item(str(k), picture=copy(each)) for k, each in enumerate(drawings)]))
    assert len(left) <= 0.06 * len(drawings)
    assert step.report.dropped[f"nearly the same, {HELD_OUT}"].total() == len(drawings) - len(left)


def test_a_picture_beside_a_sound_goes_only_for_one_that_is_held_out(drawings):
    """What is said of a thing keeps its drawing, though another record shows it too."""
    first, second = (encoded(each, "PNG") for each in drawings[:2])
    opus = b"OggS" + b"\0" * 60
    step = NearPictures()
    step.heldout = True
    assert list(step([item("kept from training", png=first), item("twin", png=first)])) == [
        item("kept from training", png=first)
    ]
    assert list(step([item("said", webp=first, opus=opus)])) == [item("said", webp=first, opus=opus)]
    step.heldout = False
    assert list(step([item("trained on", png=second)])) == [item("trained on", png=second)]
    said = [item("one", webp=first, opus=opus), item("other", webp=second, opus=opus)]
    assert list(step(said)) == [item("one", opus=opus), said[1]]
    assert step.report.changed[f"nearly the same, {HELD_OUT}, taken out"].total() == 1
    assert step.report.dropped["nearly the same"].total() == 1


def test_styles_of_one_item_may_be_alike(drawings):
    blob = encoded(drawings[0], "PNG")
    record = item("two", a=blob, b=blob)
    step = NearPictures()
    assert list(step([record])) == [record] and list(step([record])) == []


def test_a_hash_does_not_depend_on_brightness_alone():
    values = np.random.default_rng(0).integers(60, 160, (40, 40, 3)).astype(np.uint8)
    assert perceptual_hash(Image(values)) == perceptual_hash(Image(values + np.uint8(40)))


def tone(seconds: float, loud: float) -> Audio:
    return Audio((loud * np.sin(np.arange(int(16_000 * seconds)))).astype(np.float32))


def test_silent_empty_and_damaged_sounds_go():
    step = Sounds()
    good = [
        item("tone", ogg=sample.speech(sample.voices()[0], sample.spoken()[0])),
        item("quiet", wav=to_wav(tone(0.3, 0.02))),
        Document.of([tone(0.3, 0.5), Text("a tone")]),
        item("no sound", png=b"\x89PNG"),
    ]
    bad = [
        item("silent", wav=to_wav(tone(0.3, 0.001))),
        item("short", wav=to_wav(tone(0.01, 0.5))),
        item("empty", wav=to_wav(tone(0.3, 0.5))[:60]),
        item("damaged", ogg=b"OggS\0" + bytes(80)),
        Document.of([tone(0.3, 0.001), Text("silence")]),
    ]
    assert list(step([*good, *bad])) == good
    assert {reason: found.total() for reason, found in step.report.dropped.items()} == {
        "silence": 2,
        "a sound that lasts no time": 1,
        "a sound that cannot be read or is empty": 2,
    }
