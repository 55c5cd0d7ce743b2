"""The engine against the plain forward pass, alone against in company, on random weights that like to draw."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.codecs.framing import Encoded
from tejat.codecs.vocabulary import EOS
from tejat.data.packing import Room, pack_prompts
from tejat.errors import BadInput
from tejat.infer import constraints
from tejat.infer.cache import chunks
from tejat.infer.engine import Engine, _decode
from tejat.infer.options import Options
from tejat.model import decoder, multimodal
from tejat.parts import Audio, Document, Image, Text, Turn, Video

GREEDY = Options(max_tokens=40, picture_temperature=0.0)


def user(*parts) -> list[Turn]:
    return [Turn("user", parts)]


@pytest.fixture(scope="module")
def media() -> tuple[Image, Audio, Video]:
    random = np.random.default_rng(0)
    image = Image(random.integers(0, 256, (32, 48, 3), np.uint8))
    sound = Audio(random.uniform(-0.5, 0.5, 12_000).astype(np.float32))
    return image, sound, Video(random.integers(0, 256, (2, 16, 16, 3), np.uint8), (0.0, 0.5), sound)


@pytest.fixture(scope="module")
def prompts(artist, media) -> list[Encoded]:
    """Five prompts, of every modality; the third is longer than the sliding window of 128."""
    image, sound, video = media
    asked = [user(Text("Hello")), user(image, Text("What?")), user(Text("word " * 40)), user(sound), user(video, image)]
    encoded = [artist.framing.prompt(turns) for turns in asked]
    assert len(encoded[2]) > artist.config.decoder.window
    return encoded


@pytest.fixture(scope="module")
def engine(artist) -> Engine:
    return Engine(artist)


@pytest.fixture(scope="module")
def together(engine, prompts):
    return engine.generate(prompts, GREEDY)


@pytest.fixture(scope="module")
def hidden_states(artist):
    """Final hidden states of one document by the forward pass of training."""
    forward = jax.jit(lambda params, inputs: multimodal.forward(params, artist.config, inputs))

    def run(document: Encoded, params=artist.params) -> np.ndarray:
        inputs = pack_prompts([document], artist.config, Room(1, 256, 256, 192, 2, 128))
        return forward(params, inputs)[0, : len(document)]

    return run


def test_cached_is_uncached(artist, engine, prompts, together, hidden_states) -> None:
    """Every token of an answer is the likeliest that is allowed, as the whole answer read at once has it."""
    allowed, config = jax.jit(constraints.allowed, static_argnums=(0, 4)), artist.config.decoder
    advance = jax.jit(constraints.advance, static_argnums=0)
    asked = constraints.Asked(jnp.ones(1, bool), jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.int32))
    drew = 0
    for prompt, answer in zip(prompts, together, strict=True):
        whole = extended(prompt, answer.tokens)
        logits = decoder.logits(artist.params["decoder"], config, hidden_states(whole)[len(prompt) - 1 : -1])
        state = constraints.start(1)
        for step, (token, logprob, scores) in enumerate(zip(answer.tokens, answer.logprobs, logits, strict=True)):
            left = jnp.asarray([GREEDY.max_tokens - step])
            scores = jnp.where(allowed(engine.rule, state, asked, left, config.vocabulary)[0], scores, -jnp.inf)
            # 1e-3 of a nat: two orders of summing 160 products of float32, on scores up to some hundreds.
            assert scores[token] >= scores.max() - 1e-3
            assert abs(jax.nn.log_softmax(scores)[token] - logprob) < 1e-3
            state = advance(engine.rule, state, jnp.asarray([token]))
        drew += (answer.tokens == engine.rule.picture_begin).sum()
    assert drew > 3


def extended(prompt: Encoded, tokens: np.ndarray) -> Encoded:
    """The prompt with ordinary tokens after it."""
    fills = Encoded(0, False, 0, 0, -1, 0, ())
    columns = [np.append(c, np.full(len(tokens), fill, c.dtype)) for c, fill in zip(prompt[:-1], fills, strict=False)]
    columns[0] = np.append(prompt.tokens, tokens)
    return Encoded(*columns, prompt.media)


def test_alone_is_in_company(engine, prompts, together) -> None:
    for prompt, there in list(zip(prompts, together, strict=True))[:3]:
        (alone,) = engine.generate([prompt], GREEDY)
        assert alone.tokens.tolist() == there.tokens.tolist()
        assert alone.finish_reason == there.finish_reason
        np.testing.assert_allclose(alone.logprobs, there.logprobs, atol=1e-3)


def test_a_prompt_read_in_chunks_is_the_prompt(artist, prompts, monkeypatch) -> None:
    """Images that see themselves stay whole: the control cuts them."""
    config = dataclasses.replace(artist.config.decoder, bidirectional_images=True)
    seeing = Engine(dataclasses.replace(artist, config=dataclasses.replace(artist.config, decoder=config)))
    some, wish = [prompts[1], prompts[2], prompts[4]], dataclasses.replace(GREEDY, pictures=False, max_tokens=8)
    whole = seeing.generate(some, wish)
    monkeypatch.setattr("tejat.infer.engine.READ", 5)
    for a, b in zip(whole, seeing.generate(some, wish), strict=True):
        assert a.tokens.tolist() == b.tokens.tolist()
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-3)
    monkeypatch.setattr("tejat.infer.engine.chunks", lambda real, blocks, size: chunks(real, None, size))
    cut = seeing.generate(some, wish)
    assert all(np.abs(a.logprobs - b.logprobs).max() > 1e-2 for a, b in zip(whole[::2], cut[::2], strict=True))


def test_chance_too_is_the_same_in_company(engine, prompts) -> None:
    wild = Options(max_tokens=12, temperature=1.0, top_p=0.95, seed=7)
    other = dataclasses.replace(wild, seed=8)
    company = engine.generate(prompts, [wild, other, wild, GREEDY, other])
    first, second = (engine.generate(prompts[:1], wish)[0] for wish in (wild, other))
    assert company[0].tokens.tolist() == first.tokens.tolist() != second.tokens.tolist()
    assert company[1].tokens.tolist() == engine.generate(prompts[1:2], other)[0].tokens.tolist()


def test_more_prompts_than_rows_come_back_in_order(artist, prompts, together) -> None:
    order = [2, 0, 1, 0]
    answers = Engine(artist, rows=1).generate([prompts[i] for i in order], GREEDY)
    assert [a.tokens.tolist() for a in answers] == [together[i].tokens.tolist() for i in order]


def test_a_stream_is_the_answer(engine, prompts, together) -> None:
    pieces = list(engine.stream(prompts[0], GREEDY))
    assert len(pieces) > 3
    assert np.concatenate([p.tokens for p in pieces]).tolist() == together[0].tokens.tolist()
    assert [p.finish_reason for p in pieces] == [None] * (len(pieces) - 1) + [together[0].finish_reason]


def test_engines_of_one_shape_share_what_was_compiled(artist, prompts, together) -> None:
    before = _decode._cache_size()
    params = jax.tree.map(lambda a: a * 0.5, artist.params)
    Engine(dataclasses.replace(artist, params=params)).generate(prompts, dataclasses.replace(GREEDY, temperature=0.5))
    assert _decode._cache_size() == before


def test_the_limit(engine, prompts) -> None:
    lengths = (1, 3, 31, 32, 33)  # a step of the engine takes 32
    answers = engine.generate(prompts, [dataclasses.replace(GREEDY, max_tokens=n) for n in lengths])
    assert [(len(a.tokens), a.finish_reason) for a in answers] == [(n, "length") for n in lengths]


def test_the_model_ends_its_turn(artist, prompts) -> None:
    for mark in (artist.vocabulary["<turn|>"], EOS):
        params = dict(artist.params)
        embedding = params["decoder"]["embedding"].at[mark].multiply(1000.0)
        keen = dataclasses.replace(artist, params=params | {"decoder": params["decoder"] | {"embedding": embedding}})
        # Sampled: always the likeliest, a model of random weights can stay on one token that hides the mark.
        answers = Engine(keen).generate(
            prompts, dataclasses.replace(GREEDY, temperature=1.0, max_tokens=120, pictures=False)
        )
        assert {a.finish_reason for a in answers} == {"stop"}
        for answer in answers:
            assert answer.tokens[-1] == mark
            assert not np.isin(answer.tokens[:-1], [EOS, artist.vocabulary["<turn|>"]]).any()


def test_a_stop_string_ends_the_answer(artist, engine, prompts) -> None:
    plain = dataclasses.replace(GREEDY, pictures=False)
    (whole,) = engine.generate(prompts[:1], plain)
    text = artist.vocabulary.decode(whole.tokens)
    stop = text[len(text) // 2 :][:3]
    (cut,) = engine.generate(prompts[:1], dataclasses.replace(plain, stop=("not in it", stop)))
    assert cut.finish_reason == "stop"
    assert cut.tokens.tolist() == whole.tokens[: len(cut.tokens)].tolist()
    assert stop in artist.vocabulary.decode(cut.tokens)
    assert stop not in artist.vocabulary.decode(cut.tokens[:-1])


def test_pictures_only_where_they_are_wanted(engine, prompts) -> None:
    without = engine.generate(prompts, dataclasses.replace(GREEDY, pictures=False))
    assert all(engine.rule.picture_begin not in a.tokens for a in without)
    assert max(a.tokens.max() for a in without) < engine.rule.text_size


def test_the_size_asked_for(engine, artist, prompts) -> None:
    asked = [dataclasses.replace(GREEDY, temperature=1.0, max_tokens=120, picture_size=(2, n)) for n in (1, 2, 3, 4, 5)]
    answers = engine.generate(prompts, asked)
    for answer, columns in zip(answers, (1, 2, 3, 4, 5), strict=True):
        images = [p for p in artist.framing.decode(answer.tokens) if isinstance(p, Image)]
        assert images
        assert {i.pixels.shape for i in images} == {(16, 8 * columns, 3)}


def test_what_does_not_fit_is_told(engine, artist, prompts) -> None:
    context, used = artist.config.context, len(prompts[0])
    with pytest.raises(BadInput, match=f"{used} tokens .* 2,040, .* 2,048; .* at most {context - used:,}"):
        engine.generate(prompts[:1], Options(max_tokens=2040))
    long = artist.framing.prompt(user(Text("word " * 1000)))
    with pytest.raises(BadInput, match=f"{len(long):,} tokens, and the context holds 2,048"):
        engine.stream(long, Options())
    with pytest.raises(BadInput, match=f"{len(long):,} tokens, and the context holds 2,048"):
        engine.score([long])
    with pytest.raises(BadInput, match="1 x 33 codes is asked for; its sides must be 1 to 32"):
        engine.generate(prompts[:1], Options(picture_size=(1, 33)))
    with pytest.raises(BadInput, match="8 x 8 codes takes 76 tokens, and the answer may have 75"):
        engine.generate(prompts[:1], Options(picture_size=(8, 8), max_tokens=75))


def test_an_answer_fills_the_context_to_its_end(engine, artist) -> None:
    almost = artist.framing.prompt(user(Text("a" * 3000)))
    almost = Encoded(*(c[-2040:] for c in almost[:-1]), ())
    assert engine.check(almost, Options()) == 8
    assert engine.check(almost, Options(max_tokens=8)) == 8
    with pytest.raises(BadInput):
        engine.check(almost, Options(max_tokens=9))


def test_a_model_that_draws_nothing_cannot_be_asked_to(artist, prompts) -> None:
    config = dataclasses.replace(artist.config, picture=None)
    mute = dataclasses.replace(artist, config=config, pictures=None)
    with pytest.raises(BadInput, match="'micro' draws none"):
        Engine(mute).generate(prompts[:1], Options(picture_size=(1, 1)))


def test_scores(micro, media, hidden_states) -> None:
    documents = [
        Document.of((Text("One two three"),)),
        Document.from_turns([*user(media[0], Text("What?")), Turn("model", (Text("A thing."), media[0]))]),
        Document((Text("unseen"), Text(" and seen")), (False, True), (None, None)),
        Document.of((Text("nothing of it"),), loss=False),
    ]
    encoded = [micro.framing.encode(d) for d in documents]
    scores = Engine(micro).score(encoded)
    for document, got in zip(encoded, scores, strict=True):
        logits = decoder.logits(micro.params["decoder"], micro.config.decoder, hidden_states(document, micro.params))
        logprobs = np.asarray(jax.nn.log_softmax(logits))[np.arange(len(document) - 1), document.tokens[1:]]
        np.testing.assert_allclose(got, logprobs[document.loss[1:]], atol=1e-4)
    assert scores[3].shape == (0,)


def test_vectors(artist, engine, prompts, hidden_states) -> None:
    vectors = engine.embed(prompts[:2])
    assert vectors.shape == (2, artist.config.decoder.width)
    for prompt, vector in zip(prompts[:2], vectors, strict=True):
        mean = np.asarray(hidden_states(prompt)).mean(0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-4)


def test_nothing_asked_nothing_given(engine) -> None:
    assert engine.generate([], Options()) == []
    assert engine.score([]) == []
    assert engine.embed([]).shape == (0, engine.config.decoder.width)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"seed": -1},
        {"seed": 1.5},
        {"max_tokens": 0},
        {"picture_temperature": "hot"},
        {"picture_min_p": 1.5},
        {"picture_pixels": (64, True)},
        {"picture_size": "64x64"},
        {"picture_size": (64,)},
        {"picture_size": (8.0, 8)},
        {"stop": "word"},
        {"stop": ("",)},
    ],
)
def test_options_out_of_range(wrong: dict) -> None:
    (name,) = wrong
    with pytest.raises(BadInput, match=f"^{name} is "):
        Options(**wrong)
