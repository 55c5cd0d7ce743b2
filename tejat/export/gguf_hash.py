"""The hash that a GGUF file carries of itself: llama.cpp sees where one is cut short, but not where a bit is changed.

It is the first thing told in the file's head, a string of 64 hexadecimal digits: SHA-256 of the whole file with zeros
("0") in their place. So one file stays one file, and what changes a tensor, a name or a piece of the tokenizer is seen.
"""

import hashlib
import struct
from pathlib import Path
from typing import Any

from tejat.errors import BadInput

KEY, UNSET = "tejat.sha256", "0" * 64

_STRING = 8
"""GGUF's number for the type."""

_BEFORE = KEY.encode() + struct.pack("<IQ", _STRING, len(UNSET))
"""The bytes that the digits come after."""

_HEAD, _PIECE = 4096, 1 << 20


def promise(writer: Any) -> None:
    """Makes room for the hash in a new `gguf.GGUFWriter`, before anything else is told."""
    writer.add_string(KEY, UNSET)


def seal(file: Path) -> None:
    """Puts the hash of a written file into the room that `promise` made."""
    _, found, at = _read(file)
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(found.encode())


def check(file: Path) -> None:
    """Is the file as it was exported? Raises BadInput where it is not, was not written by Tejat, or cannot be read."""
    try:
        told, found, _ = _read(file)
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}); name a file from `tejat export gguf`") from error
    if told != found:
        raise BadInput(f"{file} is not the file that was exported (its hash differs); copy or export it again")


def _read(file: Path) -> tuple[str, str, int]:
    """(the hash that the file tells, the one that it has, where the first stands)."""
    with file.open("rb") as opened:
        head = bytearray(opened.read(_HEAD))
        at = head.find(_BEFORE) + len(_BEFORE)
        digits = slice(at, at + len(UNSET))
        if head[:4] != b"GGUF" or at < len(_BEFORE) or len(head) < digits.stop:
            raise BadInput(f"{file} is no GGUF file that tells its hash; export it again by `tejat export gguf`")
        told, head[digits] = head[digits].decode("latin-1"), UNSET.encode()
        hashed = hashlib.sha256(head)
        while piece := opened.read(_PIECE):
            hashed.update(piece)
    return told, hashed.hexdigest(), at
