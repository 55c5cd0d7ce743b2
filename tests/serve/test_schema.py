"""Schemas of the Gemini interface as JSON Schema, and choices as expressions."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.serve.fields import Fields
from tejat.serve.problems import Problem
from tejat.serve.schema import choice_regex, compact, json_schema


def test_a_schema_is_translated() -> None:
    given = {
        "type": "OBJECT",
        "description": "A dish",
        "properties": {
            "name": {"type": "STRING", "minLength": "1", "example": "soup"},
            "tags": {"type": "ARRAY", "items": {"type": "STRING", "format": "enum", "enum": ["a"]}, "maxItems": "3"},
            "when": {"type": "STRING", "format": "date-time", "nullable": True},
            "size": {"anyOf": [{"type": "INTEGER", "format": "int32", "minimum": 0}, {"type": "NULL"}]},
        },
        "required": ["name"],
        "propertyOrdering": ["tags", "name"],
    }
    made = json_schema(Fields(given))
    assert list(made["properties"]) == ["tags", "name", "when", "size"]
    assert made["required"] == ["name"] and made["additionalProperties"] is False and made["type"] == "object"
    assert made["properties"]["name"] == {"type": "string", "minLength": 1}
    assert made["properties"]["tags"] == {"type": "array", "maxItems": 3, "items": {"type": "string", "enum": ["a"]}}
    assert made["properties"]["when"] == {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
    assert made["properties"]["size"] == {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}


def test_definitions_are_found() -> None:
    tree = {"type": "OBJECT", "properties": {"next": {"ref": "#/defs/Tree"}}}
    made = json_schema(Fields({"ref": "#/defs/Tree", "defs": {"Tree": tree}, "nullable": True}))
    assert made["anyOf"] == [{"$ref": "#/$defs/Tree"}, {"type": "null"}]
    assert made["$defs"]["Tree"]["properties"]["next"] == {"$ref": "#/$defs/Tree"}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "THING"}, "type is 'thing'"),
        ({"type": "OBJECT", "properties": {"a": {}}, "required": ["b"]}, "required names 'b'"),
        ({"type": "OBJECT", "properties": {"a": {}}, "propertyOrdering": ["b"]}, "propertyOrdering names 'b'"),
        ({"type": "ARRAY", "items": []}, "items is a list"),
        ({"type": "STRING", "wish": 1}, "wish is not known"),
        ({"properties": {"a": {"properties": {"b": 3}}}}, r"properties\.a\.properties\.b is the number 3"),
    ],
)
def test_schemas_that_are_none(schema, told: str) -> None:
    with pytest.raises(Problem, match=told):
        json_schema(Fields(schema))


def test_schemas_have_a_size() -> None:
    assert json.loads(compact({"a": 1}, "schema", 100)) == {"a": 1}
    with pytest.raises(Problem, match="and 10 are the limit"):
        compact({"a": "b" * 10}, "schema", 10)
    for wrong in (3, "a", []):
        with pytest.raises(Problem, match="no JSON schema"):
            compact(wrong, "schema", 100)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), min_size=1, max_size=4))
def test_a_choice_matches_its_strings_and_no_others(values: list[str]) -> None:
    pattern = re.compile(choice_regex(values, "enum", 1000))
    assert all(pattern.fullmatch(value) for value in values)
    assert not any(pattern.fullmatch(value + "x") for value in values if value + "x" not in values)
    assert not pattern.fullmatch("")


@pytest.mark.parametrize("values", [[], [""], [1], ["a" * 101]])
def test_choices_that_are_none(values: list) -> None:
    with pytest.raises(Problem):
        choice_regex(values, "enum", 100)
