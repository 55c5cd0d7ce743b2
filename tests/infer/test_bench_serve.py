"""The measurement itself: what it says of a service that is known."""

from tejat.infer.bench_serve import measure
from tejat.infer.options import Options
from tejat.infer.service import Service
from tejat.parts import Text, Turn


def test_everything_is_accounted_for(tiny) -> None:
    """Answers, refusals and readers who leave make up all that was sent, and few rows are not enough for many."""
    prompts = [tiny.framing.prompt([Turn("user", (Text("word " * n),))]) for n in (1, 5, 30)]
    with Service(tiny, slots=4, queue=2) as service:
        found = measure(service, prompts, Options(max_tokens=60, pictures=False), rate=400, seconds=0.5, leaving=0.3)
        assert service.stats().running == 0
        assert found["requests"] > 100
        assert (found["lost"], found["failed"], found["compilations"]) == (0, 0, 0)
        assert 0 < found["refused"] < found["requests"] and found["left"] > 0
        assert service.stats().refused == found["refused"]
        assert 0 < found["ttft_ms_p50"] <= found["ttft_ms_p99"] < found["seconds"] * 1e3
        assert found["tokens_per_s"] * found["seconds"] <= 1.1 * service.stats().answer_tokens
        tickets = [service.submit(prompts[0], Options(max_tokens=4)) for _ in range(2)]  # it still stands
        assert all(list(ticket)[-1].finish_reason == "length" for ticket in tickets)
