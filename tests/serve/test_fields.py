"""JSON read field by field, and names brought to one spelling."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.serve.casing import camel, normalise
from tejat.serve.fields import DEEPEST, Fields, parse
from tejat.serve.problems import Problem

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a":NaN}', "NaN is no number"),
        (b'{"a":-Infinity}', "-Infinity is no number"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8 at byte 0"),
        (b"[" * 100_000, "nests deeper"),
        (b"[" * 65 + b"]" * 65, "nests deeper"),
        (b'{"a":"\\ud800"}', "lone surrogate"),
        (b'{"\\udfff":1}', "lone surrogate"),
        (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
    ],
)
def test_what_is_no_body(body: bytes, told: str) -> None:
    with pytest.raises(Problem, match=told) as raised:
        parse(body)
    assert raised.value.code == 400


def test_what_is_one() -> None:
    assert parse(b'{"a":"\\ud83d\\ude00","b":[1.5e3]}') == {"a": "\U0001f600", "b": [1500.0]}
    deep = b"[" * DEEPEST + b"]" * DEEPEST
    assert json.dumps(parse(deep)).encode() == deep


@given(st.binary(max_size=40))
def test_bytes_are_json_or_a_problem(body: bytes) -> None:
    try:
        parse(body)
    except Problem as problem:
        assert problem.code == 400
        problem.message.encode()


@given(JSON)
def test_every_getter_gives_its_type_or_a_problem(value: object) -> None:
    fields = Fields({"a": value})
    kinds = {"text": str, "flag": bool, "number": int | float, "whole": int, "elements": list, "object": Fields}
    for getter, kind in kinds.items():
        try:
            found = getattr(fields, getter)("a")
        except Problem as problem:
            assert "a is " in problem.message
        else:
            assert found is None or isinstance(found, kind)


def test_whole_numbers_come_in_three_ways() -> None:
    fields = Fields({"a": 40.0, "b": "9007199254740993", "c": -3, "d": 1.5, "e": True, "f": "1e3", "g": 1e300})
    assert [fields.whole(name) for name in "abc"] == [40, 9007199254740993, -3]
    for name in "defg":
        with pytest.raises(Problem, match=f"{name} is .*whole number"):
            fields.whole(name)


def test_what_nobody_reads_is_refused() -> None:
    fields = Fields({"known": 1, "ignored": 2, "other": None}, "top")
    assert fields.whole("known") == 1
    fields.ignore("ignored")
    with pytest.raises(Problem, match=r"top\.other is not known here"):
        fields.done()
    assert "other" not in fields
    with pytest.raises(Problem, match=r"top\.missing is missing"):
        fields.need("missing")


@pytest.mark.parametrize(
    ("snake", "name"),
    [("max_output_tokens", "maxOutputTokens"), ("topK", "topK"), ("_responseSchema", "_responseSchema"), ("", "")],
)
def test_camel(snake: str, name: str) -> None:
    assert camel(snake) == name


def test_names_of_the_caller_stay() -> None:
    body = {
        "generation_config": {"responseSchema": {"propertyOrdering": ["a_b"], "properties": {"a_b": {"min_items": 1}}}},
        "contents": [{"parts": [{"function_call": {"args": {"x_y": {"z_w": 1}}}, "inline_data": {"mime_type": "a"}}]}],
        "tools": [{"functionDeclarations": [{"parameters_json_schema": {"max_x": 1}}]}],
    }
    assert normalise(body) == {
        "generationConfig": {"responseSchema": {"propertyOrdering": ["a_b"], "properties": {"a_b": {"minItems": 1}}}},
        "contents": [{"parts": [{"functionCall": {"args": {"x_y": {"z_w": 1}}}, "inlineData": {"mimeType": "a"}}]}],
        "tools": [{"functionDeclarations": [{"parametersJsonSchema": {"max_x": 1}}]}],
    }
    with pytest.raises(Problem, match="topK is given twice"):
        normalise({"top_k": 1, "topK": 2})


@given(JSON)
def test_normalising_twice_is_once(value: object) -> None:
    try:
        once = normalise(value)
    except Problem:
        return
    assert normalise(once) == once
