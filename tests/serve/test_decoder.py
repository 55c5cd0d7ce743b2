"""Decoders in processes of their own: what they give, what they may not take, and what their death leaves."""

import io
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from tejat.errors import BadInput
from tejat.parts import Audio, Image, Text, Video, to_png, to_wav
from tejat.serve.decoder import Bounds, Clip, Decoder, Medium

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(Bounds(pixels=10_000, seconds=5, frames=50, decoded=1_000_000, time=10))
    yield decoder
    decoder.close()


def film(count: int) -> bytes:
    out = io.BytesIO()
    frames = [pillow.new("RGB", (16, 12), (n * 9, 0, 0)) for n in range(count)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def test_parts_come_back_as_they_are(decoder, tmp_path) -> None:
    image, sound = Image(PIXELS), Audio(np.linspace(-1, 1, 8000, dtype=np.float32))
    assert decoder.decode(Medium(to_png(image), "image", "a")) == image
    assert decoder.decode(Medium(to_png(image), None, "a")) == image
    assert decoder.decode(Medium(to_wav(sound), "audio", "b")) == sound
    path = tmp_path / "c.wav"
    path.write_bytes(to_wav(sound))
    assert decoder.decode(Medium(path, None, "c")) == sound
    assert decoder.decode(Medium("Grüße".encode(), "text", "d")) == Text("Grüße")
    moving = decoder.decode(Medium(film(20), "video", "e", Clip(fps=2, start=0.5, end=1.5)))
    assert isinstance(moving, Video)
    assert moving.times == pytest.approx((0.0, 0.5)) and moving.frames.shape == (2, 12, 16, 3)


@pytest.mark.parametrize(
    ("data", "kind", "told"),
    [
        (b"", "image", "is empty"),
        (b"\x89PNG\r\n\x1a\nrubbish", "image", "cannot be read as an image"),
        (b"GIF89a\0\0", None, "cannot be read"),
        (b"\xff\1\2", "text", "no image, sound or video"),
        (to_png(Image(PIXELS)), "audio", "cannot be read as a sound"),
        (to_png(Image(PIXELS)), "text", "said to be text"),
        (to_png(Image(np.zeros((101, 100, 3), np.uint8))), "image", "100 x 101 pixels, more than 10,000"),
        (to_wav(Audio(np.zeros(6 * 16_000, np.float32))), "audio", "lasts 6 s, more than 5"),
    ],
)
def test_bad_files_are_one_sentence(decoder, data: bytes, kind, told: str) -> None:
    with pytest.raises(BadInput, match=told) as raised:
        decoder.decode(Medium(data, kind, "the picture"))
    assert str(raised.value).startswith("the picture ") and " at 0x" not in str(raised.value)


def test_a_message_tells_nothing_of_the_servers_disk(decoder, tmp_path) -> None:
    path = tmp_path / "secret" / "x.data"
    path.parent.mkdir()
    path.write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    for kind in ("image", "audio", "video", None):
        with pytest.raises(BadInput) as raised:
            decoder.decode(Medium(path, kind, "files/x"))
        assert "secret" not in str(raised.value)


def test_a_bomb_is_refused_before_it_is_unpacked(decoder) -> None:
    out = io.BytesIO()
    pillow.new("1", (9_000, 9_000)).save(out, "PNG")
    assert len(out.getvalue()) < 20_000
    with pytest.raises(BadInput, match="9000 x 9000 pixels"):
        decoder.decode(Medium(out.getvalue(), "image", "a"))


def test_too_much_memory_is_a_refusal() -> None:
    decoder = Decoder(Bounds(pixels=10**8, memory=300_000_000, decoded=10**9))
    out = io.BytesIO()
    pillow.new("RGB", (5_000, 5_000)).save(out, "PNG", compress_level=1)
    with pytest.raises(BadInput, match="a takes over 0.3 GB to decode"):
        decoder.decode(Medium(out.getvalue(), "image", "a"))
    assert decoder.decode(Medium(to_png(Image(PIXELS)), "image", "b")) == Image(PIXELS)
    decoder.close()


def test_too_long_is_a_refusal_and_ends_the_child(tmp_path) -> None:
    """A pipe that nobody writes to: the child waits in the kernel until its alarm."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    decoder = Decoder(Bounds(time=1))
    with pytest.raises(BadInput, match="cannot be decoded within 1 s"):
        decoder.decode(Medium(pipe, "image", "a"))
    nursery = decoder._nursery[0].pid
    children = Path(f"/proc/{nursery}/task/{nursery}/children")
    began = time.monotonic()
    while children.read_text():
        assert time.monotonic() - began < 30
        time.sleep(0.05)
    decoder.close()


def test_a_dead_nursery_is_replaced(decoder) -> None:
    decoder.decode(Medium(b"a", "text", "a"))
    process = decoder._nursery[0]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert decoder.decode(Medium(b"a", "text", "a")) == Text("a")
    assert decoder._nursery[0].pid != process.pid


def test_the_nursery_ends_with_its_owner_and_knows_no_secrets(monkeypatch) -> None:
    monkeypatch.setenv("TEJAT_SECRET", "key")
    decoder = Decoder()
    decoder.decode(Medium(b"a", "text", "a"))
    process = decoder._nursery[0]
    with open(f"/proc/{process.pid}/environ", "rb") as file:
        assert b"TEJAT_SECRET" not in file.read()
    decoder.close()
    assert process.returncode == 0
