"""Sounds that are damaged, empty or silent."""

from collections.abc import Iterable, Iterator

import numpy as np

from tejat import media
from tejat.data.cleaning.records import Record, group, sounds, text, without
from tejat.data.cleaning.report import Report
from tejat.errors import BadInput
from tejat.parts import Audio

SHORTEST = 0.05  # seconds
SILENT = 10 ** (-50 / 20)  # peak: 50 dB below full scale, where recordings have their noise


class Sounds:
    """Takes out sounds that cannot be read, last no time or hold nothing but silence. Nothing grows.

    An item loses the sound, or goes itself where it has no other medium; a document goes.
    """

    def __init__(self) -> None:
        self.report = Report("sounds")

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for record in records:
            heard = sounds(record)
            if not heard:
                self.report.notes["without sound, passed"] += 1
                yield record
                continue
            told = group(record, source)
            self.report.see(told)
            wrong = {name: reason for name, sound in heard.items() if (reason := _fault(sound))}
            rest = without(record, wrong)
            if rest is not None:
                for name, reason in wrong.items():
                    self.report.change(f"{reason}, taken out", told, f"{name}: {text(record)}")
                yield rest
            else:
                name, reason = next(iter(wrong.items()))
                self.report.drop(reason, told, f"{name}: {text(record)}")


def _fault(sound: bytes | Audio) -> str:
    try:
        heard = sound if isinstance(sound, Audio) else media.read_audio(sound)
    except BadInput:
        return "a sound that cannot be read or is empty"
    if heard.seconds < SHORTEST:
        return "a sound that lasts no time"
    return "silence" if np.abs(heard.samples).max() < SILENT else ""
