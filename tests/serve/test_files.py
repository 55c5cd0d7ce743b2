"""Uploads and files, on two replicas that share a directory and nothing else."""

import hashlib
import os
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.serve.files import Store
from tejat.serve.limits import Limits
from tejat.serve.problems import Problem


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replicas(tmp_path, clock) -> list[Store]:
    limits = Limits(file=1000, quota=2500, files=5)
    return [Store(tmp_path / "store", limits, clock) for _ in range(2)]


def begin(store: Store, owner: str = "ann", size: int | None = None, name: str | None = None):
    return store.begin(owner, mime="image/png", size=size, name=name, display_name="a picture")


def send(store: Store, upload, offset: int, data: bytes, commit: bool = True) -> None:
    chunk = store.chunk(upload, offset)
    try:
        chunk.write(data)
        if commit:
            chunk.commit()
    finally:
        chunk.close()


def uploaded(store: Store, data: bytes, **named) -> str:
    upload = begin(store, **named)
    send(store, upload, 0, data)
    return store.finish(upload).name


def test_replicas_take_turns(replicas) -> None:
    data = os.urandom(1000)
    upload = begin(replicas[0], size=1000)
    for number, at in enumerate(range(0, 1000, 100)):
        store = replicas[number % 2]
        send(store, store.upload(upload.id), at, data[at : at + 100])
        assert replicas[1 - number % 2].received(upload) == at + 100
    files = [store.finish(store.upload(upload.id)) for store in (replicas[1], replicas[0], replicas[1])]
    assert files[0] == files[1] == files[2]
    file = replicas[0].get("ann", files[0].name)
    assert replicas[0].path("ann", file).read_bytes() == data
    assert b64decode(file.sha256).decode() == hashlib.sha256(data).hexdigest()
    assert (file.size, file.mime, file.display_name) == (1000, "image/png", "a picture")


@settings(max_examples=40, deadline=None)
@given(
    st.binary(min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 59), st.integers(1, 60), st.booleans()), max_size=8),
)
def test_any_order_of_repeats_gives_the_file(tmp_path_factory, content: bytes, chunks: list) -> None:
    """Chunks cut anywhere, sent again, broken off, on either replica: the file is the file."""
    first = Store(tmp_path_factory.mktemp("s"), Limits())
    stores = [first, Store(first.root, Limits())]
    upload, sent = begin(first, size=len(content)), 0
    for replica, offset, length, whole in chunks:
        offset = min(offset, sent, len(content) - 1)
        end = min(offset + length, len(content))
        send(stores[replica], upload, offset, content[offset:end], whole)
        sent = max(sent, end) if whole else sent
        assert stores[1 - replica].received(upload) == sent
    if sent < len(content):
        send(first, upload, sent, content[sent:])
    file = stores[1].finish(upload)
    assert first.path("ann", file).read_bytes() == content


def test_gaps_and_too_much_are_refused(replicas) -> None:
    store = replicas[0]
    upload = begin(store, size=10)
    with pytest.raises(Problem, match="begins at 5 and 0 bytes have come"):
        store.chunk(upload, 5)
    with pytest.raises(Problem, match="more bytes come than the 10"):
        send(store, upload, 0, b"x" * 11)
    send(store, upload, 0, b"x" * 4)
    with pytest.raises(Problem, match="4 bytes have come of a file of 10"):
        store.finish(upload)
    assert store.received(upload) == 4
    free = begin(store)
    with pytest.raises(Problem, match="0 bytes have come"):
        store.finish(free)
    with pytest.raises(Problem, match="more bytes come than the 1,000"):
        send(store, free, 0, b"x" * 1001)
    for size in (0, -1, 1001):
        with pytest.raises(Problem, match="may have 1 to 1,000 bytes"):
            begin(store, size=size)


def test_what_is_anothers_looks_like_nothing(replicas) -> None:
    store = replicas[0]
    name = uploaded(store, b"secret", owner="ann")
    assert store.get("ann", name).size == 6
    for work in (store.get, store.delete):
        with pytest.raises(Problem) as other:
            work("bob", name)
        with pytest.raises(Problem) as none:
            work("bob", "files/nothing")
        assert other.value.message.replace(name, "") == none.value.message.replace("files/nothing", "")
    assert store.listed("bob", 10, None) == ([], None)
    assert store.get("ann", name)


def test_names(replicas) -> None:
    store = replicas[0]
    assert uploaded(store, b"a", name="files/my-file") == "files/my-file"
    assert uploaded(store, b"b", name="files/my-file", owner="bob") == "files/my-file"
    with pytest.raises(Problem) as taken:
        begin(store, name="my-file")
    assert taken.value.code == 409
    assert store.path("ann", store.get("ann", "my-file")).read_bytes() == b"a"


@given(st.text(max_size=60) | st.sampled_from(["..", "files/../x", "a/b", "a\0", "-a", "a-", "A", "a" * 41, "\u0661"]))
def test_no_name_leaves_the_directory(tmp_path_factory, name: str) -> None:
    store = Store(Path(tmp_path_factory.getbasetemp()) / "names", Limits())
    try:
        path = store._described("ann", name)
    except Problem as problem:
        assert problem.code == 400
    else:
        assert path.parent == store._directory("ann") and path.name == f"{name.removeprefix('files/')}.json"
    for id in (name, name * 8):
        with pytest.raises(Problem, match="no such upload"):
            store.upload(id)


def test_expiry(replicas, clock) -> None:
    store, limits = replicas[0], replicas[0].limits
    name = uploaded(store, b"x" * 10)
    unfinished = begin(store)
    send(store, unfinished, 0, b"y")
    data = store.path("ann", store.get("ann", name))
    store.sweep()
    assert store.get("ann", name) and store.upload(unfinished.id)
    clock.now += limits.file_seconds
    with pytest.raises(Problem, match="expired"):
        store.get("ann", name)
    with pytest.raises(Problem, match="expired"):
        store.upload(unfinished.id)
    assert store.listed("ann", 10, None) == ([], None)
    clock.now = os.stat(data).st_mtime + limits.file_seconds + 7200
    store.sweep()
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_quota(replicas) -> None:
    store = replicas[0]
    for n in range(2):
        uploaded(store, b"x" * 1000, name=f"n{n}")
    with pytest.raises(Problem, match="2,501 bytes, and 2,500 is the limit") as full:
        begin(store, size=501)
    assert full.value.code == 429
    sly = begin(store)  # says nothing of its size
    send(store, sly, 0, b"x" * 501)
    with pytest.raises(Problem, match="2,500 is the limit"):
        store.finish(sly)
    assert begin(store, size=501, owner="bob")
    store.delete("ann", "n0")
    assert store.finish(sly).size == 501
    begin(store), begin(store), begin(store)
    with pytest.raises(Problem, match="5 files"):
        begin(store)


def test_pages(replicas, clock) -> None:
    store, names = replicas[0], []
    for n in range(5):
        clock.now += 1
        names.append(uploaded(store, b"x", name=f"files/n{n}"))
    found, after = [], None
    while True:
        page, after = store.listed("ann", 2, after)
        found += [file.name for file in page]
        if after is None:
            break
    assert found == names[::-1]
    with pytest.raises(Problem, match="pageToken"):
        store.listed("ann", 2, "zzz")


def test_a_cancelled_upload_is_gone(replicas) -> None:
    upload = begin(replicas[0])
    chunk = replicas[1].chunk(upload, 0)
    chunk.write(b"x")
    replicas[0].cancel(upload)
    with pytest.raises(Problem, match="cancelled"):
        chunk.commit()
    chunk.close()
    for store in replicas:
        with pytest.raises(Problem, match="no such upload"):
            store.upload(upload.id)


@pytest.mark.parametrize("mime", ["", "image", "image/", "a b/c", "image/png\r\nX: y", "é/a", "a/" + "b" * 65])
def test_mime_types_that_are_none(replicas, mime: str) -> None:
    with pytest.raises(Problem, match="MIME type"):
        replicas[0].begin("ann", mime=mime, size=1, name=None, display_name="")
