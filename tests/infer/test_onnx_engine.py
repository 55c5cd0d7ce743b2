"""The engine on ONNX Runtime against the one of JAX: the same answers, scores and vectors, alone and in company."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tejat.codecs.framing import Encoded
from tejat.infer import soft
from tejat.infer.constraints import Rule
from tejat.infer.continuations import continuations
from tejat.infer.engine import Engine
from tejat.infer.likelihood import likelihoods
from tejat.infer.options import Options
from tejat.parts import Audio, Document, Image, Text, Turn

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tejat.export import onnx as exporting  # noqa: E402
from tejat.infer import onnx_cache, onnx_model, onnx_rows  # noqa: E402
from tejat.infer.onnx_cache import Cache, at_once, room  # noqa: E402
from tejat.infer.onnx_engine import OnnxEngine  # noqa: E402
from tejat.infer.onnx_model import OnnxModel  # noqa: E402
from tejat.infer.onnx_rows import OnnxRows  # noqa: E402
from tejat.infer.service import Service  # noqa: E402

STATM = Path("/proc/self/statm")

GREEDY = Options(max_tokens=24, picture_temperature=0.0)


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory) -> OnnxModel:
    folder = tmp_path_factory.mktemp("onnx") / "tiny"
    exporting.write(tiny, folder)
    return OnnxModel(folder)


@pytest.fixture(scope="module")
def small(tiny_q4, tmp_path_factory) -> OnnxModel:
    """The same in four bits."""
    folder = tmp_path_factory.mktemp("onnx") / "q4"
    exporting.write(tiny_q4, folder)
    return OnnxModel(folder)


@pytest.fixture(scope="module")
def short(tiny, tmp_path_factory) -> OnnxModel:
    """The same with eight bits for each key's and value's number."""
    folder = tmp_path_factory.mktemp("onnx") / "short"
    exporting.write(tiny, folder, cache_bits=8)
    return OnnxModel(folder)


@pytest.fixture(scope="module")
def prompts(tiny):
    """Of every modality; the second is several windows of 48 long."""
    random = np.random.default_rng(0)
    image = Image(random.integers(0, 256, (32, 48, 3), np.uint8))
    sound = Audio(random.uniform(-0.5, 0.5, 30_000).astype(np.float32))  # longer than one piece of the tower
    asked = [(Text("Hello"),), (Text("word and " * 60),), (image, Text("What?")), (sound, image, Text("And this?"))]
    encoded = [tiny.framing.prompt([Turn("user", parts)]) for parts in asked]
    assert len(encoded[1]) > 3 * tiny.config.decoder.window
    return encoded


@pytest.fixture(scope="module")
def expected(tiny, prompts):
    """The answers of JAX's engine."""
    return Engine(tiny).generate(prompts, GREEDY)


def test_it_says_what_jax_says(model, prompts, expected) -> None:
    for mine, theirs in zip(OnnxEngine(model).generate(prompts, GREEDY), expected, strict=True):
        assert mine.tokens.tolist() == theirs.tokens.tolist()
        assert mine.finish_reason == theirs.finish_reason
        np.testing.assert_allclose(mine.logprobs, theirs.logprobs, atol=1e-3)


def test_it_finds_as_likely_what_jax_does(model, tiny, prompts) -> None:
    whole = [scored(prompts[1])]
    (mine,), (theirs,) = likelihoods(OnnxEngine(model), whole), likelihoods(Engine(tiny), whole)
    np.testing.assert_allclose(mine.logprobs, theirs.logprobs, atol=1e-3)
    np.testing.assert_allclose(mine.best_logprobs, theirs.best_logprobs, atol=1e-3)
    np.testing.assert_allclose(OnnxEngine(model).embed(whole), Engine(tiny).embed(whole), atol=1e-4)


def scored(prompt: Encoded) -> Encoded:
    """The same with every token due."""
    return Encoded(prompt.tokens, np.ones(len(prompt), bool), *prompt[2:])


def test_soft_tokens_are_those_of_jax(model, tiny, prompts) -> None:
    """Of an image, and of a sound of two pieces; the control is the image with two of its patches changed about."""
    image, *sound = prompts[3].media[-1], *prompts[3].media[:-1]
    assert len(sound) == 2
    by_jax = soft.by_jax(tiny.params, tiny.config)
    counts = [soft.soft_count(len(piece), tiny.config.audio.stride) for piece in sound]
    for pieces, many in (([image], [image.count]), (sound, counts)):
        due = by_jax(pieces, many)
        assert np.abs(model.soft(pieces, many) - due).max() < 1e-5 < 1e-2 < np.abs(due).max()
    changed = image._replace(pixels=np.concatenate([image.pixels[1::-1], image.pixels[2:]]))
    assert np.abs(model.soft([changed], [image.count]) - by_jax([image], [image.count])).max() > 1e-3


def test_pictures_and_their_codes_are_those_of_jax(model, tiny) -> None:
    drawn = np.random.default_rng(1).integers(0, 256, (40, 24, 3), np.uint8)
    codes = tiny.pictures.encode(drawn)
    assert (model.bundle.pictures.encode(drawn) == codes).all()
    mine, theirs = model.bundle.pictures.decode(codes), tiny.pictures.decode(codes)
    assert np.abs(mine.astype(int) - theirs.astype(int)).max() <= 1


def test_an_answer_does_not_depend_on_its_company(small, prompts) -> None:
    """To the bit, on a model in four bits; at random too, and where its pictures are guided."""
    some = dataclasses.replace(GREEDY, temperature=1.0, top_p=0.9, picture_size=(2, 3), max_tokens=40)
    wild = [dataclasses.replace(some, seed=n, picture_guidance=1.0 + n) for n in range(len(prompts))]
    together = OnnxEngine(small).generate(prompts, wild)
    alike = onnx_cache.one_is_alike(small)  # some processors add up one row alone in another order
    for at in (3, 1):
        beside = [at] if alike else [at, 0]
        found, *_ = OnnxEngine(small).generate([prompts[n] for n in beside], [wild[n] for n in beside])
        assert found.tokens.tolist() == together[at].tokens.tolist()
        assert found.logprobs.tolist() == together[at].logprobs.tolist()
    pieces = list(OnnxEngine(small).stream(prompts[1], wild[1]))
    assert np.concatenate([p.tokens for p in pieces]).tolist() == together[1].tokens.tolist()


def test_a_row_is_alone_only_where_that_changes_nothing(small, monkeypatch) -> None:
    for alike, least in ((True, 1), (False, 2)):
        monkeypatch.setattr(onnx_rows, "one_is_alike", lambda model, alike=alike: alike)
        rows = OnnxRows(small, Rule.of(small.bundle.vocabulary, small.config.picture), slots=3, context=64)
        assert rows.widths == tuple(range(least, 4))
        rows = OnnxRows(small, Rule.of(small.bundle.vocabulary, small.config.picture), slots=1, context=64)
        assert rows.widths == (1,)


def test_guided_pictures_are_those_of_jax(model, tiny, prompts) -> None:
    wishes = [
        dataclasses.replace(GREEDY, picture_size=(2, 3), max_tokens=40, picture_guidance=strength)
        for strength in (3.0, 1.0, 1.5)
    ]
    drew, asked = 0, [prompts[0], prompts[1], prompts[0]]
    answers = OnnxEngine(model, rows=2).generate(asked, wishes)
    for mine, theirs in zip(answers, Engine(tiny).generate(asked, wishes), strict=True):
        assert mine.tokens.tolist() == theirs.tokens.tolist()
        np.testing.assert_allclose(mine.logprobs, theirs.logprobs, atol=1e-3)
        drew += int((mine.tokens == tiny.vocabulary["<picture|>"]).sum())
    assert drew > 3


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.integers(1, 40), min_size=1, max_size=60), back=st.integers(0, 60), kept=st.integers(0, 60))
@example(parts=[40] * 12, back=60, kept=60)
@example(parts=[1] * 300, back=0, kept=0)
def test_windows_move_and_nothing_changes(model, parts, back, kept) -> None:
    """A row read in parts, at times from before where it stood, beside one whose windows never move."""
    random, places = np.random.default_rng(0), model.config.context
    tokens = random.integers(4, model.config.decoder.vocabulary, (1, places), np.int32)
    still, moving = Cache(model, 1, places, ahead=places), Cache(model, 1, places, ahead=40, behind=kept)
    assert moving.layers[0][0].shape[2] == 48 + kept + onnx_cache.STEP + 40 < still.layers[0][0].shape[2] == places
    due, _ = still.run(slice(0, 1), tokens, np.zeros(1, int), range(places))
    start = 0
    for count in parts:
        start = moving.reach(0, max(0, start - back))
        end = min(start + max(count, back + 1), start + 40, places)
        found, _ = moving.run(slice(0, 1), tokens[:, start:end], np.asarray([start]), range(end - start))
        np.testing.assert_allclose(found, due[:, start:end], atol=2e-4)
        start = end
        if start == places:
            break


def test_a_window_that_moves_too_far_is_seen(model) -> None:
    """The control: what a token should still see is gone."""
    tokens = np.random.default_rng(0).integers(4, model.config.decoder.vocabulary, (1, 400), np.int32)
    found = []
    for window in (48, 40):
        cache, scores = Cache(model, 1, 400, ahead=8), []
        cache._window = window
        for start in range(0, 400, 8):
            part = tokens[:, start : start + 8]
            scores.append(cache.run(slice(0, 1), part, np.asarray([start]), range(8))[0])
        found.append(np.concatenate(scores, axis=1))
    assert np.abs(found[0] - found[1]).max() > 0.05
    with pytest.raises(ValueError, match="cannot go back to 200"):
        cache.step(0, np.zeros(1, np.int32), np.asarray([200]))
    with pytest.raises(ValueError, match="300 tokens are more than the cache has been made to read at once"):
        Cache(model, 1, 400, ahead=8).run(slice(0, 1), tokens[:, :300], np.zeros(1, int), [])


def test_a_long_prompt_is_answered_as_jax_does(model, tiny) -> None:
    """Beyond where windows move; two that begin alike."""
    turns = [Turn("user", (Text("word and " * 70 + more),)) for more in ("one?", "two?")]
    asked = [tiny.framing.prompt([turn]) for turn in turns]
    assert min(map(len, asked)) > 48 + onnx_cache.STEP + 128
    for mine, theirs in zip(
        OnnxEngine(model).generate(asked, GREEDY), Engine(tiny).generate(asked, GREEDY), strict=True
    ):
        assert mine.tokens.tolist() == theirs.tokens.tolist()
        np.testing.assert_allclose(mine.logprobs, theirs.logprobs, atol=1e-3)


def test_where_windows_stand_depends_on_the_position_alone(small, tiny) -> None:
    """Whatever room there is; and an answer is the same to the bit alone and beside a longer one."""
    rooms = [Cache(small, 1, context) for context in (256, 512)]
    bases = [[int(cache.moved(slice(0, 1), np.asarray([place]))[0]) for place in range(256)] for cache in rooms]
    assert bases[0] == bases[1] and {*bases[0]} == {0, onnx_cache.STEP}
    asked = [tiny.framing.prompt([Turn("user", (Text("word and " * 70 + more),))]) for more in ("one?", "two?")]
    longer = tiny.framing.prompt([Turn("user", (Text("word and " * 85),))])
    for at, beside in enumerate(OnnxEngine(small).generate([*asked, longer], GREEDY)[:2]):
        others = [asked[at]] if onnx_cache.one_is_alike(small) else [asked[at], asked[0]]
        alone = OnnxEngine(small).generate(others, GREEDY)[0]
        assert alone.tokens.tolist() == beside.tokens.tolist() and alone.logprobs.tolist() == beside.logprobs.tolist()


def test_a_picture_begun_is_completed(model, tiny, prompts) -> None:
    rule = Rule.of(tiny.vocabulary, tiny.config.picture)
    drew = 0
    for answer in OnnxEngine(model).generate(prompts, dataclasses.replace(GREEDY, max_tokens=64, temperature=1.0)):
        assert (answer.tokens == rule.picture_begin).sum() == (answer.tokens == rule.picture_end).sum()
        drew += int((answer.tokens == rule.picture_begin).sum())
    assert drew > 2


def test_continuations_are_read_after_their_prompt(model, prompts) -> None:
    """As likely as in the document that both make, though a prompt is read once for all."""
    engine, wanted = OnnxEngine(model), [[300, 301, 302], [400]]
    (found,) = continuations(engine, [prompts[2]], [wanted])
    for mine, ids in zip(found, wanted, strict=True):
        fills = (True, 0, 0, -1, 0)
        columns = [np.append(c, np.full(len(ids), f, c.dtype)) for c, f in zip(prompts[2][1:-1], fills, strict=True)]
        document = Encoded(np.append(prompts[2].tokens, ids), *columns, prompts[2].media)
        (whole,) = likelihoods(engine, [scored(document)])
        np.testing.assert_allclose(mine.logprobs, whole.logprobs[-len(ids) :], atol=1e-4)
        assert mine.best.tolist() == whole.best[-len(ids) :].tolist()


def test_what_prompts_begin_with_is_read_once(model, tiny, prompts, monkeypatch) -> None:
    """Of questions about one text, several windows long, each gives what it gives alone; pictures are read anew."""
    asked = [tiny.framing.prompt([Turn("user", (Text("word and " * 60 + more),))]) for more in ("one?", "two?", "a")]
    asked += [prompts[2], prompts[2], asked[0]]
    wanted = [[[300 + n, 301], [400]] for n in range(len(asked))]
    read = []
    run = Cache.run

    def counted(self, rows, tokens, start, at, soft=None):
        read.append(tokens.shape[1] if soft is not None else 0)
        return run(self, rows, tokens, start, at, soft)

    monkeypatch.setattr(Cache, "run", counted)
    engine = OnnxEngine(model)
    together = continuations(engine, asked, wanted)
    once, alone = sum(read), [continuations(engine, [one], [mine])[0] for one, mine in zip(asked, wanted, strict=True)]
    heads = [len(one) - 1 for one in asked]
    assert sum(read) - once == sum(heads)
    assert once - sum(heads) < 20 - heads[1] - heads[2]
    for mine, theirs in zip(together, alone, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-4)
            assert a.best.tolist() == b.best.tolist()


@pytest.mark.skipif(not STATM.exists(), reason="the system does not tell what a process holds")
def test_room_takes_what_is_written_and_no_more() -> None:
    """With huge pages, which NumPy asks for, these few tokens took 130 MB."""

    def held() -> int:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = held()
    rows = room((64, 1, 8_192, 128))
    assert not rows[::7, :, 5].any()
    rows[:, :, :8] = 1
    assert rows.sum() == 64 * 8 * 128 and held() - before < 2 << 20


def test_a_service_takes_as_many_rows_as_memory_holds(model, monkeypatch) -> None:
    whole = 2 * sum(keys[0].nbytes + values[0].nbytes for keys, values in Cache(model, 1, model.config.context).layers)
    for free, rows in ((3.5 * whole, 3), (1e12, 8), (1.5 * whole, 1), (None, 8)):
        monkeypatch.setattr(onnx_model.memory, "free", lambda free=free: free)
        with Service(model.bundle, slots=8, onnx=model) as service:
            assert service.stats().slots == rows


def test_a_service_on_it(model, tiny, prompts, expected) -> None:
    """Answers of JAX's engine, whoever else is served; what was read before is not read again; a grammar binds."""
    with Service(model.bundle, slots=3, onnx=model) as service:
        tickets = [service.submit(prompt, GREEDY) for prompt in prompts]
        bound = service.submit(prompts[0], Options(max_tokens=12, regex="[ab]{4}"))
        for ticket, theirs in zip(tickets, expected, strict=True):
            assert np.concatenate([piece.tokens for piece in ticket]).tolist() == theirs.tokens.tolist()
        again = service.submit(prompts[1], GREEDY)
        assert np.concatenate([piece.tokens for piece in again]).tolist() == expected[1].tokens.tolist()
        text = "".join(part.text for piece in bound for part in piece.parts if isinstance(part, Text))
        assert len(text) == 4 and set(text) <= {"a", "b"}
        top = service.submit(prompts[0], Options(max_tokens=1, top_logprobs=3))
        (ids, logprobs) = next(piece.top[0] for piece in top if piece.top)
        assert len(ids) == 3 and logprobs.tolist() == sorted(logprobs, reverse=True)
        assert service.stats().cached_tokens >= 128
        assert service.engine().embed([tiny.framing.encode(Document.of([Text("a")]))]).shape == (1, 64)


def test_a_cache_in_eight_bits_holds_four_times_as_much(model, short, prompts, monkeypatch) -> None:
    """And what is said is the same alone and in company."""
    assert short.cached == np.int8
    monkeypatch.setattr(onnx_model.memory, "free", lambda: 1 << 24)
    assert 3.9 < at_once(short, 10_000, 64) / at_once(model, 10_000, 64) < 4.1
    monkeypatch.undo()
    engine = OnnxEngine(short)
    together = engine.generate(prompts, GREEDY)
    alone = [engine.generate([prompt], GREEDY)[0] for prompt in prompts]
    assert [a.tokens.tolist() for a in alone] == [t.tokens.tolist() for t in together]
