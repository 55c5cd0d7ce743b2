"""The Python interface, from outside."""

import numpy as np
import pytest

import tejat
from tejat import bundle
from tejat.api import Model
from tejat.errors import BadInput
from tejat.parts import Audio, Document, Image, Text, Turn, Video

SHORT = {"max_tokens": 90, "picture_size": (16, 16)}


@pytest.fixture(scope="module")
def model(artist) -> Model:
    return Model(artist)


@pytest.fixture(scope="module")
def image() -> Image:
    return Image(np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8))


def test_an_answer_has_text_and_pictures(model) -> None:
    answer = model.answer("Hello", **SHORT)
    kinds = {type(part) for part in answer.parts}
    assert kinds == {Text, Image}
    assert {p.pixels.shape for p in answer.parts if isinstance(p, Image)} == {(16, 16, 3)}
    assert answer.text == "".join(p.text for p in answer.parts if isinstance(p, Text))
    assert not any(
        isinstance(a, Text) and isinstance(b, Text) for a, b in zip(answer.parts, answer.parts[1:], strict=False)
    )
    assert len(answer.tokens) == len(answer.logprobs) == 90
    assert (answer.logprobs <= 0).all()
    assert answer.finish_reason == "length"


def test_generate_stream_and_batch_agree(model) -> None:
    for wishes in (SHORT, SHORT | {"temperature": 1.0, "seed": 3}, SHORT | {"pictures": False}):
        parts = model.generate("Hello", **wishes)
        streamed = list(model.stream("Hello", **wishes))
        assert "".join(p.text for p in streamed if isinstance(p, Text)) == "".join(
            p.text for p in parts if isinstance(p, Text)
        )
        assert [p for p in streamed if isinstance(p, Image)] == [p for p in parts if isinstance(p, Image)]
        assert len(streamed) > len(parts)
        first, _ = model.generate_batch(["Hello", "And now something longer"], **wishes)
        assert first.parts == parts


def test_seeds_of_a_batch(model) -> None:
    wishes = {"max_tokens": 12, "temperature": 1.0, "pictures": False}
    first, second = model.generate_batch(["Hello"] * 2, seeds=[1, 2], **wishes)
    assert first.text == model.answer("Hello", seed=1, **wishes).text != second.text
    with pytest.raises(BadInput, match="2 prompts and 1 seeds"):
        model.generate_batch(["Hello"] * 2, seeds=[1])


def test_a_prompt_may_be_said_in_many_ways(model, image) -> None:
    same = ["Hi", Text("Hi"), ["Hi"], [Text("Hi")], [Turn("user", (Text("Hi"),))]]
    assert len({tuple(model._encode(prompt, None).tokens) for prompt in same}) == 1
    assert model.count([image, "Hi"]) == model.count([Turn("user", (image, Text("Hi")))])
    with_system = [Turn("system", (Text("Be kind."),)), Turn("user", (Text("Hi"),))]
    assert model.count("Hi", system="Be kind.") == model.count(with_system) != model.count("Hi")


def test_a_dialogue_goes_on(model, image) -> None:
    turns = [Turn("user", (Text("Draw"),)), Turn("model", (Text("So:"), image)), Turn("user", (Text("More"),))]
    counts = model.count(turns)
    assert counts["picture"] > 0 and counts["image"] == 0  # what the model drew is read as it was drawn
    assert model.generate(turns, **SHORT)


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ([], "the prompt is empty"),
        (3, "the prompt is of type int"),
        ([3], "part 1 of the turn is of type int"),
        ([Turn("user", (Text("a"),)), Turn("model", (Text("b"),))], "ends with a turn of the model"),
        ([Turn("user", (Text("a"),)), Text("b")], "part 1 of the turn is of type Turn"),
        (Audio(np.zeros(100, np.float32), 8000), "16000 Hz, not 8000"),
    ],
)
def test_prompts_that_are_none(model, prompt, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        model.generate(prompt)


def test_a_stream_refuses_at_once(model) -> None:
    with pytest.raises(BadInput, match="temperature is -1"):
        model.stream("Hello", temperature=-1)
    with pytest.raises(BadInput, match="exceed the context of 2,048"):
        model.stream("Hello", max_tokens=2048)


def test_counts(model, image) -> None:
    sound = Audio(np.zeros(16_000, np.float32))
    counts = model.count([image, sound, Video(np.zeros((2, 8, 8, 3), np.uint8), (0.0, 1.0)), "Hi"])
    assert counts["audio"] == 25 + 2  # a second and its marks
    assert counts["image"] > 2 and counts["video"] > 4 and counts["text"] > 3 and counts["picture"] == 0
    assert counts["total"] == sum(n for name, n in counts.items() if name != "total")


def test_usage(model) -> None:
    answer = model.answer("Hello", **SHORT)
    assert answer.usage["prompt"] == model.count("Hello")
    drawn = sum(isinstance(part, Image) for part in answer.parts)
    assert answer.usage["answer"]["picture"] == drawn * (4 + 8 * 9)
    assert answer.usage["answer"]["total"] == len(answer.tokens) == 90
    assert answer.usage["total"] == answer.usage["prompt"]["total"] + 90


def test_a_stop_string_is_cut_off(model) -> None:
    whole = model.answer("Hello", max_tokens=20, pictures=False)
    stop = whole.text[8:11]
    cut = model.answer("Hello", max_tokens=20, pictures=False, stop=[stop])
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert "".join(p.text for p in model.stream("Hello", max_tokens=20, pictures=False, stop=[stop])) == cut.text


def test_the_size_of_a_picture_is_in_pixels_or_words(model) -> None:
    for size, shape in (((23, 33), (23, 33, 3)), ("33x23", (23, 33, 3)), ("4:3", (56, 72, 3))):
        parts = model.generate("Hello", max_tokens=90, picture_size=size)
        assert {p.pixels.shape for p in parts if isinstance(p, Image)} == {shape}
    for wrong in ("64", (64,), (64, "a"), (0, 64), (10_000, 10_000), "0:9"):
        with pytest.raises(BadInput):
            model.generate("Hello", picture_size=wrong)


def test_the_best_of_several(model) -> None:
    """The one whose picture makes its caption the likeliest; with the tokens of the seed that it had."""
    wishes = {"max_tokens": 80, "picture_size": (16, 16), "temperature": 1.0, "picture_temperature": 1.0, "seed": 5}
    every = model.generate_batch(["Hello"] * 3, seeds=[5, 6, 7], **wishes)
    best = model.answer("Hello", best_of=3, **wishes)
    likely = []
    for answer in every:
        words, found = "Hello", []
        for part in answer.parts:
            if isinstance(part, Text):
                words = part.text
            else:
                turns = [Turn("user", (part, Text("What is this?"))), Turn("model", (Text(words.strip()[-200:]),))]
                found.append(model.score(turns).logprobs.mean())
        likely.append(np.mean(found) if found else -np.inf)
    assert best.tokens.tolist() == every[int(np.argmax(likely))].tokens.tolist() and np.isfinite(max(likely))
    for wrong in (0, 65, "2"):
        with pytest.raises(BadInput, match="best_of is "):
            model.answer("Hello", best_of=wrong)


def test_scores(model) -> None:
    score = model.score("One two")
    assert len(score.tokens) == len(score.logprobs)
    assert model.bundle.vocabulary.decode(score.tokens) == "One two"
    assert score.total == pytest.approx(score.logprobs.sum(), rel=1e-5)
    assert model.score(Document.of((Text("One two"),))).total == score.total
    turns = [Turn("user", (Text("One"),)), Turn("model", (Text("two"),))]
    assert model.bundle.vocabulary.decode(model.score(turns).tokens) == "two"


def test_vectors(model, image) -> None:
    vector = model.embed([image, "Hello"])
    assert vector.shape == (model.bundle.config.decoder.width,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_load(artist, model, tmp_path) -> None:
    bundle.save(tmp_path / "mine", artist)
    loaded = tejat.load(tmp_path / "mine")
    assert loaded.name == "micro"
    assert loaded.generate("Hello", **SHORT) == model.generate("Hello", **SHORT)
    with pytest.raises(BadInput, match="there is no model 'nothing'"):
        tejat.load("nothing")


def test_answers_are_scored_as_dialogues_are(model, image) -> None:
    prompts = ["What is this?", [image, "And this?"]]
    answers = [["A cat.", "No"], ["A dog with a long name"]]
    for prompt, mine, found in zip(prompts, answers, model.score_answers(prompts, answers), strict=True):
        parts = (Text(prompt),) if isinstance(prompt, str) else (image, Text("And this?"))
        for text, score in zip(mine, found, strict=True):
            due = model.score([Turn("user", parts), Turn("model", (Text(text),))])
            assert (score.tokens == due.tokens).all()
            np.testing.assert_allclose(score.logprobs, due.logprobs, atol=2e-4)
