"""Numbers for Prometheus, in its text format. No label holds anything that a caller chose."""

import threading
from bisect import bisect_left
from collections.abc import Mapping

Labels = tuple[tuple[str, str], ...]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

HELP = {
    "tejat_requests_total": "Requests answered, by route and HTTP code.",
    "tejat_requests_open": "Requests being answered now.",
    "tejat_request_seconds": "From a request's first line to the end of its answer.",
    "tejat_first_piece_seconds": "From a request's first line to the first piece of its answer.",
    "tejat_tokens_total": "Tokens read (prompt) and written (answer), by modality.",
    "tejat_media_decoded_total": "Files decoded, by outcome.",
    "tejat_upload_bytes_total": "Bytes of files received.",
    "tejat_refused_total": "Requests refused because there was too much at once.",
}


class Metrics:
    """Counters, gauges and histograms of one replica."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {}
        self._times: dict[str, dict[Labels, list[float]]] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        with self._lock:
            series = self._values.setdefault(name, {})
            key = tuple(sorted(labels.items()))
            series[key] = series.get(key, 0) + amount

    def tokens(self, prompt: Mapping[str, int], answer: Mapping[str, int]) -> None:
        """Tokens of one request, by modality."""
        for side, counts in (("prompt", prompt), ("answer", answer)):
            for modality, count in counts.items():
                self.add("tejat_tokens_total", count, side=side, modality=modality.lower())

    def time(self, name: str, seconds: float, **labels: str) -> None:
        """One observation: a count for each bound, then the sum."""
        with self._lock:
            key = tuple(sorted(labels.items()))
            row = self._times.setdefault(name, {}).setdefault(key, [0.0] * (len(SECONDS) + 2))
            row[bisect_left(SECONDS, seconds)] += 1
            row[-1] += seconds

    def text(self, gauges: Mapping[str, Mapping[Labels, float]]) -> str:
        """All of it; `gauges` are what is measured at the moment of asking, by name and labels."""
        lines: list[str] = []
        with self._lock:
            for name, series in sorted(self._values.items()):
                kind = "counter" if name.endswith("_total") else "gauge"
                lines += [f"# HELP {name} {HELP.get(name, name)}", f"# TYPE {name} {kind}"]
                lines += [f"{name}{_braces(labels)} {value:g}" for labels, value in sorted(series.items())]
            for name, rows in sorted(self._times.items()):
                lines += [f"# HELP {name} {HELP.get(name, name)}", f"# TYPE {name} histogram"]
                for labels, row in sorted(rows.items()):
                    lines += _histogram(name, labels, row)
        for name, measured in sorted(gauges.items()):
            lines += [f"# TYPE {name} gauge"]
            lines += [f"{name}{_braces(labels)} {value:g}" for labels, value in sorted(measured.items())]
        return "\n".join(lines) + "\n"


def _histogram(name: str, labels: Labels, row: list[float]) -> list[str]:
    lines, total = [], 0.0
    for bound, count in zip((*map(str, SECONDS), "+Inf"), row[:-1], strict=True):
        total += count
        lines.append(f"{name}_bucket{_braces((*labels, ('le', bound)))} {total:g}")
    return [*lines, f"{name}_sum{_braces(labels)} {row[-1]:g}", f"{name}_count{_braces(labels)} {total:g}"]


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
