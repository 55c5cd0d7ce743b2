"""A request's JSON, read field by field: every value has its type checked, and none that nobody reads goes unnoticed.

Raises Problem INVALID_ARGUMENT that says where the value stands, as in `contents[0].parts[1].inlineData`.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from tejat.serve.problems import Problem

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_MISSING: Any = object()
DEEPEST = 64  # objects and lists inside one another


def parse(body: bytes) -> Any:
    """JSON of UTF-8, without NaN, lone surrogates, or depths that no reader survives."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise invalid(f"the body is not UTF-8 at byte {error.start}; send JSON in UTF-8") from error
    except RecursionError as error:
        raise invalid(f"the body nests deeper than {DEEPEST} levels; flatten it") from error
    except ValueError as error:  # of bad JSON, and of whole numbers with thousands of digits
        raise invalid(f"the body is not JSON ({str(error)[:200]}); send a JSON object") from error
    _check_depth(value)
    if _SURROGATE.search(body):
        _check_strings(value)
    return value


def invalid(message: str) -> Problem:
    return Problem("INVALID_ARGUMENT", message)


class Fields:
    """An object of the request. Each getter gives `default` (None unless given) for a field that is absent or null."""

    def __init__(self, value: Any, where: str = ""):
        if not isinstance(value, dict):
            raise invalid(f"{where or 'the body'} is {_kind(value)}; give an object")
        self.value, self.where, self.read = value, where, set[str]()

    def at(self, name: str) -> str:
        """Where a field stands, for messages."""
        return f"{self.where}.{name}" if self.where else name

    def __contains__(self, name: str) -> bool:
        return self.value.get(name) is not None

    def any(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        value = self.value.get(name)
        return default if value is None else value

    def text(self, name: str, default: Any = None) -> Any:
        return self._typed(name, str, "a string", default)

    def flag(self, name: str, default: Any = None) -> Any:
        return self._typed(name, bool, "true or false", default)

    def number(self, name: str, default: Any = None) -> Any:
        value = self.any(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise invalid(f"{self.at(name)} is {_kind(value)}; give a number")
        return value

    def whole(self, name: str, default: Any = None) -> Any:
        """Whole numbers also come as 40.0, and those of 64 bits as strings."""
        value = self.any(name)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
            raise invalid(f"{self.at(name)} is {_kind(value)}; give a whole number")
        return value

    def one_of(self, name: str, choices: tuple[str, ...], default: Any = None) -> Any:
        value = self.text(name)
        if value is not None and value not in choices:
            raise invalid(f"{self.at(name)} is {value[:60]!r}; give one of {', '.join(choices)}")
        return default if value is None else value

    def elements(self, name: str) -> list:
        return self._typed(name, list, "a list", [])

    def texts(self, name: str) -> list[str]:
        values = self.elements(name)
        for number, value in enumerate(values):
            if not isinstance(value, str):
                raise invalid(f"{self.at(name)}[{number}] is {_kind(value)}; give a string")
        return values

    def object(self, name: str) -> "Fields | None":
        value = self.any(name)
        return None if value is None else Fields(value, self.at(name))

    def objects(self, name: str) -> "Iterator[Fields]":
        for number, value in enumerate(self.elements(name)):
            yield Fields(value, f"{self.at(name)}[{number}]")

    def need(self, name: str) -> Any:
        """The field's value, which must be there."""
        if name not in self:
            raise invalid(f"{self.at(name)} is missing; give it")
        return self.any(name)

    def ignore(self, *names: str) -> None:
        """These may be there, and change nothing here."""
        self.read.update(names)

    def done(self) -> None:
        """Refuses fields that nobody has read: a wish is never dropped in silence."""
        if unknown := sorted(self.value.keys() - self.read):
            raise invalid(f"{self.at(unknown[0][:60])} is not known here; remove it")

    def _typed(self, name: str, kind: type, said: str, default: Any) -> Any:
        value = self.any(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise invalid(f"{self.at(name)} is {_kind(value)}; give {said}")
        return value


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return f"the number {str(value)[:24]}"
        case str():
            return f"the string {value[:40]!r}"
        case list():
            return "a list"
    return "an object"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        level = [
            inner
            for box in level
            for inner in (box.values() if isinstance(box, dict) else box)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise invalid(f"the body nests deeper than {DEEPEST} levels; flatten it")


def _check_strings(value: Any) -> None:
    """Refuses lone surrogates, which no file and no answer can hold."""
    stack = [value]
    while stack:
        match stack.pop():
            case str() as text:
                try:
                    text.encode()
                except UnicodeEncodeError as error:
                    raise invalid("a string of the body has a lone surrogate; remove it") from error
            case list() as values:
                stack += values
            case dict() as fields:
                stack += fields.keys()
                stack += fields.values()
