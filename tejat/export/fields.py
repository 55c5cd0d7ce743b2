"""Reading an object of a `config.json` so that no field of it is overlooked."""

from collections.abc import Iterator, Mapping
from typing import Any

INERT = {
    *("_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"),
    *("output_hidden_states", "output_attentions", "return_dict", "use_cache", "chunk_size_feed_forward"),
    *("id2label", "label2id", "problem_type", "is_encoder_decoder", "bos_token_id", "eos_token_id"),
    "initializer_range",
}
"""Fields that change nothing of what a network computes."""


class Fields:
    """The fields of one object of the file, taken one by one; what is left at the end was not understood."""

    def __init__(self, values: Mapping[str, Any] | None, where: str):
        self.present = values is not None
        self._left = {name: value for name, value in (values or {}).items() if name not in INERT}
        self._where = where
        self._refused: list[str] = []
        self._parts: list[Fields] = []

    def take(self, name: str, default: Any, kind: type | None = None, least: int = 1) -> Any:
        """A field of the type of `default`, or of `kind` or null. Integers are at least `least`, other numbers > 0."""
        value = self._left.pop(name, default)
        if value is None and default is None:
            return None
        kind = kind or type(default)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind or _too_small(value, least):
            self.refuse(name, value)
            return default
        return value

    def only(self, name: str, *allowed: Any) -> Any:
        """A field that is one of `allowed`, the first of which it is when left out."""
        value = self._left.pop(name, allowed[0])
        if value not in allowed:
            self.refuse(name, value)
            return allowed[0]
        return value

    def within(self, name: str) -> "Fields":
        """The fields of an object in this one."""
        part = Fields(self.take(name, None, dict), f"{self._where}{name}.")
        self._parts.append(part)
        return part

    def refuse(self, name: str, value: Any) -> None:
        self._refused.append(f"{self._where}{name} = {value!r}")

    def wrong(self) -> Iterator[str]:
        """Every field refused or not understood, of this object and those in it."""
        yield from self._refused
        yield from (f"the unknown field {self._where}{name}" for name in sorted(self._left))
        for part in self._parts:
            yield from part.wrong()


def _too_small(value: Any, least: int) -> bool:
    return value < least if type(value) is int else type(value) is float and not value > 0
