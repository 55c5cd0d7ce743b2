"""The open loop itself: what it says of a server that is known."""

import asyncio

import pytest

from tejat.serve.open_loop import Load, Target, capacity, measure


@pytest.fixture(scope="module")
def target(client) -> Target:
    return Target(client.base, "micro")


def test_everything_is_accounted_for(target, server) -> None:
    """Answers, refusals and readers who leave make up all that was sent, and few rows are not enough for many."""
    load = Load(["word " * n for n in (1, 5, 30)], 60, leaving=0.3)
    asyncio.run(measure(target, load, rate=300, seconds=0.7))  # compiles what went with the file before
    before = server.models.all[0].service.stats()
    found = asyncio.run(measure(target, load, rate=300, seconds=0.7))
    assert (found["lost"], found["http_4xx"], found["http_5xx"]) == (0, 0, 0)
    assert found["requests"] == found["answered"] + found["refused"] + found["left"] > 100
    assert 0 < found["refused"] < found["requests"] and found["left"] > 0 and found["answered"] > 0
    after = server.models.all[0].service.stats()
    assert after.refused - before.refused == found["refused"] and after.compilations == before.compilations
    assert 0 < found["ttft_ms_p50"] <= found["ttft_ms_p99"] < found["seconds"] * 1e3
    assert 0 < found["tokens_per_s"] * found["seconds"] <= 1.01 * (after.answer_tokens - before.answer_tokens)


def test_what_a_server_can_do(target) -> None:
    assert asyncio.run(capacity(target, Load(["Hello"], 8), 4, 0.5)) > 0


def test_a_server_that_is_not_there_loses_everything() -> None:
    found = asyncio.run(measure(Target("http://127.0.0.1:9", "micro"), Load(["a"], 1), rate=100, seconds=0.1))
    assert found["lost"] == found["requests"] and found["ttft_ms_p50"] is None
