"""The models that a server hosts, and the names by which they are asked for."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from tejat.bundle import Bundle
from tejat.infer.service import Busy as Full
from tejat.infer.service import Service
from tejat.serve.limits import Busy
from tejat.serve.problems import Problem

if TYPE_CHECKING:
    from tejat.infer.engine import Engine
    from tejat.infer.onnx_engine import OnnxEngine

OTHERS = re.compile(
    r"(gemini|gemma|imagen|text-embedding|embedding|gpt|chatgpt|o[0-9]|dall-e|whisper)(-[A-Za-z0-9.-]{1,80})?"
)
"""Names of other makers' models: programs written for them reach the first model here by changing only the address.
The answer tells which model wrote it."""


@contextmanager
def taken() -> Iterator[None]:
    """A service that takes no more is told as the server tells it."""
    try:
        yield
    except Full as error:
        raise Busy(str(error), error.seconds) from error


class Hosted:
    """A model: a service that answers, and an engine, made when it is first needed, that scores and embeds."""

    def __init__(self, name: str, bundle: Bundle, service: Service):
        self.name, self.bundle, self.service = name, bundle, service

    def admits(self) -> None:
        """Raises Busy where an answer would not be taken now: before its media are decoded."""
        with taken():
            self.service.admits()

    @cached_property
    def engine(self) -> "Engine | OnnxEngine":
        return self.service.engine()


class Models:
    """All that are hosted; the first answers for names of other makers."""

    def __init__(self, hosted: Sequence[Hosted]):
        self.all = tuple(hosted)

    def admits(self) -> None:
        """Raises Busy where no answer would be taken now, whichever model is asked; of several one may be free."""
        if len(self.all) == 1:
            self.all[0].admits()

    def find(self, name: str) -> Hosted:
        """Raises Problem NOT_FOUND for a name that is neither ours nor a known one of others."""
        bare = name.removeprefix("models/")
        for hosted in self.all:
            if hosted.name == bare:
                return hosted
        if OTHERS.fullmatch(bare):
            return self.all[0]
        known = ", ".join(hosted.name for hosted in self.all)
        raise Problem("NOT_FOUND", f"there is no model {bare[:60]!r} here; use {known}")
