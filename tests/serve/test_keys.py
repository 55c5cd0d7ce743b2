"""API keys, and the limits that go with them."""

import json
import os
import time

import pytest

from tejat.errors import BadInput
from tejat.serve import keys
from tejat.serve.keys import Caller, Keys
from tejat.serve.limits import Busy, Room, Turnstile


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path) -> None:
    path = tmp_path / "keys.json"
    first = keys.add(path, "alice", requests_per_minute=60)
    second = keys.add(path, "bob", concurrent=2)
    text = path.read_text()
    assert first not in text and first.removeprefix(keys.PREFIX) not in text and len(first) > 40 and first != second
    assert os.stat(path).st_mode & 0o077 == 0
    known = Keys(path)
    assert known.caller(first) == Caller("alice", 60, None)
    assert known.caller(second) == Caller("bob", None, 2)
    for wrong in ("", first[:-1], first + "x", first.upper(), "\ud800", "\0"):
        assert known.caller(wrong) is None


def test_a_key_taken_out_is_refused_without_a_restart(tmp_path, monkeypatch) -> None:
    path = tmp_path / "keys.json"
    first, second = keys.add(path, "alice"), keys.add(path, "bob")
    known = Keys(path)
    value = json.loads(path.read_text())
    path.write_text(json.dumps({"keys": value["keys"][1:]}))
    later = time.monotonic() + 2
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert known.caller(first) is None and known.caller(second) is not None
    path.write_text("{ half")
    monkeypatch.setattr(time, "monotonic", lambda: later + 2)
    assert known.caller(second) is not None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no JSON"),
        ("{}", 'no list "keys"'),
        ('{"keys": []}', "holds no key"),
        ('{"keys": [{"name": "a"}]}', "key 1 lacks a field"),
        ('{"keys": [{"name": "a", "sha256": 1}]}', "key 1: sha256 is 1"),
        ('{"keys": [{"name": "a", "sha256": "b", "admin": true}]}', "unknown field 'admin'"),
    ],
)
def test_files_that_are_none(tmp_path, content: str, told: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=told):
        Keys(path)
    with pytest.raises(BadInput, match="cannot be read"):
        Keys(tmp_path / "missing.json")


def test_names_and_limits_of_new_keys(tmp_path) -> None:
    path = tmp_path / "keys.json"
    keys.add(path, "alice")
    for name in ("alice", "", "a b", "../a", "-a", "a" * 64):
        with pytest.raises(BadInput):
            keys.add(path, name)
    with pytest.raises(BadInput, match="a limit of 0"):
        keys.add(path, "carol", requests_per_minute=0)
    with pytest.raises(BadInput, match="cannot be written"):
        keys.add(tmp_path / "missing" / "keys.json", "dave")


def test_requests_a_minute() -> None:
    now = [0.0]
    turnstile, alice, bob = Turnstile(lambda: now[0]), Caller("alice", requests_per_minute=3), Caller("bob", 3)

    def passes(caller: Caller) -> bool:
        try:
            with turnstile.pass_through(caller):
                return True
        except Busy as busy:
            assert busy.code == 429 and int(busy.headers["Retry-After"]) <= 20
            return False

    assert [passes(alice) for _ in range(5)] == [True] * 3 + [False] * 2
    assert passes(bob)
    now[0] += 20
    assert [passes(alice) for _ in range(2)] == [True, False]
    now[0] += 1e6
    assert [passes(alice) for _ in range(4)] == [True] * 3 + [False]


def test_open_at_once() -> None:
    turnstile, alice = Turnstile(), Caller("alice", concurrent=2)
    with turnstile.pass_through(alice), turnstile.pass_through(alice):
        with pytest.raises(Busy, match="2 requests open at once"), turnstile.pass_through(alice):
            pass
        with turnstile.pass_through(Caller("bob", concurrent=1)):
            pass
    with pytest.raises(KeyError), turnstile.pass_through(alice):
        raise KeyError
    with turnstile.pass_through(alice), turnstile.pass_through(alice):
        pass


def test_room_is_given_back() -> None:
    room = Room(10, "bodies")
    with room.hold() as take, room.hold() as other:
        take(6)
        other(4)
        with pytest.raises(Busy, match="as many bodies as it may"):
            take(1)
    assert room.held == 0
