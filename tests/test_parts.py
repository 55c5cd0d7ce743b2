"""Parts: immutable, equal by value, and the same again after JSON."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tejat.errors import BadInput
from tejat.parts import Audio, Document, Image, Text, Turn, Video, from_json, to_json

side = st.integers(1, 9)
texts = st.builds(Text, st.text(st.characters(exclude_categories=["Cs"])))
images = st.tuples(side, side, st.just(3)).flatmap(lambda s: hnp.arrays(np.uint8, s)).map(Image)
audios = st.builds(
    Audio,
    hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([1, 8_000, 16_000, 44_100, 1_000_000]),
)


@st.composite
def videos(draw):
    times = draw(st.lists(st.floats(0, 1e9), min_size=1, max_size=5, unique=True).map(sorted))
    frames = draw(hnp.arrays(np.uint8, (len(times), draw(side), draw(side), 3)))
    return Video(frames, tuple(times), draw(st.none() | audios))


parts = texts | images | audios | videos()
turns = st.builds(Turn, st.sampled_from(["system", "user", "model"]), st.lists(parts, max_size=3).map(tuple))


@st.composite
def documents(draw):
    content = draw(st.lists(parts, max_size=4))
    loss = draw(st.lists(st.booleans(), min_size=len(content), max_size=len(content)))
    role = st.sampled_from([None, "system", "user", "model"])
    roles = draw(st.lists(role, min_size=len(content), max_size=len(content)))
    return Document(tuple(content), tuple(loss), tuple(roles), draw(st.text()))


quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(parts | turns | documents())
def test_json_gives_back_the_same(obj):
    again = from_json(json.loads(json.dumps(to_json(obj))))
    assert again == obj and hash(again) == hash(obj)


@quick
@given(obj=documents())
def test_json_with_files_gives_back_the_same(obj, tmp_path_factory):
    directory = tmp_path_factory.mktemp("media")
    value = to_json(obj, directory)
    assert "base64" not in json.dumps(value) and from_json(value, directory) == obj
    assert to_json(obj, directory) == value  # one content, one name
    assert not [p for p in directory.iterdir() if p.name.startswith(".")]  # nothing half-written is left


@quick
@given(videos())
def test_samples_and_times_survive_to_the_bit(video):
    again = from_json(json.loads(json.dumps(to_json(video))))
    assert again.frames.tobytes() == video.frames.tobytes() and again.times == video.times
    if video.audio:
        assert again.audio.samples.tobytes() == video.audio.samples.tobytes() and again.audio.rate == video.audio.rate


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (300, 1), (1, 300), (2, 1000), (90, 160)])
def test_every_size_of_video_survives(size):
    frames = np.random.default_rng(0).integers(0, 256, (3, *size, 3), np.uint8)
    video = Video(frames, (0.0, 1e-9, 0.1 + 0.2))
    assert from_json(to_json(video)) == video


@quick
@given(parts)
def test_pickling_keeps_parts_equal_and_read_only(part):
    again = pickle.loads(pickle.dumps(part))
    assert again == part
    if isinstance(part, Image):
        assert not again.pixels.flags.writeable


def test_arrays_are_copied_and_read_only():
    pixels = np.zeros((2, 2, 3), np.uint8)
    image, view = Image(pixels), pixels[:]
    view.flags.writeable = False
    behind = Image(view)
    pixels[:] = 9
    assert image.pixels.max() == 0 and behind.pixels.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0] = 1
    assert Image(image.pixels).pixels is image.pixels  # nothing to guard against, nothing copied


def test_equality_is_of_values():
    one, other = Image(np.zeros((1, 2, 3), np.uint8)), Image(np.zeros((2, 1, 3), np.uint8))
    assert one != other and one != Text("") and one == Image(np.zeros((1, 2, 3), np.uint8))
    positive, negative = Audio(np.array([0.0], np.float32)), Audio(np.array([-0.0], np.float32))
    assert positive == negative and hash(positive) == hash(negative)


def test_arrays_are_told_by_their_shape():
    sound = Audio(np.zeros(3, np.float32))
    assert repr(Image(np.zeros((2, 4, 3), np.uint8))) == "Image(pixels=uint8[2, 4, 3])"
    assert repr(sound) == "Audio(samples=float32[3], rate=16000)"
    assert repr(Video(np.zeros((1, 2, 2, 3), np.uint8), (0.5,), sound)) == (
        "Video(frames=uint8[1, 2, 2, 3], times=(0.5,), audio=Audio(samples=float32[3], rate=16000))"
    )


def test_seconds():
    sound = Audio(np.zeros(8_000, np.float32))
    assert sound.seconds == 0.5
    frames = np.zeros((2, 1, 1, 3), np.uint8)
    assert Video(frames, (0.0, 0.25), sound).seconds == 0.5 and Video(frames, (0.0, 2.0)).seconds == 2.0


def test_documents_and_turns():
    dialogue = (Turn("user", (Text("a"), Text("b"))), Turn("model", (Text("c"),)))
    document = Document.from_turns(dialogue, "here")
    assert document.loss == (False, False, True) and document.roles == ("user", "user", "model")
    assert document.turns() == dialogue and document.source == "here"
    plain = Document.of([Text("a")], loss=False)
    assert plain.roles == (None,) and plain.loss == (False,)
    with pytest.raises(BadInput, match="plain"):
        plain.turns()
    with pytest.raises(BadInput, match="turn 1 of the dialogue"):
        Document.from_turns([Turn("user", ())])


PIXEL = np.zeros((1, 1, 1, 3), np.uint8)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Text("a\ud800"), "text has a lone surrogate at character 1"),
        (lambda: Text(b"a"), "text of a part is of type bytes"),
        (lambda: Image(np.zeros((2, 2, 3))), "pixels of the image are float64"),
        (lambda: Image(np.zeros((2, 2), np.uint8)), "pixels of the image"),
        (lambda: Image(np.zeros((0, 2, 3), np.uint8)), "pixels of the image are none"),
        (lambda: Image([[[1, 2, 3]]]), "pixels of the image are of type list"),
        (lambda: Audio(np.array([0, np.nan], np.float32)), "sample 1 of the sound is nan"),
        (lambda: Audio(np.array([np.inf], np.float32)), "sample 0 of the sound is inf"),
        (lambda: Audio(np.array([1.5], np.float32)), "sample 0 of the sound is 1.5"),
        (lambda: Audio(np.zeros(0, np.float32)), "samples of the sound are none"),
        (lambda: Audio(np.zeros(1, np.float32), 0), "rate of the sound"),
        (lambda: Video(PIXEL, (0.0, 1.0)), "video has 1 frames and 2 times"),
        (lambda: Video(np.repeat(PIXEL, 2, 0), (1.0, 1.0)), "times of the video"),
        (lambda: Video(PIXEL, (-1.0,)), "times of the video"),
        (lambda: Video(PIXEL, (float("nan"),)), "times of the video"),
        (lambda: Video(PIXEL, (0.0,), "bang"), "sound of the video is of type str"),
        (lambda: Turn("robot", ()), "no role 'robot'"),
        (lambda: Turn("user", ("hello",)), "part 1 of the turn is of type str"),
        (lambda: Document((Text(""),), (), ()), "document has 1 parts, 0 loss flags"),
    ],
)
def test_bad_values(make, words):
    with pytest.raises(BadInput, match=words):
        make()


IMAGE, SOUND = to_json(Image(PIXEL[0]))["image"], to_json(Audio(np.zeros(4, np.float32)))["audio"]
FILM = to_json(Video(PIXEL, (0.0,)))["video"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "NoneType"),
        ({}, "the JSON has an object with the keys"),
        ({"text": "a", "image": IMAGE}, "the keys .'image', 'text'."),
        ({"text": 3}, "text of a part"),
        ({"image": {"data": "!"}}, "the image in the JSON is not base64"),
        ({"image": {"data": "AAAA"}}, "the image in the JSON is not a whole PNG"),
        ({"image": {"data": IMAGE["data"][:60]}}, "the image in the JSON is not a whole PNG"),
        ({"image": {"data": "", "file": ""}}, "the image in the JSON has the keys"),
        ({"audio": {"data": ""}}, "the audio in the JSON is not a whole WAV"),
        ({"audio": {"data": SOUND["data"][:-8]}}, "the audio in the JSON is not a whole WAV"),
        ({"video": FILM | {"data": FILM["data"][:400]}}, "the video in the JSON"),
        ({"video": FILM | {"times": [0, 1]}}, "the video in the JSON does not hold 2 frames"),
        ({"video": FILM | {"times": [True]}}, "times of a video in the JSON"),
        ({"video": FILM | {"times": [10**400]}}, "times of the video"),
        ({"video": FILM | {"audio": {"data": ""}}}, "the audio in the JSON"),
        ({"role": "user", "parts": [{"text": "a"}, {}]}, "part 2: the JSON has"),
        ({"role": ["user"], "parts": []}, "no role"),
        ({"parts": [], "loss": [1], "roles": [None], "source": ""}, '"loss" of the document'),
        ({"image": {"file": "a.png"}}, "'a.png'; give the directory"),
    ],
)
def test_bad_json(value, words):
    with pytest.raises(BadInput, match=words):
        from_json(value)


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/b.png", "..\\x.png", "C:x.png", "..", ".", "", "a\0"])
def test_paths_do_not_leave_the_directory(name, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    value = to_json(Image(PIXEL[0]), tmp_path)
    (tmp_path / value["image"]["file"]).rename(tmp_path / "x.png")
    with pytest.raises(BadInput, match="the image in the JSON names the file"):
        from_json({"image": {"file": name}}, inside)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match="gone.png cannot be read"):
        from_json({"image": {"file": "gone.png"}}, tmp_path)


def test_not_a_part():
    with pytest.raises(TypeError, match="to_json takes"):
        to_json("hello")
