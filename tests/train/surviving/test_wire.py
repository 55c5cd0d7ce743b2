"""Questions between hosts, over real sockets: answered whole or not at all, and only to who knows the key."""

import json
import socket
import struct
import threading
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.train.surviving.wire import Link, Peer, Refused, Server, Unreachable

KEY = b"k" * 32


@pytest.fixture(scope="module")
def server():
    def fails(told):
        raise ValueError("it cannot")

    found = Server({"echo": lambda told: ({"n": told["n"]}, told["data"]), "fail": fails}, KEY)
    yield found
    found.close()


@pytest.fixture(scope="module")
def peer(server):
    found = Peer(f"127.0.0.1:{server.port}", KEY, 5)
    yield found
    found.close()


@settings(deadline=None, max_examples=25)
@given(st.integers(), st.binary(max_size=3 << 20))
def test_what_is_told_comes_back(peer, number, data):
    answer, found = peer.ask("echo", data, n=number)
    assert answer["n"] == number and bytes(found) == data


def test_a_reason_why_not_comes_back_and_the_connection_stays(peer):
    with pytest.raises(Refused, match="it cannot"):
        peer.ask("fail")
    with pytest.raises(Refused, match="nothing"):
        peer.ask("nothing")
    assert peer.ask("echo", b"x", n=1)[1] == b"x"


def test_who_does_not_know_the_key_is_told_nothing(server):
    stranger = Peer(f"127.0.0.1:{server.port}", b"x" * 32, 5)
    with pytest.raises(Unreachable):
        stranger.ask("echo", n=1)


def test_who_cannot_sign_is_not_asked():
    """What only sends back what it gets does not pass for one of the run."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def parrot():
            found, _ = listening.accept()
            with found:
                while data := found.recv(4096):
                    found.sendall(data)

        threading.Thread(target=parrot, daemon=True).start()
        with pytest.raises(Unreachable, match="not of this run"):
            Peer(f"127.0.0.1:{listening.getsockname()[1]}", KEY, 5).ask("echo", n=1)


def test_nobody_there(server):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(Unreachable, match="does not answer"):
        Peer(f"127.0.0.1:{port}", KEY, 1).ask("echo", n=1)


@pytest.mark.parametrize("at", [3, 30, 60])
def test_a_bit_that_flips_on_the_way_is_seen(at):
    line = json.dumps({"what": "keep"}).encode()
    data = b"d" * 40
    frame = bytearray(struct.pack(">IIQ", len(line), zlib.crc32(line), len(data)) + line + data)
    frame += struct.pack(">I", zlib.crc32(data))
    frame[at] ^= 4
    here, there = socket.socketpair()
    with here, there:
        here.sendall(frame)
        here.shutdown(socket.SHUT_WR)
        with pytest.raises((Unreachable, EOFError)):
            Link(_Plain(there)).receive()


class _Plain:
    """A pair of sockets has no TCP to set."""

    def __init__(self, found):
        self._found = found

    def setsockopt(self, *settings):
        pass

    def __getattr__(self, name):
        return getattr(self._found, name)
