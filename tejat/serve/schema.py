"""Schemas of answers as the Gemini interface writes them (a part of OpenAPI 3), turned into JSON Schema."""

import json
import re
from typing import Any

from tejat.serve.fields import Fields, invalid

_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_FORMATS = ("date-time", "date", "time", "duration", "email", "uuid", "ipv4", "ipv6", "hostname", "uri")


def json_schema(schema: Fields) -> dict[str, Any]:
    """The same schema as JSON Schema. Raises Problem for what it cannot say."""
    made: dict[str, Any] = {}
    kind = (schema.text("type") or "").lower()
    if kind and kind != "type_unspecified":
        if kind not in _TYPES:
            raise invalid(f"{schema.at('type')} is {kind[:40]!r}; give one of {', '.join(_TYPES).upper()}")
        made["type"] = kind
    for name in ("title", "description", "pattern"):
        if (text := schema.text(name)) is not None:
            made[name] = text
    if (form := schema.text("format")) in _FORMATS:  # others (int32, enum) say what the type says already
        made["format"] = form
    for name in ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"):
        if (count := schema.whole(name)) is not None:
            made[name] = count
    for name in ("minimum", "maximum"):
        if (bound := schema.number(name)) is not None:
            made[name] = bound
    if values := schema.elements("enum"):
        made["enum"] = values
    if (items := schema.object("items")) is not None:
        made["items"] = json_schema(items)
    if prefix := [json_schema(item) for item in schema.objects("prefixItems")]:
        made["prefixItems"] = prefix
    if choices := [json_schema(choice) for choice in schema.objects("anyOf")]:
        made["anyOf"] = choices
    _properties(schema, made)
    if (extra := schema.any("additionalProperties")) is not None:
        made["additionalProperties"] = extra if isinstance(extra, bool) else json_schema(Fields(extra, schema.where))
    if (reference := schema.text("ref") or schema.text("$ref")) is not None:
        made["$ref"] = re.sub(r"^#/defs/", "#/$defs/", reference)
    for name in ("defs", "$defs"):
        if (definitions := schema.object(name)) is not None:
            made["$defs"] = {own: json_schema(Fields(d, definitions.at(own))) for own, d in definitions.value.items()}
    schema.ignore("example", "default", "propertyOrdering")
    nullable = schema.flag("nullable", False)
    schema.done()
    return _or_null(made) if nullable else made


def _properties(schema: Fields, made: dict[str, Any]) -> None:
    """An object's properties, in the order that was asked for: the answer is written in it."""
    if (properties := schema.object("properties")) is None:
        return
    order = schema.texts("propertyOrdering")
    if unknown := [name for name in order if name not in properties.value]:
        raise invalid(f"{schema.at('propertyOrdering')} names {unknown[0][:40]!r}, which is no property")
    names = [*dict.fromkeys(order), *(name for name in properties.value if name not in order)]
    made["properties"] = {n: json_schema(Fields(properties.value[n], properties.at(n))) for n in names}
    required = schema.texts("required")
    if unknown := [name for name in required if name not in properties.value]:
        raise invalid(f"{schema.at('required')} names {unknown[0][:40]!r}, which is no property")
    made["required"] = required
    made["additionalProperties"] = False


def _or_null(made: dict[str, Any]) -> dict[str, Any]:
    if "$defs" in made:
        return {"$defs": made.pop("$defs"), "anyOf": [made, {"type": "null"}]}
    return {"anyOf": [made, {"type": "null"}]}


def compact(schema: Any, where: str, most: int) -> str:
    """A JSON schema as text. Raises Problem where it is none or too long."""
    if not isinstance(schema, dict | bool):
        raise invalid(f"{where} is no JSON schema; give an object")
    text = json.dumps(schema, separators=(",", ":"))
    if len(text) > most:
        raise invalid(f"{where} has {len(text):,} bytes, and {most:,} are the limit; simplify it")
    return text


def choice_regex(values: list[Any], where: str, most: int) -> str:
    """An expression that each of these strings matches, and nothing else. Raises Problem for none, or too many."""
    if not values or not all(isinstance(value, str) and value for value in values):
        raise invalid(f"{where} must be a list of strings, none of them empty")
    if (size := sum(map(len, values))) > most:
        raise invalid(f"{where} has {size:,} characters, and {most:,} are the limit; give fewer choices")
    return "|".join(f"({_escaped(value)})" for value in values)


def _escaped(text: str) -> str:
    """`re.escape`, but for spaces and dashes, whose escapes are none in Rust's expressions."""
    return re.sub(r"([\\.+*?()|\[\]{}^$#&~])", r"\\\1", text)
