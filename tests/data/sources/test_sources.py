"""Readers of every format on real files of it, whole and damaged: nothing is fatal but a path of no use at all."""

import base64
import bz2
import gzip
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tejat.data.shards import Item, Writer
from tejat.data.sources import FORMATS, detect, read
from tejat.errors import BadInput
from tejat.parts import Audio, Document, Image, Text, Turn, Video, to_json, to_png, to_wav

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
PICTURE = to_png(Image(PIXELS))
SOUND = to_wav(Audio(np.linspace(-0.5, 0.5, 1_600, dtype=np.float32)))


def texts(reading) -> list[str]:
    return [part.text for document in reading for part in document.parts if isinstance(part, Text)]


def write(folder: Path, **contents: bytes | str) -> Path:
    """Files by their names, with __ for the dot."""
    for name, content in contents.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


# ---- JSON lines and the interleaved format --------------------------------------------------------------------------
def lines(*records) -> str:
    return "".join((record if isinstance(record, str) else json.dumps(record)) + "\n" for record in records)


def test_interleaved_documents_with_files_flags_and_roles(tmp_path):
    write(tmp_path, cat__png=PICTURE, mew__wav=SOUND)
    inline = {"data": base64.b64encode(PICTURE).decode()}
    parts = [{"text": "A cat:"}, {"image": {"file": "cat.png"}}, {"audio": {"file": "mew.wav"}}, {"image": inline}]
    write(
        tmp_path,
        a__jsonl=lines(
            {"parts": parts, "loss": [True, False, False, True], "source": "album"},
            {"parts": ["What is it?", {"image": "cat.png"}, "A cat."], "roles": ["user", "user", "model"]},
            {"parts": ["seen"], "loss": False},
        ),
    )
    first, second, third = reading = [*read(str(tmp_path / "a.jsonl"))]
    assert [type(part) for part in first.parts] == [Text, Image, Audio, Image]
    np.testing.assert_array_equal(first.parts[1].pixels, PIXELS)
    assert first.parts[1] == first.parts[3] and first.loss == (True, False, False, True) and first.source == "album"
    assert second.roles == ("user", "user", "model") and second.loss == (False, False, True)
    assert third.loss == (False,) and third.source == "a.jsonl" and len(reading) == 3


def test_our_own_json_comes_back_as_it_was(tmp_path):
    film = Video(np.stack([PIXELS, PIXELS[::-1]]), (0.0, 0.4), Audio(np.zeros(800, np.float32)))
    whole = Document((Text("a"), film, Image(PIXELS)), (True, False, True), (None, None, None), "x")
    (tmp_path / "media").mkdir()
    write(tmp_path, inline__jsonl=lines(to_json(whole)))
    write(tmp_path / "media", files__jsonl=lines(to_json(whole, tmp_path / "media")))
    assert [*read(str(tmp_path / "inline.jsonl"))] == [*read(str(tmp_path / "media" / "files.jsonl"))] == [whole]


def test_messages_and_plain_records(tmp_path):
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"text": "Hello"}]},
            {"role": "assistant", "content": "Good day."}]  # fmt: skip
    told = [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}]
    write(tmp_path, a__jsonl=lines({"messages": chat}, {"conversations": told}, {"text": "plain", "source": "s"}))
    first, second, third = read(str(tmp_path / "a.jsonl"))
    assert first.turns()[1] == Turn("user", (Text("Hello"),)) and first.loss == (False, False, True)
    assert second.roles == ("user", "model") and third == Document.of([Text("plain")], source="s")


BAD_LINES = [
    ("not json", "lines that are not JSON"),
    ("[" * 100_000, "lines that are not JSON"),
    ("3", "it is a JSON int"),
    ('{"parts": []}', "it has no parts"),
    ('{"parts": [{"odour": 1}]}', "part 1 is neither text"),
    ('{"parts": ["a"], "loss": [1]}', '"loss" is not'),
    ('{"parts": ["a"], "loss": [true, false]}', "1 parts, 2 loss flags"),
    ('{"parts": ["a"], "roles": ["king"]}', '"roles" is'),
    ('{"parts": [{"image": {"file": "../../etc/passwd"}}]}', "is not below its folder"),
    ('{"parts": [{"image": "/etc/passwd"}]}', "is not below its folder"),
    ('{"parts": [{"image": {"file": "gone.png"}}]}', "gone.png"),
    ('{"parts": [{"image": {"data": "!"}}]}', "not base64"),
    ('{"parts": [{"audio": {"data": ""}}]}', "the audio"),
    ('{"parts": ["\\ud800"]}', "surrogate"),
    ('{"messages": []}', "it has no messages"),
    ('{"messages": [{"role": "user"}]}', "message 1 lacks"),
    ('{"messages": [{"role": "user", "content": []}]}', "turn 1 of the dialogue"),
    ('{"text": ""}', "its text is empty"),
    ('{"number": 3}', "it has none of the keys"),
    ('{"image": "cat.png"}', "its image has no caption"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=[reason for _, reason in BAD_LINES])
def test_bad_lines_are_passed_over_counted_and_listed(tmp_path, line, reason):
    write(tmp_path, a__jsonl=lines({"text": "before"}, line, {"text": "after"}))
    reading = read(str(tmp_path / "a.jsonl"))
    assert texts(reading) == ["before", "after"]
    assert sum(reading.dropped.counts.values()) == 1 and reading.documents == 2
    ((key, examples),) = reading.dropped.examples.items()
    assert reason in key + str(examples) or reason in str(reading.dropped.to_json())


def test_bytes_that_are_no_utf8_and_lines_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("tejat.data.sources.json_lines.LONGEST", 1_000)
    record = json.dumps({"text": "x"}).encode()
    write(tmp_path, a__jsonl=b"\n".join([b"\xff\xfe", record, b"y" * 5_000, record, b""]))
    reading = read(str(tmp_path / "a.jsonl"))
    assert texts(reading) == ["x", "x"] and [*reading.dropped.counts.values()] == [1, 1]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_packed_files_whole_and_cut_short(tmp_path, suffix, pack):
    packed = pack(lines(*({"text": f"number {k} of many"} for k in range(20_000))).encode())
    (tmp_path / f"whole.jsonl{suffix}").write_bytes(packed)
    (tmp_path / f"half.jsonl{suffix}").write_bytes(packed[: len(packed) // 2])
    assert len(texts(read(str(tmp_path / f"whole.jsonl{suffix}")))) == 20_000
    half = read(str(tmp_path / f"half.jsonl{suffix}"))
    if suffix == ".bz2":  # all of it is one block
        with pytest.raises(BadInput, match="half.jsonl.bz2 cannot be read"):
            next(half)
        return
    assert 0 < len(texts(half)) < 20_000 and [*half.dropped.counts] == ["files that end in damage"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_no_bytes_are_fatal(tmp_path, data):
    (tmp_path / "any.jsonl").write_bytes(data)
    assert all(isinstance(document, Document) for document in read(str(tmp_path / "any.jsonl")))


# ---- Tables and archives --------------------------------------------------------------------------------------------
def test_parquet_rows_with_text_and_pictures(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"image": {"bytes": PICTURE, "path": None}, "caption": f"cat {k}"} for k in range(150)]
    rows[3]["caption"], rows[4]["image"] = None, {"bytes": b"no picture", "path": None}
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=50)
    reading = read(str(tmp_path / "a.parquet"))
    assert texts(reading) == [f"cat {k}" for k in range(150) if k not in (3, 4)]
    assert reading.dropped.counts == {"records that are no documents": 2}
    write(tmp_path, bad__parquet=b"PAR1 and nothing")
    with pytest.raises(BadInput, match="bad.parquet is no whole Parquet file"):
        next(read(str(tmp_path / "bad.parquet")))
    both = read(str(tmp_path))
    assert len(texts(both)) == 148 and both.dropped.counts["files that end in damage"] == 1


def archive(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_webdataset_whole_and_cut_anywhere(tmp_path):
    members: list[tuple[str, bytes]] = []
    for k in range(6):
        members += [(f"d/{k}.png", PICTURE), (f"d/{k}.txt", f"cat {k}".encode())]
    members += [("d/6.png", PICTURE), ("d/7.wav", SOUND), ("d/7.json", b'{"transcript": "mew"}'), ("d/8.txt", b"only")]
    whole = archive(members)
    write(tmp_path, a__tar=whole)
    reading = read(str(tmp_path / "a.tar"))
    assert texts(reading) == [f"cat {k}" for k in range(6)] + ["mew", "only"]
    assert "d/6: its image has no caption" in reading.dropped.examples["records that are no documents"][0]
    for cut in range(700, len(whole), 1_300):
        write(tmp_path, half__tar=whole[:cut])
        half = read(str(tmp_path / "half.tar"))
        found = texts(half)
        assert found == ([f"cat {k}" for k in range(6)] + ["mew", "only"])[: len(found)]
    write(tmp_path, bad__tar=b"no tar at all" * 100)
    with pytest.raises(BadInput, match="bad.tar is no tar file"):
        next(read(str(tmp_path / "bad.tar")))


def test_array_record_shards_of_a_corpus(tmp_path):
    with Writer(tmp_path, "prose", "train", limit=300) as writer:
        for k in range(20):
            writer.write(Item("text", {"text": f"page {k} " + "x" * 50}))
    assert writer.shards > 1
    with Writer(tmp_path, "prose", "heldout") as writer:
        writer.write(Item("text", {"text": "kept from training"}))
    write(tmp_path / "prose", ledger__json="{}", heldout__json="{}")
    reading = read(str(tmp_path / "prose"))
    assert reading.format == "arrayrecord" and len(texts(reading)) == 20
    assert texts(read(str(tmp_path / "prose" / "heldout-00000.array_record"))) == ["kept from training"]
    assert {document.source for document in read(str(tmp_path / "prose"))} == {"prose"}
    shard = tmp_path / "prose" / "train-00000.array_record"
    assert texts(read(str(shard)))[0].startswith("page 0 ")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(BadInput, match="is no whole ArrayRecord file"):
        next(read(str(shard)))
    rest = read(str(tmp_path / "prose"))
    assert 0 < len(texts(rest)) < 20 and rest.dropped.counts == {"files that are damaged": 1}


# ---- Web pages ------------------------------------------------------------------------------------------------------
PARAGRAPH = (
    "The cat sat on the mat, and the dog, who had been out in the rain all day, lay down beside it to sleep. " * 4
)
PAGE = f"<html><body><nav><a href='/'>Home</a></nav><article><h1>Pets</h1><p>{PARAGRAPH}</p></article></body></html>"


def test_the_main_text_of_web_pages(tmp_path):
    pytest.importorskip("trafilatura")
    write(tmp_path, a__html=PAGE, b__html="", c__html=b"\x00\xff\x00")
    reading = read(str(tmp_path))
    (text,) = texts(reading)
    assert "the dog" in text and "Home" not in text
    assert reading.format == "html" and sum(reading.dropped.counts.values()) == 2


def test_archives_of_crawls(tmp_path):
    pytest.importorskip("trafilatura")
    warcio = pytest.importorskip("warcio")
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    out = io.BytesIO()
    writer = WARCWriter(out, gzip=True)
    for k, kind in enumerate(["text/html; charset=utf-8", "image/png", "text/html"]):
        head = StatusAndHeaders("200 OK", [("Content-Type", kind)], protocol="HTTP/1.1")
        body = io.BytesIO(PAGE.encode())
        writer.write_record(writer.create_warc_record(f"http://a.example/{k}", "response", body, http_headers=head))
    write(tmp_path, a__warc__gz=out.getvalue(), half__warc__gz=out.getvalue()[:-200], bad__warc=b"nothing of it\n" * 9)
    assert warcio and [d.source for d in read(str(tmp_path / "a.warc.gz"))] == [
        "http://a.example/0",
        "http://a.example/2",
    ]
    half = read(str(tmp_path / "half.warc.gz"))
    assert len([*half]) < 2 and half.dropped.counts == {"files that end in damage": 1}
    with pytest.raises(BadInput, match="bad.warc is no WARC archive"):
        next(read(str(tmp_path / "bad.warc")))


# ---- Folders --------------------------------------------------------------------------------------------------------
def test_plain_text_long_and_in_other_encodings(tmp_path, monkeypatch):
    monkeypatch.setattr("tejat.data.sources.text.LONGEST", 1_000)
    long = "".join(f"line {k} of a long file: äöü\n" for k in range(500))
    write(tmp_path, a__txt=long, b__md="\ufeffshort", c__txt="grün".encode("latin-1"), d__txt=" \n", e__txt="x" * 9_000)
    reading = read(str(tmp_path))
    found = [(Path(document.source).name, document.parts[0].text) for document in reading]
    assert "".join(text for name, text in found if name == "a.txt") == long
    assert all(len(text) < 2_100 and text.endswith("\n") for name, text in found if name == "a.txt")
    assert ("b.md", "short") in found and "".join(text for name, text in found if name == "e.txt") == "x" * 9_000
    assert reading.dropped.counts == {"files that are not UTF-8": 1, "files without text": 1}


def test_a_tree_of_code(tmp_path):
    for folder in ("src", ".git", "node_modules"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, a__py="def f():\n    return 1\n", logo__bin=b"\x00\x01")
    write(tmp_path / "src", min__js="var a=1;" * 2_000, Makefile="all:\n\ttrue\n", b__py=b"\xff")
    reading = read(str(tmp_path), "code")
    names = [Path(document.source).name for document in reading]
    assert names == ["Makefile", "a.py"]
    assert sum(reading.dropped.counts.values()) == 3 and detect(str(tmp_path)) == "code"


def test_pictures_with_captions_beside_them(tmp_path):
    write(tmp_path, a__png=PICTURE, a__txt="a cat", b__png=PICTURE, c__png=b"damaged", c__txt="x", d__png=PICTURE,
          e__png=PICTURE, e__txt=" ", metadata__jsonl=lines({"file_name": "d.png", "text": "a dog"}))  # fmt: skip
    reading = read(str(tmp_path))
    found = [(Path(d.source).name, d.parts[1].text, d.loss) for d in reading]
    assert found == [("a.png", "a cat", (False, True)), ("d.png", "a dog", (False, True))]
    assert reading.format == "images"
    assert reading.dropped.counts == {"media without a caption": 1, "media that cannot be used": 2}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.lab", "good day"),
        ("a.vtt", "WEBVTT\n\n1\n00:00.000 --> 00:01.000\ngood day\n"),
        ("metadata.csv", "a|Good day.|good day\n"),
        ("metadata.csv", "file_name,transcription\na.wav,good day\n"),
        ("x.trans.txt", "a good day\nb other words\n"),
    ],
)
def test_sounds_with_transcripts(tmp_path, name, content):
    write(tmp_path, a__wav=SOUND)
    (tmp_path / name).write_text(content)
    (document,) = read(str(tmp_path), "audio")
    assert isinstance(document.parts[0], Audio) and document.parts[1] == Text("good day")


def test_sounds_of_no_length_and_clips(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width = stream.height = 32
        for k in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 60 * k, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    write(tmp_path, a__txt="it grows lighter", b__mp4=b"\x00\x00\x00\x20ftypisom", b__txt="damaged")
    reading = read(str(tmp_path), "video")
    (document,) = reading
    assert isinstance(document.parts[0], Video) and reading.dropped.counts == {"media that cannot be used": 1}
    write(tmp_path, s__wav=to_wav(Audio(np.zeros(1, np.float32)))[:-4], s__txt="silence")
    silent = read(str(tmp_path), "audio")
    assert [*silent] == [] and silent.dropped.counts == {"media that cannot be used": 1}


# ---- Paths ----------------------------------------------------------------------------------------------------------
def test_urls_by_fsspec(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/room/a.jsonl", lines({"text": "far away"}).encode())
    memory.pipe("/room/pics/a.png", PICTURE)
    memory.pipe("/room/pics/a.txt", b"a cat")
    assert texts(read("memory://room/a.jsonl")) == ["far away"]
    assert texts(read("memory://room/pics")) == ["a cat"]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as packed:
        packed.writestr("in/a.txt", "zipped")
        packed.writestr("in/b.txt", "zipped too")
    assert sorted(texts(read(f"zip://in::{tmp_path}/z.zip"))) == ["zipped", "zipped too"]
    with pytest.raises(BadInput, match="nothing at memory://gone"):
        read("memory://gone")
    with pytest.raises(BadInput, match="cannot be reached"):
        read("gopher9://x/y.jsonl")


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "huggingface"])
def test_a_path_without_anything_is_refused_in_a_sentence(tmp_path, format):
    with pytest.raises(BadInput, match="there is nothing at .*gone; give a file"):
        next(read(str(tmp_path / "gone"), format))


def test_paths_that_do_not_tell(tmp_path):
    with pytest.raises(BadInput, match="is empty"):
        read(str(tmp_path))
    write(tmp_path, a__xyz="?")
    with pytest.raises(BadInput, match="does not tell its format; give one of jsonl"):
        read(str(tmp_path / "a.xyz"))
    with pytest.raises(BadInput, match="no format 'tfrecord'; choose one of jsonl"):
        read(str(tmp_path), "tfrecord")
    with pytest.raises(BadInput, match="holds no file that ends in .wav"):
        next(read(str(tmp_path), "audio"))


@pytest.mark.parametrize(
    ("library", "name"),
    [("pyarrow", "a.parquet"), ("trafilatura", "a.html"), ("warcio", "a.warc"), ("datasets", "hf:some/thing")],
)
def test_a_library_that_is_not_there_is_named(tmp_path, monkeypatch, library, name):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, f"{library}.archiveiterator", None)
    path = name if name.startswith("hf:") else str(tmp_path / name)
    if path != name:
        Path(path).write_bytes(b"x")
    with pytest.raises(BadInput, match=f"{library}.*install it by"):
        next(read(path))


def test_a_data_set_saved_by_hugging_face(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = [{"text": "one"}, {"text": ""}, {"text": "three"}]
    datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}).save_to_disk(tmp_path / "saved")
    reading = read(str(tmp_path / "saved"))
    assert reading.format == "huggingface" and texts(reading) == ["one", "three"]
    assert reading.dropped.counts == {"records that are no documents": 1}
    folder = tmp_path / "gone"
    with pytest.raises(BadInput, match="the data set hf:.*gone cannot be opened"):
        next(read(f"hf:{folder}"))
