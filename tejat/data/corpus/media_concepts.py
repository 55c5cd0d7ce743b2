"""Concepts: one thing each, drawn in up to eleven styles and named in a hundred languages.

Emojibase says which concepts there are (Unicode's emoji without skin tones), with names and tags; CLDR's annotations
add languages. Packs of drawings are joined to them by code point where a pack tells it (`chars.json`), else by name:
what the label, Unicode's character name, the other packs and the usual short codes call a concept, in that order. Names
that fit nothing are counted, not guessed.
"""

import io
import json
import re
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image as pillow

from tejat.data.corpus.source import Dropped, Paths
from tejat.data.drawing import SIDE, rasterised
from tejat.data.shards import Item

STYLES = {
    "noto": "noto",
    "noto-v1": "noto",
    "twemoji": "twemoji",
    "openmoji": "openmoji",
    "fluent-emoji": "fluent",
    "fluent-emoji-flat": "fluent",
    "fluent-emoji-3d": "fluent",
    "emojione": "emojione",
    "emojione-v1": "emojione",
    "fxemoji": "fxemoji",
    "streamline-emojis": "streamline",
}
"""The family of each style: siblings are on one side of the split."""

HELD_OUT_FAMILIES = ("emojione", "openmoji")
HELD_OUT_SHARE = 0.10  # of the concepts, in every style
HEAVY = 10_000  # bytes of a drawing above which it is kept as pixels
LEAST_NAMES = 1_500  # names that a language must have, of some 1,900, to be taken from CLDR

# What Emojibase calls languages whose CLDR name differs, or that are only a variant of another.
VARIANTS = ("en-gb", "es-mx")
# Icons that draw something else than what Unicode means by their name: the club for the bat, the piano for the
# keyboard, a program's window, a sea wave for the waving hand. Found by looking at every icon that is joined by name.
MISNAMED = {
    *((style, name) for style in ("emojione-v1", "fxemoji") for name in ("bat", "keyboard", "window")),
    *(("fxemoji", name) for name in ("bow", "construction", "down", "wave")),
}
_GENDERED = {"1F468": "1F9D1", "1F469": "1F9D1"}  # man, woman: person
_MARKS = {"FE0F", "2640", "2642", *(f"1F3F{tone}" for tone in "BCDEF")}  # of presentation, gender and skin


@dataclass(frozen=True)
class Drawing:
    """How a style draws a concept: SVG text in UTF-8, or a WebP file."""

    style: str
    format: str  # "svg" or "webp"
    data: bytes


@dataclass(frozen=True)
class Concept:
    """A thing: its code points, names by language, English tags, categories by language, and drawings."""

    id: str  # code points in hexadecimal, without variation selectors: "1F3F4-200D-2620"
    emoji: str
    names: dict[str, str]
    tags: tuple[str, ...]
    group: str  # key of the group in Unicode's list: "animals-nature"
    subgroup: str  # "animal-mammal"
    categories: dict[str, str]  # the subgroup's name by language
    drawings: tuple[Drawing, ...]


@dataclass
class Report:
    """What was joined and what was dropped: drawings by style, names that fit no concept, drawings that are broken."""

    joined: Counter = field(default_factory=Counter)
    unknown: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def concepts(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "concept": those with drawings that are held out, then those for training.

    Fields: "concept" (its id), "emoji", "names" by language, "tags" and "group" (of Unicode's list) in English,
    "category" by language, "styles", and "axis" of what is held out, "concept" or "style". Blobs are named STYLE.svg or
    STYLE.webp.
    """
    report = Report()
    sides = [(concept, axis, drawings) for concept in read(paths, report) for axis, drawings in _sides(concept).items()]
    # What is held out comes first: of two pictures that are nearly the same, the later one is taken out.
    for concept, axis, drawings in sorted(sides, key=lambda side: side[1] == ""):
        fields = {
            "concept": concept.id,
            "emoji": concept.emoji,
            "names": concept.names,
            "tags": list(concept.tags),
            "list": concept.group,
            "category": concept.categories,
            "styles": [drawing.style for drawing in drawings],
            # Its own group: the trainer refuses whatever shares one with what is held out.
            "group": kin(concept.id) + (" in held-out styles" if axis == "style" else ""),
        }
        blobs = {f"{d.style}.{d.format}": d.data for d in map(_light, drawings)}
        yield Item("concept", fields | ({"axis": axis} if axis else {}), blobs)
    for style, names in report.unknown.items():
        dropped.drop(f"drawings of {style} that fit no concept", ", ".join(names[:8]), len(names))
    for style, names in report.broken.items():
        dropped.drop(f"drawings of {style} without their style sheet", ", ".join(names[:8]), len(names))


def heldout(item: Item) -> bool:
    """Is the item one of those with what is held out?"""
    return "axis" in item.fields


def read(paths: Paths, report: Report | None = None) -> Iterator[Concept]:
    """Concepts in Unicode's order, also those without a drawing. Packs that are not there are passed by; Emojibase must
    be there."""
    report = report or Report()
    folder = _Packages(paths)
    base = _base(folder)
    drawings: dict[str, list[Drawing]] = defaultdict(list)
    names = _name_table(folder, base)
    for style in STYLES:
        found = _three_d(folder, base) if style == "fluent-emoji-3d" else _pack(folder, style, base, names, report)
        for id, drawing in found:
            drawings[id].append(drawing)
            report.joined[style] += 1
    labels, categories = _labels(folder, base), _categories(folder)
    keys = json.loads((folder / "emojibase-data/meta/groups.json").read_text())
    for id, entry in base.items():
        subgroup = keys["subgroups"][str(entry["subgroup"])]
        yield Concept(
            id,
            entry["emoji"],
            labels[id],
            tuple(entry.get("tags", ())),
            keys["groups"][str(entry["group"])],
            subgroup,
            categories[subgroup],
            tuple(drawings[id]),
        )


def kin(id: str) -> str:
    """What concepts share that differ in gender or presentation alone; they are on one side of the split."""
    codes = [_GENDERED.get(code, code) for code in id.split("-") if code not in _MARKS]
    return "-".join(code for code in codes if code != "200D") or id


def is_held_out(id: str) -> bool:
    """Is the concept kept from training in every style? A tenth is, by a checksum of its kin."""
    return zlib.crc32(f"concept/{kin(id)}".encode()) % 1_000 < 1_000 * HELD_OUT_SHARE


def code(points: str) -> str:
    """Code points as ids have them: upper case, without variation selectors."""
    return "-".join(point for point in points.upper().split("-") if point != "FE0F")


def svg(body: str, icon: Mapping[str, Any], pack: Mapping[str, Any]) -> bytes:
    """An icon of an Iconify pack as a file of its own."""
    box = [icon.get(key, pack.get(key, default)) for key, default in _BOX.items()]
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {space} viewBox="{" ".join(f"{v:g}" for v in box)}">{body}</svg>'.encode()


class _Packages:
    """Paths in packages: `packages / "@scope/name/file"`."""

    def __init__(self, paths: Paths):
        self._paths = paths

    def __truediv__(self, path: str) -> Path:
        depth = 2 if path.startswith("@") else 1
        name, rest = "/".join(path.split("/")[:depth]), path.split("/")[depth:]
        return self._paths.get(name, Path("absent")).joinpath(*rest)


def _sides(concept: Concept) -> dict[str, list[Drawing]]:
    """Drawings by the axis on which they are held out, "" for training."""
    sides: dict[str, list[Drawing]] = defaultdict(list)
    for drawing in concept.drawings:
        apart = "style" if STYLES[drawing.style] in HELD_OUT_FAMILIES else ""
        sides["concept" if is_held_out(concept.id) else apart].append(drawing)
    return sides


def _light(drawing: Drawing) -> Drawing:
    """The drawing; one that is larger in lines than in pixels, as WebP."""
    if len(drawing.data) < HEAVY:
        return drawing
    picture, packed = pillow.fromarray(rasterised(drawing.data, SIDE)), io.BytesIO()
    picture.save(packed, "WEBP", quality=90, method=2)
    return Drawing(drawing.style, "webp", packed.getvalue())


_BOX = {"left": 0, "top": 0, "width": 16, "height": 16}


def _base(folder: _Packages) -> dict[str, dict[str, Any]]:
    entries = json.loads((folder / "emojibase-data/en/data.json").read_text())
    return {code(e["hexcode"]): e for e in entries if "group" in e and "subgroup" in e}


def _slug(name: str) -> str:
    name = unicodedata.normalize("NFKD", re.sub("['’]", "", name.lower()).replace("&", " and "))
    name = "".join(c for c in name if not unicodedata.combining(c))
    return re.sub("^flag-for-", "flag-", re.sub("[^a-z0-9#*]+", "-", name).strip("-"))


def _name_table(folder: _Packages, base: Mapping[str, dict]) -> dict[str, str]:
    """Slugs to ids. The first to claim a slug has it: the surest source comes first."""
    table: dict[str, str] = {}
    for id, entry in base.items():
        table.setdefault(_slug(entry["label"]), id)
    for id in base:
        if "-" not in id:
            table.setdefault(_slug(unicodedata.name(chr(int(id, 16)), "")), id)
    for style in STYLES:
        aliases = _aliases(_icons(folder, style))
        for id, name in _by_code_point(folder, style, base):
            for called in (name, *aliases.get(name, ())):
                table.setdefault(_slug(called), id)
    for path in sorted((folder / "emojibase-data/en/shortcodes").glob("*.json")):
        for points, short in json.loads(path.read_text()).items():
            for name in [short] if isinstance(short, str) else short:
                if code(points) in base:
                    # Marked, for these are wild: they serve the one pack that has names of its own.
                    table.setdefault(f":{_slug(name)}", code(points))
    table.pop("", None)
    return table


def _icons(folder: _Packages, style: str) -> dict[str, Any]:
    path = folder / f"@iconify-json/{style}/icons.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _aliases(pack: Mapping[str, Any]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for alias, of in pack.get("aliases", {}).items():
        if set(of) == {"parent"}:  # else it is turned or mirrored, and is another thing
            found[of["parent"]].append(alias)
    return found


def _by_code_point(folder: _Packages, style: str, base: Mapping[str, dict]) -> Iterator[tuple[str, str]]:
    """(id, name of the icon) for packs that tell."""
    path = folder / f"@iconify-json/{style}/chars.json"
    for points, name in (json.loads(path.read_text()) if path.exists() else {}).items():
        if code(points) in base:
            yield code(points), name


def _pack(
    folder: _Packages, style: str, base: Mapping[str, dict], names: Mapping[str, str], report: Report
) -> Iterator[tuple[str, Drawing]]:
    pack = _icons(folder, style)
    chosen = dict(_by_code_point(folder, style, base)) or _by_name(style, pack, names, report)
    for id, name in chosen.items():
        icon = pack["icons"].get(name)
        if icon and "class=" in icon["body"] and "<style" not in icon["body"]:
            report.broken[style].append(name)  # its style sheet was lost, and all of it is black
        elif icon:
            yield id, Drawing(style, "svg", svg(icon["body"], icon, pack))


def _by_name(style: str, pack: Mapping[str, Any], names: Mapping[str, str], report: Report) -> dict[str, str]:
    """Ids to icons. Where several fit (variants, a flag that two lands use), the one with the label's own name is."""
    squashed: dict[str, str] = {}
    for slug, known in names.items():
        squashed.setdefault(slug.replace("-", ""), known)
    aliases = _aliases(pack)
    chosen: dict[str, str] = {}
    for name in pack.get("icons", ()):
        for called in (name, *aliases.get(name, ())):
            slug = re.sub("-[0-9]+$", "", called) if style == "streamline-emojis" else called
            id = names.get(_slug(slug))
            if style == "fxemoji":
                id = id or squashed.get(slug) or squashed.get(f":{slug}")
            if id and (style, name) not in MISNAMED:
                if names[_slug(name)] == id if _slug(name) in names else id not in chosen:
                    chosen.setdefault(id, name)
                break
        else:
            if not re.search("skin-tone|-(light|medium|dark)$", name):
                report.unknown[style].append(name)
    return chosen


def _three_d(folder: _Packages, base: Mapping[str, dict]) -> Iterator[tuple[str, Drawing]]:
    # A few stand there twice, with and without a variation selector.
    paths = {code(path.stem): path for path in sorted((folder / "@lobehub/fluent-emoji-3d/assets").glob("*.webp"))}
    for id, path in paths.items():
        if id in base:
            yield id, Drawing("fluent-emoji-3d", "webp", path.read_bytes())


def _labels(folder: _Packages, base: Mapping[str, dict]) -> dict[str, dict[str, str]]:
    """Names by id and language: Emojibase's, then languages that only CLDR has."""
    labels: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted((folder / "emojibase-data").glob("*/data.json")):
        if path.parent.name not in VARIANTS:
            for entry in json.loads(path.read_text()):
                labels[code(entry["hexcode"])][path.parent.name] = entry["label"]
    emojibase = set().union(*map(set, labels.values()))
    by_emoji = {entry["emoji"].replace("\ufe0f", ""): id for id, entry in base.items()}
    for path in sorted((folder / "cldr-annotations-full/annotations").glob("*/annotations.json")):
        language = path.parent.name
        if "-" in language or language in emojibase | {"zh", "no"}:
            continue
        entries = json.loads(path.read_text())["annotations"].get("annotations", {})
        derived = folder / f"cldr-annotations-derived-full/annotationsDerived/{language}/annotations.json"
        if derived.exists():
            entries |= json.loads(derived.read_text())["annotationsDerived"].get("annotations", {})
        found = {by_emoji[char]: e["tts"][0] for char, e in _plain(entries) if char in by_emoji and e.get("tts")}
        own = sum(name != labels[id].get("en") for id, name in found.items())
        if own >= LEAST_NAMES:
            for id, name in found.items():
                labels[id][language] = name
    return labels


def _plain(entries: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return ((char.replace("\ufe0f", ""), entry) for char, entry in entries.items())


def _categories(folder: _Packages) -> dict[str, dict[str, str]]:
    """Names of subgroups by key and language."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted((folder / "emojibase-data").glob("*/messages.json")):
        if path.parent.name not in VARIANTS:
            for entry in json.loads(path.read_text())["subgroups"]:
                found[entry["key"]][path.parent.name] = entry["message"]
    return found
