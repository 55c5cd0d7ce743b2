"""The parsers of media, each on a piece of what it reads."""

import io
import json
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from tejat import media, parts
from tejat.data import drawing, splits
from tejat.data.corpus import (
    media_charts,
    media_clips,
    media_concepts,
    media_dialogues,
    media_generated,
    media_sayings,
    media_sound,
    media_sources,
    media_stamps,
    media_voices,
    text_sources,
)
from tejat.data.corpus.source import Dropped
from tejat.data.presenting import KINDS
from tejat.data.shards import Item
from tejat.errors import BadInput
from tejat.parts import RATE, Audio

pytest.importorskip("resvg_py", reason="needs `pip install tejat[data]`")

CAT, BAT, CROWN, FLAG, CHINA = "1F408", "1F987", "1F451", "1F1E8-1F1ED", "1F1E8-1F1F3"
BODY = '<path fill="red" d="M0 0h16v16H0z"/>'


def put(root: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return root


def png(size: tuple[int, int] = (64, 48), colour: tuple[int, ...] = (200, 30, 30, 255)) -> bytes:
    out = io.BytesIO()
    pillow.new("RGBA", size, colour).save(out, "PNG")
    return out.getvalue()


def wav(seconds: float = 1.0, loud: float = 0.3) -> bytes:
    return parts.to_wav(Audio((loud * np.sin(np.arange(int(seconds * RATE)) * 0.2)).astype(np.float32)))


def pack(icons: dict[str, str], chars: dict[str, str] | None = None, aliases: dict | None = None) -> dict[str, object]:
    told = {"icons": {n: {"body": b} for n, b in icons.items()}, "aliases": aliases or {}, "width": 16, "height": 16}
    return {"icons.json": told, "chars.json": chars or {}}


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("packages")
    labels = {CAT: "cat", BAT: "bat", CROWN: "crown", FLAG: "flag: Switzerland", CHINA: "flag: China"}
    german = {CAT: "Katze", BAT: "Fledermaus", CROWN: "Krone", FLAG: "Flagge: Schweiz", CHINA: "Flagge: China"}

    def data(names: dict[str, str]) -> list[dict]:
        return [
            {"hexcode": id, "label": name, "emoji": "".join(chr(int(c, 16)) for c in id.split("-")), "tags": [name],
             "group": 3, "subgroup": 5}
            for id, name in names.items()
        ]  # fmt: skip

    emojibase = {
        "en/data.json": data(labels),
        "de/data.json": data(german),
        "en/shortcodes/github.json": {CROWN: "royal"},
        "meta/groups.json": {"groups": {"3": "animals-nature"}, "subgroups": {"5": "animal-mammal"}},
        "en/messages.json": {"subgroups": [{"key": "animal-mammal", "message": "mammals"}]},
        "de/messages.json": {"subgroups": [{"key": "animal-mammal", "message": "Säugetiere"}]},
    }
    noto = pack({"cat": BODY, "bat": BODY}, {"1f408": "cat", "1f987": "bat"})
    fxemoji = pack({"royal": BODY, "bat": BODY, "nothing": BODY, "cat": '<path class="st0"/>'})
    emojione = pack({"flag-for-switzerland": BODY, "tabby": BODY}, aliases={"cat": {"parent": "tabby"}})
    frames = [pillow.new("RGBA", (32, 32), (20 * n, 0, 0, 255)) for n in range(10)]
    moving = io.BytesIO()
    frames[0].save(moving, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    still = io.BytesIO()
    frames[0].save(still, "WEBP")
    return {
        "emojibase-data": put(root / "emojibase", emojibase),
        "@iconify-json/noto": put(root / "noto", noto),
        "@iconify-json/fxemoji": put(root / "fxemoji", fxemoji),
        "@iconify-json/emojione": put(root / "emojione", emojione),
        "@lobehub/fluent-emoji-anim-1": put(
            root / "anim", {"assets/1f408.webp": moving.getvalue(), "assets/1f451.webp": still.getvalue()}
        ),
    }


def test_drawings_are_joined_by_code_point_and_by_name(packages):
    report = media_concepts.Report()
    found = {concept.id: [d.style for d in concept.drawings] for concept in media_concepts.read(packages, report)}
    assert found == {
        CAT: ["noto", "emojione"],  # emojione's by an alias; fxemoji's has lost its style sheet
        BAT: ["noto"],  # not the club
        CROWN: ["fxemoji"],  # by a short code
        FLAG: ["emojione"],
        CHINA: [],
    }
    assert report.unknown["fxemoji"] == ["bat", "nothing"] and report.broken["fxemoji"] == ["cat"]


def test_concepts_part_into_what_is_learnt_and_what_is_held_out(packages):
    dropped = Dropped()
    items = list(media_concepts.concepts(packages, dropped))
    for item in items:
        styles = {media_concepts.STYLES[style] for style in item.fields["styles"]}
        concept = media_concepts.is_held_out(item.fields["concept"])
        held = concept or bool(styles & set(media_concepts.HELD_OUT_FAMILIES))
        assert media_concepts.heldout(item) == held
        assert sorted(name.split(".")[0] for name in item.blobs) == sorted(item.fields["styles"])
    sides = {item.fields["group"]: media_concepts.heldout(item) for item in items}
    assert len(sides) == len({(i.fields["group"], media_concepts.heldout(i)) for i in items})  # a group is on one side
    cat = next(item for item in items if item.fields["concept"] == CAT)
    assert cat.fields["names"] == {"en": "cat", "de": "Katze"} and cat.fields["category"]["de"] == "Säugetiere"
    assert "drawings of fxemoji that fit no concept" in dropped.counts


def test_kin_are_on_one_side():
    runner, woman, dark = "1F3C3", "1F3C3-200D-2640", "1F3C3-1F3FF-200D-2642"
    assert media_concepts.kin(runner) == media_concepts.kin(woman) == media_concepts.kin(dark)
    assert media_concepts.kin("1F468-200D-1F33E") == media_concepts.kin("1F469-200D-1F33E")
    ids = [f"{n:X}" for n in range(0x1F300, 0x1F300 + 3_000)]
    assert 0.08 < np.mean([media_concepts.is_held_out(id) for id in ids]) < 0.12
    listed = json.loads((splits.FOLDER / "concept.json").read_text())["heldout"]
    assert all(media_concepts.is_held_out(id) for id in listed)


def test_a_drawing_is_rasterised_once():
    svg = media_concepts.svg(BODY, {}, {"width": 16, "height": 16})
    first = drawing.pixels(svg, 32)
    assert first.shape == (32, 32, 4) and (first[16, 16] == (255, 0, 0, 255)).all()
    assert np.array_equal(drawing.pixels(svg, 32), first)
    points = svg.replace(b"viewBox", b'width="16pt" height="16pt" viewBox')
    assert drawing.pixels(points, 32).shape == (32, 32, 4)
    assert drawing.pixels(png((20, 10)), 40).shape == (20, 40, 4)
    for bad in (b"", b"<svg ", b"no picture"):
        with pytest.raises(BadInput, match="cannot be rasterised"):
            drawing.pixels(bad, 16)


def test_animations_that_move_become_clips(packages):
    dropped = Dropped()
    (item,) = media_clips.clips(packages, dropped)
    assert item.fields["concept"] == CAT and dropped.counts == {"animations in which nothing moves": 1}
    with pillow.open(io.BytesIO(item.blobs["clip.anim"].removeprefix(media_clips.MARK))) as clip:
        assert clip.n_frames == media_clips.FRAMES


def test_recordings_are_trimmed_and_levelled():
    quiet = np.zeros(RATE, np.float32)
    tone = 0.02 * np.sin(np.arange(RATE) * 0.2).astype(np.float32)
    sound = media_sound.recording(parts.to_wav(Audio(np.concatenate([quiet, tone, quiet]))))
    assert 1.0 <= sound.seconds <= 1.2
    assert np.sqrt(np.mean(np.square(sound.samples))) == pytest.approx(media_sound.LOUD, rel=0.01)
    heard = media.read_audio(media_sound.opus(sound))
    assert heard.rate == RATE and abs(heard.seconds - sound.seconds) < 0.1
    for bad in (parts.to_wav(Audio(quiet)), wav(0.1), wav(30.0)):
        with pytest.raises(BadInput):
            media_sound.recording(bad)


def test_stamps_with_captions_and_readings(packages, tmp_path):
    root = "usr/share/tuxpaint/stamps/animals"
    files = {
        f"{root}/cat.png": png(),
        f"{root}/cat.txt": b"A cat.\nde.utf8=Eine Katze.\nfr.utf8=Un chat.\npt_BR.utf8=Um gato.\n",
        f"{root}/cat_desc_fr.ogg": wav(),
        f"{root}/cat_desc_ru.ogg": wav(),
        f"{root}/cat_desc.ogg": wav(1.0, 0.0),
        f"{root}/dot.png": png((9, 9)),
        f"{root}/dot.txt": b"A dot.\n",
        f"{root}/lost.txt": b"Lost.\n",
        "usr/share/tuxpaint/stamps/symbols/alphabet/a.txt": b"A\n",
    }
    paths = {"tuxpaint-stamps-default": put(tmp_path, files), "emojibase-data": packages["emojibase-data"]}
    dropped = Dropped()
    (stamp,) = media_stamps.stamps(paths, dropped)
    assert stamp.fields["names"] == {"en": "A cat.", "de": "Eine Katze.", "fr": "Un chat.", "pt": "Um gato."}
    assert stamp.fields["concept"] == CAT and media_stamps.heldout(stamp) in (True, False)
    assert sum(dropped.counts.values()) == 3
    dropped = Dropped()
    (reading,) = media_stamps.readings(paths, dropped)
    assert (reading.fields["language"], reading.fields["text"]) == ("fr", "Un chat.")
    assert sorted(reading.blobs) == ["speech.opus", "stamp.webp"] and sum(dropped.counts.values()) == 2


def test_what_is_of_a_held_out_concept_is_held_out():
    held = json.loads((splits.FOLDER / "concept.json").read_text())["heldout"][0]
    fields = {"group": "g", "concept": held, "speaker": "espeak/de+m1"}
    assert media_stamps.heldout(Item("stamp", fields)) and media_voices.heldout(Item("speech", fields))
    assert media_clips.heldout(Item("clip", fields))
    tone = media_voices.HELD_OUT_TONES[0]
    assert media_voices.heldout(Item("speech", {"group": "g", "level": "x", "speaker": f"espeak/de+{tone}"}))


def test_a_level_is_on_one_side_acted_spoken_by_a_machine_and_written():
    sides = []
    for level in (f"level{n}" for n in range(300)):
        grouped = {"group": f"fillets/{level}"}
        acted = media_dialogues.heldout(Item("speech", grouped))
        said = media_voices.heldout(Item("speech", {"group": "g", "level": level, "speaker": "espeak/de+m1"}))
        assert acted == said == text_sources.DIALOGUES.heldout(Item("parallel", grouped))
        sides.append(acted)
    assert 10 < sum(sides) < 60


def test_acted_lines_have_their_text_and_its_translations(tmp_path):
    level = "usr/share/games/fillets-ng/script/intro"
    sound = "usr/share/games/fillets-ng/sound/intro/cs"

    def script(text: str) -> bytes:
        return f'dialogId("a", "font_small", "Hello")\ndialogStr("{text}")\n'.encode()

    scripts = {f"{level}/dialogs_cs.lua": script("Ahoj"), f"{level}/dialogs_de.lua": script("Hallo")}
    paths = {
        "fillets-ng-data": put(tmp_path / "a", scripts),
        "fillets-ng-data-cs": put(tmp_path / "b", {f"{sound}/a.ogg": wav(), f"{sound}/z.ogg": wav()}),
    }
    dropped = Dropped()
    (item,) = media_dialogues.dialogues(paths, dropped)
    assert item.fields["text"] == "Ahoj" and item.fields["texts"] == {"cs": "Ahoj", "de": "Hallo"}
    assert item.fields["speaker"] == "fillets/cs/font_small"
    assert dropped.counts == {"recordings whose line is not in the script": 1}


def test_a_voice_that_is_not_there_is_told(tmp_path):
    speak = media_voices.Speaker({"espeak-ng": tmp_path})
    with pytest.raises(BadInput, match="cannot be run"):
        speak("hello", "en", 160, 50)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_a_voice_speaks():
    said = media_voices.Speaker({})("hello world", "en-us", 160, 50)
    with wave.open(io.BytesIO(said)) as file:
        assert file.getframerate() == 22_050
    with pytest.raises(BadInput):
        media_voices.Speaker({})("hello", "qqq", 160, 50)  # "no-such" would be Norwegian


def test_sayings_are_of_nothing_and_by_nobody_that_is_held_out(packages, monkeypatch):
    said = []

    class Speaking:
        def __init__(self, paths):
            pass

        def __call__(self, text, voice, rate, pitch):
            said.append((text, voice))
            return wav()

    monkeypatch.setattr(media_sayings, "Library", Speaking)
    monkeypatch.setattr(media_concepts, "is_held_out", lambda id: id == BAT)
    items = list(media_sayings.sayings(packages, Dropped()))
    assert {(item.fields["language"], item.fields["text"]) for item in items} == {
        *(("en", name) for name in ("cat", "crown", "flag: Switzerland", "flag: China")),
        *(("de", name) for name in ("Katze", "Krone", "Flagge: Schweiz", "Flagge: China")),
    }  # no bat, and each once
    assert [text for text, _ in said] == [item.fields["text"] for item in items]
    assert not {*media_sayings.TONES} & {*media_voices.HELD_OUT_TONES}
    assert not any(media_sayings.heldout(item) for item in items)
    assert all(item.fields["texts"][item.fields["language"]] == item.fields["text"] for item in items)
    again = media_sayings.sayings(packages, Dropped())
    assert [item.fields for item in items] == [item.fields for item in again]


@pytest.mark.parametrize("text", ["Room 101", "no\nlines", "a", "50%", "x" * 71, "{name}"])
def test_what_letters_do_not_tell_is_not_said(text):
    assert not media_sayings._sayable(text) and media_sayings._sayable("Who’s there? I, Anna-Lena.")


def test_a_library_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadInput, match="cannot be loaded"):
        media_sayings.Library({"espeak-ng-data": tmp_path})


def test_tables_of_a_data_set_are_small_and_say_what_they_hold():
    random = np.random.default_rng(0)
    columns = {
        "rownames": list(range(60)),
        "year": [1960.0 + n for n in range(60)],
        "kind": [("a", "b", "c")[n % 3] for n in range(60)],
        "yield": [float(n % 7) + 0.125 for n in range(60)],
        "size": [1000.0 + 37.77 * n for n in range(60)],
    }
    tables = list(media_charts._tables("Some_data", columns, random))
    assert {table["shape"] for table in tables} == {"categories", "series", "points"}
    assert len(tables) <= media_charts.TABLES and all(table["title"] == "Some data" for table in tables)
    for table in tables:
        assert len(table["labels"]) == len(table["values"]) <= 50
        assert all(float(f"{value:.3g}") == value for value in table["values"])
    counts = next((t for t in tables if t["y"] == "count"), None)
    assert counts is None or dict(zip(counts["labels"], counts["values"], strict=True)) == {"a": 20, "b": 20, "c": 20}


def test_charts_of_json_and_csv_are_split_by_data_set(tmp_path):
    rows = [{"name": f"city {n}", "population": 1000 + 31 * n * n, "where": {"lat": 1}} for n in range(12)]
    table = "year,price\n" + "".join(f"{1990 + n},{3.5 * n + 1}\n" for n in range(20))
    paths = {"vega-datasets": put(tmp_path, {"data/cities.json": rows, "data/movies.csv": table.encode()})}
    items = list(media_charts.charts(paths, Dropped()))
    assert {item.fields["group"] for item in items} == {"vega/cities", "vega/movies"}
    assert all(media_charts.heldout(item) for item in items if item.fields["group"] == "vega/movies")


def test_words_of_instructions_are_none_that_is_held_out(packages):
    items = list(media_generated.instructions(packages, Dropped()))
    assert items == []  # five words are too few


def test_the_manifests_are_whole():
    names = [source.name for source in media_sources.ALL]
    assert len(set(names)) == len(names)
    for source in (*text_sources.ALL, *media_sources.ALL):  # what the permissive corpus is chosen by
        shared = any(name in source.licence for name in ("GPL", "FDL", "-SA", "MPL", "EPL", "CDDL", "ODbL"))
        assert source.copyleft == (shared or "as the packages" in source.licence), (source.name, source.licence)
    for source in (media_sources.ARITHMETIC, media_sources.PHYSICS, media_sources.RETRIEVAL):
        item = next(iter(source.items({}, Dropped())))
        measure = source.measure(item)
        assert item.kind in KINDS and measure.documents > 0 and sum(measure.tokens) > 0


def test_espeak_names_its_languages():
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    listed = subprocess.run(["espeak-ng", "--voices"], capture_output=True, text=True).stdout
    assert all(voice in listed for voice in media_voices.LANGUAGES.values())
