"""Photographs of Debian's desktops and a planetarium, and the test pictures of scikit-image, cut small.

Of every picture the whole, as far as it is square, and of large ones cuts at random places and scales. What is cut of
one picture, and all tiles of one landscape, are on one side of the split.
"""

import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as pillow

from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item
from tejat.data.splits import by_checksum

SIDE = 192  # pixels of a cut
CUTS = {"nebula": 1, "landscape": 12, "wallpaper": 8, "background": 12, "skimage": 4}
"""Cuts of a picture by what it is: most of a nebula is black."""

PLAIN = 8.0  # standard deviation of the values of a cut that shows nothing
HELD_OUT_SHARE = 0.08
_QUALITY = 88
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
# Of scikit-image: drawings, text, masks, and pictures of patients.
_NO_PHOTOGRAPHS = ("chess", "color", "logo", "text", "page", "horse", "phantom", "multipage", "retina", "ihc", "micro")
_SKIES = "usr/share/stellarium"


def photographs(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "photograph": "group", "package"; a square of 192 x 192 at most, `photograph.webp`."""
    for package, group, path in _pictures(paths):
        try:
            with pillow.open(path) as picture:
                picture.draft("RGB", (2_048, 2_048))  # JPEG is decoded no larger than it needs to be
                # What is transparent is cut around: below it is anything.
                pixels = picture.convert("RGBA")
        except (OSError, pillow.DecompressionBombError) as error:
            dropped.drop("pictures that cannot be read", f"{path.name}: {error}")
            continue
        if min(pixels.size) < SIDE // 2:
            dropped.drop(f"pictures below {SIDE // 2} pixels", path.name)
            continue
        seed = zlib.crc32(f"{group}/{path.name}".encode())
        for square in _squares(pixels, seed, CUTS[group.partition("/")[0]]):
            if np.asarray(square)[..., 3].min() < 255 or np.asarray(square)[..., :3].std() < PLAIN:
                dropped.drop("cuts that are not all there, or show nothing", path.name)
                continue
            packed = io.BytesIO()
            square.convert("RGB").save(packed, "WEBP", quality=_QUALITY, method=4)
            fields = {"group": group, "package": package}
            yield Item("photograph", fields, {"photograph.webp": packed.getvalue()})


def heldout(item: Item) -> bool:
    """Is what it was cut of kept from training?"""
    return by_checksum("photograph", item.fields["group"], HELD_OUT_SHARE)


def _pictures(paths: Paths) -> Iterator[tuple[str, str, Path]]:
    """(package, group, file), in order."""
    if root := paths.get("stellarium-data"):
        for path in _files(root / _SKIES / "nebulae"):
            yield "stellarium-data", f"nebula/{path.stem}", path
        for path in _files(root / _SKIES / "landscapes"):
            yield "stellarium-data", f"landscape/{path.parent.name}", path
    if root := paths.get("plasma-workspace-wallpapers"):
        for folder in sorted((root / "usr/share/wallpapers").iterdir()):
            # One picture in many sizes, some also dark.
            for images in sorted(folder.glob("contents/images*")):
                if found := _files(images):
                    largest = max(found, key=lambda path: path.stat().st_size)
                    yield "plasma-workspace-wallpapers", f"wallpaper/{folder.name}", largest
    for package in ("gnome-backgrounds", "mate-backgrounds"):
        if root := paths.get(package):
            for path in _files(root / "usr/share/backgrounds"):
                yield package, f"background/{path.stem.removesuffix('-d').removesuffix('-l')}", path
    if root := paths.get("scikit-image"):
        for path in _files(root / "skimage/data"):
            if not path.stem.startswith(_NO_PHOTOGRAPHS):
                yield "scikit-image", f"skimage/{path.stem.split('_')[0]}", path


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS) if folder.exists() else []


def _squares(pixels: pillow.Image, seed: int, cuts: int) -> Iterator[pillow.Image]:
    random, shorter = np.random.default_rng(seed), min(pixels.size)
    places = [(shorter, 0.5, 0.5)]
    if shorter >= 2 * SIDE:
        # From the whole down to a little more than what is kept: a photograph is as sharp in all of them.
        sizes = np.exp(random.uniform(np.log(1.5 * SIDE), np.log(shorter), cuts))
        places += [(int(size), *random.random(2)) for size in sizes]
    for size, across, down in places:
        x, y = round((pixels.width - size) * across), round((pixels.height - size) * down)
        square = pixels.crop((x, y, x + size, y + size))
        side = min(size, SIDE)
        yield square.resize((side, side), pillow.Resampling.LANCZOS) if size != side else square
