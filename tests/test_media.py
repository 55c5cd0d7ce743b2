"""Media: what PyAV and Pillow write is read back; what is damaged, forged or too large is refused by name."""

import io
import struct
import zlib

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as pillow

from tejat import media
from tejat.errors import BadInput
from tejat.media import Limits, read, read_audio, read_image, read_video, write_png, write_wav
from tejat.parts import Audio, Image, Text, Video

quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
HEIGHT, WIDTH, RATE = 48, 64, 48_000


def movie(path, codec="libx264", sound="aac", seconds=4, fps=10, key=12, tone=440.0, form=None):
    """A white square that moves one pixel a frame, and a tone."""
    with av.open(str(path), "w", format=form) as container:
        video = container.add_stream(codec, rate=fps, options={"g": str(key)})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream(sound, rate=RATE, layout="stereo") if sound else None
        for index in range(seconds * fps):
            pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            left = index % (WIDTH - 8)
            pixels[20:28, left : left + 8] = 255
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
        if audio:
            wave = 0.5 * np.sin(2 * np.pi * tone * np.arange(seconds * RATE) / RATE).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
            frame.rate = RATE
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


def lefts(video):
    """The left edge of the square in each frame."""
    return [int(np.argmax(frame[22:26].mean(axis=(0, 2)) > 128)) for frame in video.frames]


def pitch(audio):
    return np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples)))).argmax() / audio.seconds


def saved(picture, form, **options):
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def noise():
    return pillow.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))


def forged_png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


# Images


@quick
@given(pixels=st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)).flatmap(lambda s: hnp.arrays(np.uint8, s)))
def test_png_round_trip(pixels, tmp_path_factory):
    path = tmp_path_factory.mktemp("png") / "a.bin"
    write_png(Image(pixels), path)
    assert read_image(path) == read(path) == read_image(path.read_bytes()) == Image(pixels)
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_transparency_is_on_white():
    clear = pillow.new("RGBA", (2, 2), (10, 20, 30, 0))
    half = pillow.new("RGBA", (2, 2), (0, 0, 0, 128))
    palette = pillow.new("P", (2, 2), 0)
    palette.putpalette([1, 2, 3])
    assert (read_image(saved(clear, "PNG")).pixels == 255).all()
    assert (read_image(saved(half, "PNG")).pixels == 127).all()
    assert (read_image(saved(palette, "PNG", transparency=0)).pixels == 255).all()
    assert (read_image(saved(palette, "PNG")).pixels == [1, 2, 3]).all()


def test_modes():
    deep = pillow.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16))
    assert read_image(saved(deep, "PNG")).pixels[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]
    assert (read_image(saved(pillow.new("L", (3, 2), 7), "PNG")).pixels == 7).all()
    assert (read_image(saved(pillow.new("1", (3, 2), 1), "PNG")).pixels == 255).all()
    cyan = read_image(saved(pillow.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG")).pixels
    assert np.abs(cyan.astype(int) - [0, 255, 255]).max() < 8
    with pytest.raises(BadInput, match="x.tif holds floating-point"):
        read_image(saved(pillow.new("F", (2, 2)), "TIFF"), name="x.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    exif = pillow.Exif()
    exif[0x0112] = orientation
    picture = noise()
    stored = np.asarray(picture)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    assert (read_image(saved(picture, "PNG", exif=exif)).pixels == upright).all()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animations(form):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    first, *others = [pillow.new("RGB", (16, 12), c) for c in colours]
    lossless = {"lossless": True} if form == "WEBP" else {}
    data = saved(first, form, save_all=True, append_images=others, duration=[100, 200, 300, 400], **lossless)
    video = read(data)
    assert isinstance(video, Video) and video.audio is None
    assert video.times == pytest.approx((0, 0.1, 0.3, 0.6)) and video.frames[:, 0, 0].tolist() == [
        [*c] for c in colours
    ]
    later = read_video(data, start=0.2, end=0.65, fps=10)
    assert later.times == pytest.approx((0, 0.1, 0.4)) and later.frames[:, 0, 0].tolist() == [[*c] for c in colours[1:]]
    assert read_image(data).pixels[0, 0].tolist() == [255, 0, 0]
    with pytest.raises(BadInput, match="a.img has 4 frames, more than 3"):
        read_video(data, name="a.img", limits=Limits(frames=3))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (saved(noise(), "PNG")[:200], "cannot be read as an image"),
        (saved(noise(), "PNG").replace(b"IDAT", b"IDAX"), "cannot be read as an image"),
        (saved(noise(), "JPEG")[:-200], "truncated"),
        (saved(noise(), "WEBP")[:100], "cannot be read as an image"),
        (b"", "is empty"),
        (b"hello", "cannot be read as an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read as an image"),
        (forged_png(100_000, 100_000), "decompression bomb|more than"),
        (forged_png(8_000, 8_000), "has 8000 x 8000 pixels, more than 50,000,000"),
    ],
)
def test_bad_images(data, words, tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(data)
    with pytest.raises(BadInput, match="cat.png.*" + f"({words})"):
        read_image(path)
    with pytest.raises(BadInput, match="the image bytes"):
        read_image(data)
    with pytest.raises(BadInput, match="the cat"):
        read_image(data, name="the cat")


@settings(quick, max_examples=150)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_damaged_images_are_read_or_refused(form, data):
    damaged = bytearray(saved(noise(), form))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(read(bytes(damaged), name="cat"), Image | Video | Text)
    except BadInput as error:
        assert "cat" in str(error)


# Sounds


@quick
@given(samples=hnp.arrays(np.float32, st.integers(1, 4_000), elements=st.floats(-1, 1, width=32)))
def test_wav_round_trip(samples, tmp_path_factory):
    path = tmp_path_factory.mktemp("wav") / "a"
    write_wav(Audio(samples), path)
    assert read_audio(path) == read(path) == Audio(samples)


def wav(array, rate=RATE):
    """16-bit PCM of (channels, n)."""
    data = (np.clip(array, -1, 1).T * 32767).astype("<i2").tobytes()
    channels = len(array)
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * 2 * channels, 2 * channels, 16)
    return (
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data
    )


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_tone(rate, channels):
    tone = np.sin(2 * np.pi * 700 * np.arange(rate) / rate)
    sound = read_audio(wav(np.stack([tone] * channels), rate))
    assert (
        sound.rate == 16_000
        and sound.seconds == pytest.approx(1, abs=0.01)
        and pitch(sound) == pytest.approx(700, abs=2)
    )
    assert np.abs(sound.samples[1000:-1000]).max() == pytest.approx(1, abs=0.02)  # no louder, no softer


def test_channels_are_averaged():
    left, right = np.full(16_000, 0.75), np.full(16_000, -0.25)
    sound = read_audio(wav(np.stack([left, right]), 16_000))
    assert sound.samples == pytest.approx(np.full(16_000, 0.25), abs=1e-3)


def test_bad_sounds(tmp_path):
    path = tmp_path / "bark.wav"
    for data, words in [
        (b"", "is empty"),
        (wav(np.zeros((1, 0))), "no sound"),
        (b"RIFF" + bytes(40), "cannot be read as a sound"),
        (b"hello " * 99, "cannot be read as a sound"),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n", "cannot be read as a sound"),  # playlists open other files
    ]:
        path.write_bytes(data)
        with pytest.raises(BadInput, match=f"bark.wav.*{words}"):
            read_audio(path)
    write_wav(Audio(np.zeros(100, np.float32)), path)
    path.write_bytes(path.read_bytes()[:-4] + np.float32(np.nan).tobytes())
    with pytest.raises(BadInput, match="bark.wav has samples that are not finite"):
        read_audio(path)
    with pytest.raises(BadInput, match="gone.wav cannot be opened"):
        read_audio(tmp_path / "gone.wav")
    with pytest.raises(BadInput, match="the sound bytes lasts 2 s, more than 1 s"):
        read_audio(wav(np.zeros((1, 2 * RATE))), limits=Limits(seconds=1))
    with pytest.raises(BadInput, match="the sound bytes has 96,044 bytes, more than 1,000"):
        read_audio(wav(np.zeros((1, RATE))), limits=Limits(bytes=1000))


def test_the_length_is_checked_while_decoding_too():
    data = io.BytesIO()
    with av.open(data, "w", format="adts") as container:  # its header tells no length; FFmpeg guesses from the bit rate
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 3 * RATE), np.float32), format="fltp", layout="mono")
        frame.rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(BadInput, match="hum lasts .*more than 2 s"):
        read_audio(data.getvalue(), name="hum", limits=Limits(seconds=2))


# Videos


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [
        ("a.mp4", "libx264", "aac"),
        ("a.mkv", "libx264", "ac3"),
        ("a.avi", "mpeg4", "libmp3lame"),
        ("a.ts", "libx264", "aac"),
        ("a.webm", "libvpx", "libopus"),
        ("a.mov", "mpeg4", "pcm_s16le"),
    ],
)
def test_square_and_tone(name, codec, sound, tmp_path):
    path = movie(tmp_path / name, codec, sound)
    whole = read(path, frames=8, end=4.0)
    assert whole.times == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5], abs=0.002)
    assert lefts(whole) == pytest.approx([0, 5, 10, 15, 20, 25, 30, 35], abs=1)
    assert whole.audio.seconds == pytest.approx(4, abs=0.1) and pitch(whole.audio) == pytest.approx(440, abs=3)
    piece = read_video(path.read_bytes(), fps=10, start=1.95, end=2.55)
    assert piece.times == pytest.approx([0, 0.05, 0.15, 0.25, 0.35, 0.45], abs=0.002)
    assert lefts(piece) == pytest.approx([19, 20, 21, 22, 23, 24], abs=1)
    assert piece.audio.seconds == pytest.approx(0.6, abs=1e-4) and pitch(piece.audio) == pytest.approx(440, abs=3)
    assert read_audio(path).seconds == pytest.approx(4, abs=0.1)


def test_sound_is_cut_where_the_frames_are(tmp_path):
    path = tmp_path / "click.mkv"
    with av.open(str(path), "w") as container:
        video, audio = (
            container.add_stream("mpeg4", rate=10),
            container.add_stream("pcm_s16le", rate=RATE, layout="mono"),
        )
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for _ in range(40):
            frame = av.VideoFrame.from_ndarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for second in range(4):
            wave = np.zeros((1, RATE), np.int16)
            wave[0, 24_000:24_100] = 30_000 if second == 2 else 0
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.rate, frame.pts = RATE, second * RATE
            container.mux(audio.encode(frame))
        container.mux(audio.encode())
    sound = read_video(path, start=2.2, end=3.1).audio
    assert np.abs(sound.samples).argmax() / sound.rate == pytest.approx(0.3, abs=0.003)


def test_long_videos_are_sought_through(tmp_path):
    video = read_video(movie(tmp_path / "long.mp4", seconds=40, sound=None), frames=4)
    assert video.times == pytest.approx([0, 10, 20, 30]) and video.audio is None
    assert lefts(video) == pytest.approx([0, 100 % 56, 200 % 56, 300 % 56], abs=1)


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Four seconds of ten frames each, and a sound."""
    return movie(tmp_path_factory.mktemp("video") / "counted.mp4").read_bytes()


@settings(max_examples=30, deadline=None)
@given(
    many=st.one_of(
        st.integers(1, 50).map(lambda n: {"frames": n}), st.sampled_from([0.5, 1, 3, 7, 24]).map(lambda r: {"fps": r})
    ),
    start=st.integers(0, 350),
    length=st.none() | st.integers(5, 500),
)
def test_frames_are_those_on_show_at_evenly_spaced_moments(counted, many, start, length):
    """By the definition, in whole numbers: 100 to a second, and so ten to a frame."""
    end = 400 if length is None else min(400, start + length)
    video = read_video(counted, start=start / 100, end=None if length is None else (start + length) / 100, **many)
    rate = many.get("fps")
    count = many.get("frames") or -(-(end - start) * rate // 100)
    steps = [100 / rate] * int(count) if rate else [(end - start) / count] * count
    # A millisecond late, since a file's clock is not exact: a frame that begins at the moment itself is on show.
    shown = sorted({int(start + k * step + 0.1) // 10 for k, step in enumerate(steps)})
    assert video.times == pytest.approx([max(0, n / 10 - start / 100) for n in shown], abs=0.002)
    assert lefts(video) == pytest.approx(shown, abs=1)
    assert video.audio.seconds == pytest.approx((end - start) / 100, abs=0.1 if end == 400 else 1e-4)


def test_sixteen_frames_are_what_is_asked_for_where_nothing_is(counted):
    assert read_video(counted).times == pytest.approx([int(0.25 * k * 10 + 0.01) / 10 for k in range(16)], abs=0.002)


def test_few_frames_come_once(tmp_path):
    video = read_video(movie(tmp_path / "slow.mp4", fps=1, sound=None), fps=10)
    assert video.times == pytest.approx([0, 1, 2, 3])


def test_rotation(tmp_path):
    path = movie(tmp_path / "a.mp4", seconds=1, sound=None)
    data, flat = path.read_bytes(), read_video(path)
    at = data.index(b"tkhd") + 4 + 40  # the matrix of the track, in 16.16 fixed point
    turned = data[:at] + struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30) + data[at + 36 :]
    assert (read_video(turned).frames == np.rot90(flat.frames, -1, axes=(1, 2))).all()  # a quarter clockwise


def test_bad_videos(tmp_path):
    data = (path := movie(tmp_path / "film.mp4", seconds=1)).read_bytes()
    tests = [
        (data, {"start": 9}, {}, "lasts 1.00 s"),
        (data, {"start": 1, "end": 1}, {}, "give positive numbers"),
        (data, {"fps": 0}, {}, "give positive numbers"),
        (data, {"frames": 0}, {}, "give positive numbers"),
        (data, {"fps": 1000}, {"frames": 999}, "would give 1,000 frames of 64 x 48"),
        (data, {}, {"video_bytes": 1000}, "would give 16 frames"),
        (data, {}, {"pixels": 1000}, "64 x 48 pixels a frame, more than 1,000"),
        (data, {}, {"seconds": 0.5}, "runs 1 s, more than 0.5 s"),
        (data, {}, {"bytes": 99}, "more than 99"),
        (data[:500], {}, {}, "cannot be read as a video"),
        (b"", {}, {}, "is empty"),
        (wav(np.zeros((1, RATE))), {}, {}, "no video track"),
        (saved(noise(), "PNG"), {}, {}, "still picture"),
    ]
    for content, options, limits, words in tests:
        path.write_bytes(content)
        with pytest.raises(BadInput, match=f"film.mp4.*{words}"):
            read_video(path, **options, limits=Limits(**limits))


def test_video_without_frames(tmp_path):
    path = tmp_path / "empty.mkv"
    with av.open(str(path), "w") as container:
        video, audio = (
            container.add_stream("mpeg4", rate=10),
            container.add_stream("pcm_s16le", rate=RATE, layout="mono"),
        )
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, RATE), np.int16), format="s16", layout="mono")
        frame.rate = RATE
        container.mux(audio.encode(frame))
    with pytest.raises(BadInput, match="empty.mkv"):
        read_video(path)


@settings(quick, max_examples=60)
@given(data=st.data())
def test_damaged_videos_are_read_or_refused(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "whole.mp4"
    if not path.exists():
        movie(path, seconds=1)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(12, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(read(bytes(damaged), name="film"), Video | Audio | Text)
    except BadInput as error:
        assert "film" in str(error)


def test_a_number_that_asks_ffmpeg_for_more_memory_than_there_is_is_damage():
    with pytest.raises(BadInput, match="film cannot be read as a video"), media._decoding("film", "a video", "mend"):
        raise av.error.MemoryError(12, "Cannot allocate memory")
    with pytest.raises(MemoryError), media._decoding("film", "a video", "mend"):
        raise MemoryError


# Anything


def test_text(tmp_path):
    path = tmp_path / "note.png"  # the name says nothing
    path.write_bytes(b"\xef\xbb\xbf" + "Grüße\r\n".encode())
    assert read(path) == Text("Grüße\r\n")
    path.write_bytes("Grüße".encode("latin-1"))
    with pytest.raises(BadInput, match="note.png .*not UTF-8 at byte 2"):
        read(path)
    path.write_bytes("hi".encode("utf-16"))
    with pytest.raises(BadInput, match="note.png .*not UTF-8 at byte 0"):
        read(path)
    with pytest.raises(BadInput, match="note.png is empty"):
        read(b"", name="note.png")


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_png(Image(np.zeros((1, 1, 3), np.uint8)), path)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a.png"]
