"""A service: the same bits alone and in company, and nobody waits for ever. Black box, on random weights."""

import asyncio
import dataclasses
import itertools
import json
import re
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tejat.codecs.framing import Encoded
from tejat.data.packing import Room, pack_prompts
from tejat.errors import BadInput
from tejat.export import quantize
from tejat.infer import constraints, steps
from tejat.infer.constraints import Rule
from tejat.infer.engine import Engine
from tejat.infer.options import Options
from tejat.infer.pieces import Piece, joined
from tejat.infer.prefix import chunks
from tejat.infer.service import Busy, Service
from tejat.infer.ticket import Ticket
from tejat.model import decoder, multimodal, quantised
from tejat.parts import Audio, Image, Text, Turn, Video

GREEDY = Options(max_tokens=20, picture_temperature=0.0)
SYSTEM = "You answer in few words. " * 12
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "day": {"enum": ["Monday", "Friday"]},
            "n": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
        },
        "required": ["day", "n"],
        "additionalProperties": False,
    }
)


@pytest.fixture(scope="module")
def requests(tiny) -> list[tuple[Encoded, Options]]:
    """Text, shorter and longer than a window and a chunk, with beginnings in common; every medium; every option."""
    random = np.random.default_rng(0)
    image = Image(random.integers(0, 256, (32, 48, 3), np.uint8))
    sound = Audio(random.uniform(-0.5, 0.5, 9_000).astype(np.float32))
    video = Video(random.integers(0, 256, (2, 16, 16, 3), np.uint8), (0.0, 0.5), sound)

    def asked(*parts, system: str | None = None) -> Encoded:
        first = (Turn("system", (Text(system),)),) if system else ()
        return tiny.framing.prompt((*first, Turn("user", tuple(Text(p) if isinstance(p, str) else p for p in parts))))

    wild = dataclasses.replace(GREEDY, temperature=1.0, picture_temperature=1.0, top_p=0.95, seed=7)
    return [
        (asked("Hello"), GREEDY),
        (asked("Hello"), dataclasses.replace(GREEDY, pictures=False, presence_penalty=1.5, frequency_penalty=0.5)),
        (asked("word " * 30), GREEDY),
        (asked("One", system=SYSTEM), GREEDY),
        (asked("Two, and more", system=SYSTEM), dataclasses.replace(GREEDY, top_logprobs=3, pictures=False)),
        (asked("Two, and more", system=SYSTEM), wild),
        (asked(image, "What?"), GREEDY),
        (asked(image, "What?" * 30, image), wild),
        (asked(sound, "Who?"), GREEDY),
        (asked(video, "Where?", system=SYSTEM), GREEDY),
        (asked("Hello"), dataclasses.replace(wild, seed=8)),
        (asked("JSON"), dataclasses.replace(wild, json_schema=SCHEMA, max_tokens=60)),
        (asked("Digits"), dataclasses.replace(GREEDY, regex="[0-9]{4}-[0-9]{2}")),
        (asked("Hello"), dataclasses.replace(GREEDY, picture_size=(2, 3), max_tokens=40)),
        (asked("Hello"), dataclasses.replace(GREEDY, picture_size=(2, 3), max_tokens=40, picture_guidance=3.0)),
        (asked("More", system=SYSTEM), dataclasses.replace(wild, picture_guidance=1.5, max_tokens=60)),
    ]


@pytest.fixture(scope="module")
def service(tiny):
    with Service(tiny, slots=4, queue=64) as service:
        yield service


@pytest.fixture(scope="module")
def alone(tiny, requests) -> list[Piece]:
    """Every answer by itself, without a prefix cache."""
    with Service(tiny, slots=4, prefix_bytes=0) as service:
        answers = [joined(list(service.submit(*request))) for request in requests]
        assert service.stats().cached_tokens == 0
    assert {answer.finish_reason for answer in answers} == {"stop", "length"}
    assert len({tuple(answer.tokens.tolist()) for answer in answers}) == len(answers)
    assert sum(len(set(answer.tokens.tolist())) > 5 for answer in answers) > 8, "answers too dull to tell anything"
    return answers


def same(answer: Piece, wanted: Piece) -> None:
    """Token for token and bit for bit."""
    assert answer.tokens.tolist() == wanted.tokens.tolist()
    np.testing.assert_array_equal(answer.logprobs, wanted.logprobs)
    assert answer.finish_reason == wanted.finish_reason
    for (ids, logprobs), (wanted_ids, wanted_logprobs) in zip(answer.top, wanted.top, strict=True):
        np.testing.assert_array_equal(ids, wanted_ids)
        np.testing.assert_array_equal(logprobs, wanted_logprobs)
    assert said(answer) == said(wanted)


def said(answer: Piece) -> list[str | bytes]:
    texts = [p.text if isinstance(p, Text) else p.pixels.tobytes() for p in answer.parts]
    return ["".join(t) if kind is str else next(t) for kind, t in itertools.groupby(texts, type)]


def in_company(service, requests, order, cancelled) -> tuple[dict[int, Piece], dict[int, Piece]]:
    """(answers, answers cut short) of requests sent in an order, some of them cancelled after a few tokens."""
    tickets = [(n, service.submit(*requests[n])) for n in order]
    answers, short = {}, {}
    for n, ticket in tickets:
        pieces = []
        for piece in ticket:
            pieces.append(piece)
            if n in cancelled and sum(len(p.tokens) for p in pieces) >= cancelled[n]:
                ticket.cancel()
        (short if pieces[-1].finish_reason == "cancelled" else answers)[n] = joined(pieces)
    return answers, short


def check_company(service, requests, alone, order, cancelled) -> None:
    answers, short = in_company(service, requests, order, cancelled)
    assert set(answers) | set(short) == set(order)
    for n, answer in answers.items():
        same(answer, alone[n])
    for n, answer in short.items():
        count = len(answer.tokens)
        assert answer.tokens.tolist() == alone[n].tokens[:count].tolist()
        np.testing.assert_array_equal(answer.logprobs, alone[n].logprobs[:count])


COUNT = 16


schedules = given(
    st.permutations(range(COUNT)), st.dictionaries(st.integers(0, COUNT - 1), st.integers(0, 12), max_size=5)
)


@settings(max_examples=3, deadline=None, phases=[Phase.generate])
@schedules
def test_an_answer_does_not_depend_on_its_company(service, requests, alone, order, cancelled) -> None:
    check_company(service, requests, alone, order, cancelled)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@schedules
def test_an_answer_does_not_depend_on_its_company_whatever_it_is(service, requests, alone, order, cancelled) -> None:
    check_company(service, requests, alone, order, cancelled)


def test_nor_on_whether_the_device_goes_ahead(service, requests, alone, monkeypatch) -> None:
    """As on a GPU: the next step is asked for before the last one's tokens are looked at, but for grammars."""
    monkeypatch.setattr(service._scheduler, "_ahead", True)
    plain = [n for n in range(COUNT) if requests[n][1].json_schema is None and requests[n][1].regex is None]
    check_company(service, requests, alone, plain, {plain[2]: 3})
    check_company(service, requests, alone, range(COUNT)[::-1], {plain[1]: 2})


def test_many_at_once_compile_nothing_and_read_no_beginning_twice(service, requests, alone) -> None:
    assert len(requests) == COUNT
    check_company(service, requests, alone, range(COUNT), {})  # media of every size have been seen
    before = service.stats()
    threads = [
        threading.Thread(target=check_company, args=(service, requests, alone, order, {}))
        for order in (range(COUNT), range(COUNT)[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = service.stats()
    assert after.compilations == before.compilations
    assert after.cached_tokens - before.cached_tokens >= 2 * 4 * 128
    assert (after.waiting, after.running) == (0, 0)


def test_the_control_steps_of_other_shapes_are_noticed(tiny, requests, alone) -> None:
    """Where a step is as wide as its company needs, an answer alone has other last bits than one of four."""
    with Service(tiny, slots=4, fast=True, warm=False) as service:
        some = [0, 2, 3, 7, 9, 10]
        answers = [joined(list(service.submit(*requests[n]))) for n in some]
        differ = [
            not np.array_equal(answer.logprobs, alone[n].logprobs) for n, answer in zip(some, answers, strict=True)
        ]
        assert sum(differ) > len(some) // 2
        for n, answer in zip(some, answers, strict=True):
            if answer.tokens.tolist() == alone[n].tokens.tolist():
                np.testing.assert_allclose(answer.logprobs, alone[n].logprobs, atol=1e-3)


def test_answers_are_those_of_the_plain_forward_pass(tiny, requests, alone) -> None:
    """The log-probability of every greedy token and of the likeliest ones, as the whole sequence at once has it."""
    config, rule = tiny.config.decoder, Rule.of(tiny.vocabulary, tiny.config.picture)
    forward = jax.jit(lambda params, inputs: multimodal.forward(params, tiny.config, inputs))
    allowed = jax.jit(constraints.allowed, static_argnums=(0, 4))
    advance = jax.jit(constraints.advance, static_argnums=0)
    for n in (0, 4, 6, 9):
        (prompt, wish), answer = requests[n], alone[n]
        inputs = pack_prompts([extended(prompt, answer.tokens)], tiny.config, Room(1, 512, 256, 192, 2, 128))
        hidden = forward(tiny.params, inputs)[0, len(prompt) - 1 : len(prompt) + len(answer.tokens) - 1]
        state = constraints.start(1)
        asked = constraints.Asked(jnp.asarray([wish.pictures]), jnp.zeros(1, jnp.int32), jnp.zeros(1, jnp.int32))
        for step, scores in enumerate(decoder.logits(tiny.params["decoder"], config, hidden)):
            token, left = int(answer.tokens[step]), jnp.asarray([wish.max_tokens - step])
            scores = jnp.where(allowed(rule, state, asked, left, config.vocabulary)[0], scores, -jnp.inf)
            logprobs = np.asarray(jax.nn.log_softmax(scores))
            assert scores[token] >= scores.max() - 1e-3
            assert abs(logprobs[token] - answer.logprobs[step]) < 1e-3
            if wish.top_logprobs:
                ids, best = answer.top[step]
                assert len(ids) == wish.top_logprobs and ids[0] == token
                np.testing.assert_allclose(best, np.sort(logprobs)[::-1][: len(best)], atol=1e-3)
                np.testing.assert_allclose(best, logprobs[ids], atol=1e-3)
            state = advance(rule, state, jnp.asarray([token]))


def extended(prompt: Encoded, tokens: np.ndarray) -> Encoded:
    """The prompt with ordinary tokens after it."""
    fills = Encoded(0, False, 0, 0, -1, 0, ())
    columns = [np.append(c, np.full(len(tokens), fill, c.dtype)) for c, fill in zip(prompt[:-1], fills, strict=False)]
    columns[0] = np.append(prompt.tokens, tokens)
    return Encoded(*columns, prompt.media)


def test_pictures_come_whole_and_of_the_size_asked_for(alone) -> None:
    images = [part for part in alone[13].parts if isinstance(part, Image)]
    assert images and {image.pixels.shape for image in images} == {(16, 24, 3)}


def test_grammars(tiny, service, requests, alone) -> None:
    """Text that is sampled at random is JSON of its schema or matches its expression, and goes on to its end."""
    prompt, wish = requests[11]
    tickets = [service.submit(prompt, dataclasses.replace(wish, seed=seed, max_tokens=200)) for seed in range(8)]
    values = []
    for ticket in tickets:
        answer = joined(list(ticket))
        assert answer.finish_reason == "stop"
        values.append(json.loads("".join(said(answer))))
        assert values[-1]["day"] in ("Monday", "Friday") and all(isinstance(b, bool) for b in values[-1]["n"])
    assert len({json.dumps(value) for value in values}) > 2
    assert re.fullmatch("[0-9]{4}-[0-9]{2}", *said(alone[12]))
    with pytest.raises(BadInput, match=r"^regex cannot be followed .*unclosed group"):
        service.submit(prompt, Options(regex="(("))
    with pytest.raises(BadInput, match="^json_schema cannot be followed"):
        service.submit(prompt, Options(json_schema='{"type": "number of things"}'))
    with pytest.raises(BadInput, match="^json_schema is not JSON"):
        service.submit(prompt, Options(json_schema="{"))
    assert service.stats().waiting == 0  # a request that is refused leaves no trace


def test_a_stop_string_is_held_back_and_no_character_is_split(tiny, service, requests) -> None:
    prompt, wish = requests[10]
    wish = dataclasses.replace(wish, pictures=False, max_tokens=60)
    whole = joined(list(service.submit(prompt, wish)))
    text = "".join(said(whole))
    assert text == tiny.vocabulary.decode(whole.tokens)
    stop = text[len(text) // 2 :][:5]
    pieces = list(service.submit(prompt, dataclasses.replace(wish, stop=("never in it", stop))))
    assert "".join(said(joined(pieces))) == text[: text.index(stop)]
    assert pieces[-1].finish_reason == "stop"
    # A model that writes bytes: every piece of a character waits for the rest.
    written = joined(list(service.submit(prompt, dataclasses.replace(wish, regex="(é|日|😀){6}", max_tokens=40))))
    assert written.finish_reason == "stop" and re.fullmatch("(é|日|😀){6}", "".join(said(written)))


def test_a_full_queue_says_so(tiny, requests) -> None:
    with Service(tiny, slots=4, queue=3) as service:
        gate = threading.Event()
        service._scheduler.tick, tick = lambda: (gate.wait(), tick()), service._scheduler.tick
        taken = [service.submit(*requests[0])]
        while service.stats().waiting:  # the first has a row, and the engine stands still
            time.sleep(0.01)
        taken += [service.submit(*requests[0]) for _ in range(3 + 3)]  # for the other rows, and the queue
        with pytest.raises(Busy, match="^3 requests are waiting"):
            service.submit(*requests[0])
        assert service.stats().refused == 1 and service.stats().waiting == 6
        taken[-1].cancel()
        gate.set()
        reasons = [joined(list(ticket)).finish_reason for ticket in taken]
        assert reasons == ["length"] * 6 + ["cancelled"]


def test_who_would_wait_too_long_is_not_taken(tiny, requests) -> None:
    """Once it is known how long answers take, no more wait than will have a row in time."""
    prompt, wish = requests[0][0], Options(max_tokens=60, pictures=False)
    with Service(tiny, slots=4, queue=1000, wait=1e-6, warm=False) as service:
        list(service.submit(prompt, wish))
        tickets = [service.submit(prompt, wish) for _ in range(4)]  # a free row is no wait
        with pytest.raises(Busy, match="would begin in about") as refused:
            service.submit(prompt, wish)
        with pytest.raises(Busy):
            service.admits()
        assert 0 < refused.value.seconds < 60 and service.stats().refused == 2
        service.wait = 60.0
        service.admits()
        tickets += [service.submit(prompt, wish) for _ in range(4)]
        assert all(list(ticket)[-1].finish_reason for ticket in tickets)


def test_time_that_is_over_and_answers_not_wanted_free_their_row(service, requests) -> None:
    prompt, wish = requests[0]
    long = dataclasses.replace(wish, max_tokens=400, pictures=False)
    late = joined(list(service.submit(prompt, long, deadline=time.monotonic() + 0.05)))
    assert late.finish_reason == "deadline" and len(late.tokens) < 400
    assert joined(list(service.submit(prompt, long, deadline=time.monotonic()))).finish_reason == "deadline"
    tickets = [service.submit(prompt, long) for _ in range(6)]  # more than rows
    for ticket in tickets:
        ticket.cancel()
    assert [joined(list(ticket)).finish_reason for ticket in tickets] == ["cancelled"] * 6
    stats = service.stats()
    assert (stats.waiting, stats.running) == (0, 0)


def test_a_loop_of_asyncio(service, requests, alone) -> None:
    async def collect(ticket: Ticket) -> Piece:
        return joined([piece async for piece in ticket])

    async def everything() -> list[Piece]:
        return await asyncio.gather(*(collect(service.submit(*request)) for request in requests))

    for answer, wanted in zip(asyncio.run(everything()), alone, strict=True):
        same(answer, wanted)


def test_closing(tiny, requests, alone) -> None:
    draining, stopping = Service(tiny, slots=4), Service(tiny, slots=4)
    tickets = [draining.submit(*request) for request in requests]
    draining.close(drain=True)
    for ticket, wanted in zip(tickets, alone, strict=True):
        same(joined(list(ticket)), wanted)
    asked = [stopping.submit(*request) for request in requests]
    stopping.close(drain=False)
    assert "cancelled" in [joined(list(ticket)).finish_reason for ticket in asked]
    for service in (draining, stopping):
        with pytest.raises(Busy, match="^the service is closing"):
            service.submit(*requests[0])


def test_a_step_that_fails_fails_its_answers_and_no_others(service, requests, alone, monkeypatch) -> None:
    real, left = steps.forward, iter([True] * 5)

    def broken(*arguments):
        if next(left, False):
            return real(*arguments)
        monkeypatch.setattr(steps, "forward", real)
        raise ValueError("the device is gone")

    monkeypatch.setattr(steps, "forward", broken)
    with pytest.raises(RuntimeError, match="the engine failed"):
        list(service.submit(*requests[0]))
    same(joined(list(service.submit(*requests[0]))), alone[0])
    assert service.stats().running == 0


def test_what_does_not_fit_is_told(service, requests) -> None:
    prompt, _ = requests[2]
    with pytest.raises(BadInput, match=f"{len(prompt)} tokens .* 500, .* exceed the context of 512"):
        service.submit(prompt, Options(max_tokens=500))
    with pytest.raises(BadInput, match="^a picture is asked for, and an answer of text alone"):
        service.submit(prompt, Options(regex="a", picture_size=(2, 2)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"presence_penalty": 2.5},
        {"frequency_penalty": float("nan")},
        {"top_logprobs": 21},
        {"top_logprobs": True},
        {"json_schema": ""},
        {"regex": b"a"},
    ],
)
def test_options_out_of_range(wrong: dict) -> None:
    (name,) = wrong
    with pytest.raises(BadInput, match=f"^{name} is "):
        Options(**wrong)
    with pytest.raises(BadInput, match="^json_schema and regex are both given"):
        Options(json_schema="{}", regex="a")


@pytest.mark.slow
def test_images_that_see_themselves_stay_whole(tiny, requests) -> None:
    """An image across the boundary of a part is read whole, with the next; the control cuts it."""
    config = dataclasses.replace(tiny.config.decoder, bidirectional_images=True)
    seeing = dataclasses.replace(tiny, config=dataclasses.replace(tiny.config, decoder=config))
    random = np.random.default_rng(1)
    image = Image(random.integers(0, 256, (64, 64, 3), np.uint8))
    asked = (tiny.framing.prompt([Turn("user", (Text("a " * n), image, Text("What?")))]) for n in range(60, 130))
    prompt = next(p for p in asked if len(p) > 129 and p.blocks[127] == 1 == p.blocks[128])
    wish = dataclasses.replace(GREEDY, pictures=False, max_tokens=4)
    with Service(seeing, slots=4) as service:
        first, again = (joined(list(service.submit(prompt, wish))) for _ in range(2))
        same(again, first)
        assert service.stats().cached_tokens > 0
    (wanted,) = Engine(seeing).generate([prompt], wish)
    assert first.tokens.tolist() == wanted.tokens.tolist()
    np.testing.assert_allclose(first.logprobs, wanted.logprobs, atol=1e-4)
    with pytest.MonkeyPatch.context() as patch, Service(seeing, slots=4, prefix_bytes=0, warm=False) as service:
        patch.setattr("tejat.infer.service.chunks", lambda p, digests, sizes, whole: chunks(p, digests, sizes, False))
        cut = joined(list(service.submit(prompt, wish)))
    assert np.abs(cut.logprobs - wanted.logprobs).max() > 1e-3


def test_what_only_a_service_offers_is_refused_elsewhere(tiny, requests) -> None:
    engine = Engine(tiny)
    numbers = {"top_logprobs": 2}, {"presence_penalty": 1.0}, {"ends_with_picture": True}
    for wish in ({"regex": "a"}, {"json_schema": "{}"}, *numbers):
        with pytest.raises(BadInput, match=f"^{next(iter(wish))} is asked for, and only a service"):
            engine.generate([requests[0][0]], Options(**wish))


@pytest.mark.parametrize("in_blocks", [True, False])
def test_narrow_weights_answer_alike(tiny_q4, in_blocks, monkeypatch):
    """As on a GPU: matrices merged, and in their bits where the bundle has them so; vectors are of the same weights."""
    prompts = [tiny_q4.framing.prompt([Turn("user", (Text(text),))]) for text in ("Hello", "word " * 30)]
    whole = quantize.whole(tiny_q4)
    mine = dataclasses.replace(tiny_q4, pictures=whole.pictures) if in_blocks else whole
    if not in_blocks:
        monkeypatch.setattr(quantised, "inside", lambda params: True)
    answers, vectors = [], []
    for first, bundle in ((True, mine), (False, whole)):
        with Service(bundle, slots=2, warm=False) as service:
            tickets = [service.submit(prompt, GREEDY) for prompt in prompts]
            answers.append([joined([*ticket]).tokens.tolist() for ticket in tickets])
            vectors.append(service.engine().embed(prompts))
            assert ("qkv" in service.params["decoder"]["blocks"]["sliding"][0]) == first
        monkeypatch.undo()
    assert answers[0] == answers[1]
    np.testing.assert_allclose(*vectors, rtol=0, atol=1e-6)
