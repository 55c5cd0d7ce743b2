"""Forms with files in them (multipart/form-data, RFC 7578), whole in memory: bodies are bounded before."""

import re
from typing import NamedTuple

from tejat.serve.fields import invalid

_BOUNDARY = re.compile(r'(?i)multipart/form-data\s*;.*?boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))')
_NAME = re.compile(r'(?i)(?:^|;)\s*name="((?:[^"\\]|\\.){0,200})"')
MOST = 64


class Field(NamedTuple):
    """A part of a form."""

    name: str
    data: bytes

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", errors="replace")


def parse(body: bytes, content_type: str) -> list[Field]:
    """The fields of a form. Raises Problem INVALID_ARGUMENT for what is no whole form."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise invalid("the Content-Type is not multipart/form-data with a boundary; send a form")
    boundary = b"--" + (found[1] or found[2]).encode("latin-1", errors="replace")
    pieces = (b"\r\n" + body).split(b"\r\n" + boundary)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise invalid("the form is not whole: its closing boundary is missing; send it again")
    if len(pieces) > MOST + 2:
        raise invalid(f"the form has more than {MOST} fields; send fewer")
    return [_field(piece) for piece in pieces[1:-1]]


def _field(piece: bytes) -> Field:
    head, gap, data = piece.partition(b"\r\n\r\n")
    if not gap or len(head) > 4096:
        raise invalid("a field of the form has no headers; send name and data")
    for line in head.decode("latin-1").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == "content-disposition" and (found := _NAME.search(value)):
            return Field(found[1], data)
    raise invalid("a field of the form has no name; give one")
