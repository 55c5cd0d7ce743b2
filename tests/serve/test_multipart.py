"""Forms as browsers and SDKs send them, and what is no whole form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat.serve.multipart import MOST, parse
from tejat.serve.problems import Problem

KIND = "multipart/form-data; boundary=xyz"


def form(*fields: tuple[str, bytes], boundary: bytes = b"xyz") -> bytes:
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n%s\r\n'
        % (boundary, name.encode(), data)
        for name, data in fields
    ]
    return b"".join(parts) + b"--%s--\r\n" % boundary


@given(st.lists(st.tuples(st.text("abcde_", min_size=1, max_size=5), st.binary(max_size=50)), max_size=4))
def test_fields_come_back(fields: list[tuple[str, bytes]]) -> None:
    fields = [(name, data) for name, data in fields if b"\r\n--xyz" not in data]
    assert [(f.name, f.data) for f in parse(form(*fields), KIND)] == fields


@given(st.binary(max_size=200), st.text(max_size=40) | st.just(KIND))
def test_anything_is_a_form_or_a_problem(body: bytes, kind: str) -> None:
    try:
        parse(body, kind)
    except Problem as problem:
        assert problem.code == 400


@pytest.mark.parametrize("kind", [KIND, 'Multipart/Form-Data; charset=utf-8; boundary="xyz"'])
def test_boundaries(kind: str) -> None:
    assert parse(form(("a", b"\r\n\0--xy")), kind)[0].data == b"\r\n\0--xy"


@pytest.mark.parametrize(
    "body",
    [
        form(("a", b"b"))[:-4],
        form(("a", b"b")).replace(b"name=", b"nome="),
        form(("a", b"b")).replace(b"\r\n\r\n", b"\r\n"),
        form(*[("a", b"b")] * (MOST + 1)),
        b"",
    ],
)
def test_forms_that_are_none(body: bytes) -> None:
    with pytest.raises(Problem):
        parse(body, KIND)
