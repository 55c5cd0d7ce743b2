"""Names of fields as the Gemini interface writes them: camelCase, which clients mix with snake_case in one body.

Names that are the caller's own stay as they are: properties of a schema, arguments and results of functions.
"""

import re
from typing import Any

from tejat.serve.fields import invalid

FREE = frozenset(
    {"args", "response", "responseJsonSchema", "parametersJsonSchema", "responseFormat", "default", "example", "enum"}
)
"""Their values are the caller's, all the way down."""

NAMED = frozenset({"properties", "defs", "$defs"})
"""Their keys are the caller's; under each stands a schema, whose fields are ours."""

_HUMP = re.compile(r"(?<=[A-Za-z0-9])_([a-z0-9])")


def camel(name: str) -> str:
    """`max_output_tokens` as `maxOutputTokens`; what is camelCase already stays."""
    return _HUMP.sub(lambda match: match[1].upper(), name) if "_" in name else name


def normalise(value: Any) -> Any:
    """The same JSON with every field's name in camelCase. Raises Problem where one is given in both spellings."""
    if isinstance(value, list):
        return [normalise(item) for item in value]
    if not isinstance(value, dict):
        return value
    fields: dict[str, Any] = {}
    for key, inner in value.items():
        name = camel(key)
        if name in fields:
            raise invalid(f"{name[:60]} is given twice, in two spellings; give it once")
        if name in FREE:
            fields[name] = inner
        elif name in NAMED and isinstance(inner, dict):
            fields[name] = {own: normalise(schema) for own, schema in inner.items()}
        else:
            fields[name] = normalise(inner)
    return fields
