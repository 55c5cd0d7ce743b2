"""Questions between hosts: JSON with bytes behind it, checked and answered, over TCP.

A frame is the lengths of both and a checksum of the JSON, the JSON, the bytes, and a checksum of these. Who connects
must prove that it knows the run's key, and so must who answers: each signs what the other has drawn (HMAC). Nothing is
encrypted, and nothing that comes is ever run or unpickled.
"""

import contextlib
import hmac
import json
import os
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Any

_HEAD = struct.Struct(">IIQ")  # length of the JSON, its CRC-32, length of the bytes behind it
_SUM = struct.Struct(">I")
_DRAWN = 32  # bytes of a challenge, and of its answer
_AT_ONCE = 1 << 20
CONNECTED = 5.0
"""Seconds in which a host that is there is reached."""
_MOST_TOLD = 1 << 28
"""Bytes of JSON, at most."""

Told = dict[str, Any]
Answer = tuple[Told, Any]
"""What is told, and the bytes behind it."""
Handler = Callable[[Told], Answer]


class Unreachable(OSError):
    """Nobody answers there, or what came was garbled, or not of this run."""


class Refused(RuntimeError):
    """The other side says why it cannot."""


class Link:
    """One connection, whose ends take turns."""

    def __init__(self, socket_: socket.socket):
        self._socket = socket_
        socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, told: Mapping[str, Any], data: Any = b"") -> None:
        """`data`: bytes, or what lies in memory as they do."""
        line = json.dumps(told).encode()
        view = memoryview(data).cast("B")
        self._socket.sendall(_HEAD.pack(len(line), zlib.crc32(line), len(view)) + line)
        total = 0
        for at in range(0, len(view), _AT_ONCE):
            part = view[at : at + _AT_ONCE]
            total = zlib.crc32(part, total)
            self._socket.sendall(part)
        self._socket.sendall(_SUM.pack(total))

    def receive(self, room: Callable[[Told, int], Any] | None = None) -> Answer:
        """`room` gives the memory for the bytes that come, by what was told and their number; new memory without it.

        Raises Unreachable where a checksum is wrong, and EOFError at the end of the connection.
        """
        length, told_sum, count = _HEAD.unpack(self._exactly(_HEAD.size))
        if length > _MOST_TOLD:
            raise Unreachable("what came is no message")
        line = self._exactly(length)
        if zlib.crc32(line) != told_sum:
            raise Unreachable("a message came garbled")
        told = json.loads(line)
        data = bytearray(count) if room is None or not count else room(told, count)
        view, total = memoryview(data).cast("B")[:count], 0
        at = 0
        while at < count:
            got = self._socket.recv_into(view[at : at + _AT_ONCE])
            if not got:
                raise EOFError
            total = zlib.crc32(view[at : at + got], total)
            at += got
        if total != _SUM.unpack(self._exactly(_SUM.size))[0]:
            raise Unreachable("bytes came garbled")
        return told, data

    def prove(self, key: bytes, first: bool) -> None:
        """Both ends sign what the other has drawn. Raises Unreachable where one does not know the key."""
        drawn = os.urandom(_DRAWN)
        self._socket.sendall(drawn)
        other = self._exactly(_DRAWN)
        # Whose signature it is goes into it, so that none can be sent back.
        self._socket.sendall(hmac.digest(key, bytes([first]) + other, "sha256"))
        if not hmac.compare_digest(self._exactly(_DRAWN), hmac.digest(key, bytes([not first]) + drawn, "sha256")):
            raise Unreachable("the other side is not of this run")

    def close(self) -> None:
        self._socket.close()

    def _exactly(self, count: int) -> bytes:
        parts = bytearray(count)
        view, at = memoryview(parts), 0
        while at < count:
            got = self._socket.recv_into(view[at:])
            if not got:
                raise EOFError
            at += got
        return bytes(parts)


class Peer:
    """Who answers at an address. Connects when it is first asked, and anew after a failure; one question at a time.

    `patience`: seconds without a byte after which it counts as unreachable.
    """

    def __init__(self, address: str, key: bytes, patience: float = 15.0):
        self.address, self._key, self._patience = address, key, patience
        self._link: Link | None = None
        self._lock = threading.Lock()

    def ask(self, what: str, data: Any = b"", **told: Any) -> Answer:
        """Raises Unreachable where no whole answer comes, and Refused where the answer is why not."""
        with self._lock:
            try:
                if self._link is None:
                    host, _, port = self.address.rpartition(":")
                    found = socket.create_connection((host.strip("[]"), int(port)), min(CONNECTED, self._patience))
                    found.settimeout(self._patience)
                    self._link = Link(found)
                    self._link.prove(self._key, first=True)
                self._link.send({**told, "what": what}, data)
                answer, found = self._link.receive()
            except (OSError, EOFError, ValueError) as error:
                self._close()
                raise Unreachable(f"{self.address} does not answer: {error or type(error).__name__}") from error
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer, found

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


class Server:
    """Answers questions by `handlers`, each connection in a thread of its own.

    Args:
      room: memory for bytes that come, by what was told and their number.
    """

    def __init__(self, handlers: Mapping[str, Handler], key: bytes, room: Callable[[Told, int], Any] | None = None):
        self._handlers, self._key, self._room = handlers, key, room
        self._socket = socket.create_server(("", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                found, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(Link(found),), name="wire", daemon=True).start()

    def _serve(self, link: Link) -> None:
        # Whoever goes, or is not of this run, is no concern of the others.
        with contextlib.closing(link), contextlib.suppress(OSError, EOFError, ValueError):
            link.prove(self._key, first=False)
            while True:
                told, data = link.receive(self._room)
                try:
                    answer, found = self._handlers[told["what"]](told | {"data": data})
                except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
                    answer, found = {"refused": f"{type(error).__name__}: {error}"}, b""
                link.send(answer, found)
