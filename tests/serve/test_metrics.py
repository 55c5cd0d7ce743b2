"""Prometheus' text format, read back as Prometheus does."""

import re

from tejat.serve.metrics import SECONDS, Metrics

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)')


def read(text: str) -> dict[tuple[str, str], float]:
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            found = SAMPLE.fullmatch(line)
            assert found is not None, line
            samples[found[1], found[2] or ""] = float(found[3])
    return samples


def test_counters_gauges_and_histograms() -> None:
    metrics = Metrics()
    metrics.add("tejat_requests_total", route="call", code="200")
    metrics.add("tejat_requests_total", 2, route="call", code="200")
    metrics.add("tejat_requests_open", 1)
    metrics.add("tejat_requests_open", -1)
    metrics.tokens({"TEXT": 3}, {"PICTURE": 4})
    for seconds in (0.0, 0.15, 0.2, 1e9):
        metrics.time("tejat_request_seconds", seconds, route="a")
    text = metrics.text({"tejat_engine_running": {(("model", 'a"b\\c'),): 2}})
    samples = read(text)
    assert samples["tejat_requests_total", 'code="200",route="call"'] == 3
    assert samples["tejat_requests_open", ""] == 0
    assert samples["tejat_tokens_total", 'modality="picture",side="answer"'] == 4
    assert samples["tejat_engine_running", 'model="a\\"b\\\\c"'] == 2
    buckets = [samples["tejat_request_seconds_bucket", f'route="a",le="{le}"'] for le in (*SECONDS, "+Inf")]
    assert buckets == sorted(buckets) and buckets[-1] == 4 == samples["tejat_request_seconds_count", 'route="a"']
    assert samples["tejat_request_seconds_bucket", 'route="a",le="0.15"'] == 2
    assert "# TYPE tejat_request_seconds histogram" in text and "# TYPE tejat_requests_total counter" in text
