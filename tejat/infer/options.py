"""What a caller may ask of an answer."""

import math
from dataclasses import dataclass

from tejat.errors import BadInput
from tejat.infer import picture_size

USUAL_TOKENS = 512

GUIDANCE = 1.0

TOP_LOGPROBS = 20
"""The most alternatives whose log-probabilities may be asked for at each place."""


@dataclass(frozen=True)
class Options:
    """How one answer is written. Raises BadInput, naming the option, for a value that makes no sense."""

    max_tokens: int | None = None  # None: USUAL_TOKENS, or what the context still holds
    temperature: float = 0.0  # 0: always the likeliest token
    top_k: int = 0  # 0: no bound
    top_p: float = 1.0
    picture_temperature: float = 0.3  # of picture codes; more is more various, and more often wrong
    picture_top_k: int = 0
    picture_min_p: float = 0.05  # codes less likely than this share of the likeliest are not chosen
    picture_guidance: float = GUIDANCE  # how much more codes follow what was asked than what comes unasked; 1: none
    seed: int = 0
    pictures: bool = True  # may the model draw, if it can?
    picture_size: tuple[int, int] | None = None  # (rows, columns) in codes of every picture; None: the model chooses
    picture_pixels: tuple[int, int] | None = None  # (height, width) that every picture is resized to; None: as drawn
    ends_with_picture: bool = False  # the answer ends with its first picture
    stop: tuple[str, ...] = ()  # the answer ends before the first of these
    presence_penalty: float = 0.0  # taken from the score of every text token that the answer has already
    frequency_penalty: float = 0.0  # the same, for each time
    top_logprobs: int = 0  # log-probabilities of so many of the likeliest tokens at each place
    json_schema: str | None = None  # the answer is JSON that this schema, itself JSON, admits
    regex: str | None = None  # the answer is text that this expression matches from end to end

    def __post_init__(self) -> None:
        whole = {"max_tokens": 1, "top_k": 0, "picture_top_k": 0, "seed": 0, "top_logprobs": 0}
        for name, least in whole.items():
            value = getattr(self, name)
            if name == "max_tokens" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**31:
                raise BadInput(f"{name} is {value!r}; give a whole number from {least} to {2**31 - 1:,}")
        for name in ("temperature", "picture_temperature"):
            value = getattr(self, name)
            if not (_is_number(value) and 0 <= value <= 100):
                raise BadInput(f"{name} is {value!r}; give a number from 0 (the likeliest token) to 100")
        if not (_is_number(self.picture_min_p) and 0 <= self.picture_min_p <= 1):
            raise BadInput(f"picture_min_p is {self.picture_min_p!r}; give a number from 0 (no bound) to 1")
        if not (_is_number(self.picture_guidance) and 1 <= self.picture_guidance <= 20):
            raise BadInput(f"picture_guidance is {self.picture_guidance!r}; give a number from 1 (none) to 20")
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            if not (_is_number(value) and -2 <= value <= 2):
                raise BadInput(f"{name} is {value!r}; give a number from -2 to 2 (0: none)")
        if self.top_logprobs > TOP_LOGPROBS:
            raise BadInput(f"top_logprobs is {self.top_logprobs}; give a whole number from 0 to {TOP_LOGPROBS}")
        if not (_is_number(self.top_p) and 0 < self.top_p <= 1):
            raise BadInput(f"top_p is {self.top_p!r}; give a number above 0 and up to 1 (everything)")
        for name in ("picture_size", "picture_pixels"):
            value = getattr(self, name)
            if value is not None and not (
                isinstance(value, tuple)
                and len(value) == 2
                and all(isinstance(side, int) and not isinstance(side, bool) for side in value)
            ):
                raise BadInput(f"{name} is {value!r}; give two whole numbers, the height and the width")
        if self.picture_pixels is not None:
            height, width = self.picture_pixels
            picture_size.checked(picture_size.PictureSize(width, height))
        if isinstance(self.stop, str) or not all(isinstance(s, str) and s for s in self.stop):
            raise BadInput(f"stop is {self.stop!r}; give a sequence of strings, none of them empty")
        for name in ("json_schema", "regex"):
            value = getattr(self, name)
            if not (value is None or (isinstance(value, str) and value)):
                raise BadInput(f"{name} is {value!r}; give it as a string that is not empty")
        if self.json_schema is not None and self.regex is not None:
            raise BadInput("json_schema and regex are both given; give one of them")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
