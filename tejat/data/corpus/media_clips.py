"""Animated emoji as clips of a few frames, named as the concepts that they are of."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as pillow

from tejat.data.corpus import media_concepts
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

PACKAGES = tuple(f"@lobehub/fluent-emoji-anim-{part}" for part in (1, 2, 3, 4))
STYLE = "fluent-emoji-anim"  # of the family "fluent"
FRAMES, SIDE = 8, 96  # frames of a clip, equally spaced, and their sides in pixels
RATE = 24.0  # frames a second, about: the files tell no durations
MARK = b"CLIP"
STILL = 1.5  # mean difference of neighbouring frames, of 255, below which nothing moves


def clips(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "clip": "names" by language, "seconds" of the clip; the blob `clip.anim` has its frames."""
    files = {
        media_concepts.code(path.stem): path
        for name in PACKAGES
        if name in paths
        for path in sorted((paths[name] / "assets").glob("*.webp"))
    }
    for concept in media_concepts.read(paths):
        if concept.id not in files:
            continue
        frames, seconds = _frames(files[concept.id])
        if len(frames) < FRAMES or _moved(frames) < STILL:
            dropped.drop("animations in which nothing moves", concept.names["en"])
            continue
        fields = {
            "concept": concept.id,
            "names": concept.names,
            "styles": [STYLE],
            "seconds": round(seconds, 2),
            "group": media_concepts.kin(concept.id),
        }
        yield Item("clip", fields, {"clip.anim": packed(frames)})


def heldout(item: Item) -> bool:
    """Is its concept kept from training?"""
    return media_concepts.is_held_out(item.fields["concept"])


def packed(frames: Sequence[pillow.Image]) -> bytes:
    """Frames as one blob: an animated WebP behind a mark of four bytes. A clip is not to be compared as a picture: its
    first frame mostly is the still drawing of the thing."""
    whole = io.BytesIO()
    frames[0].save(whole, "WEBP", save_all=True, append_images=frames[1:], quality=70, method=4, duration=100)
    return MARK + whole.getvalue()


def _frames(path: Path) -> tuple[list[pillow.Image], float]:
    """(frames, seconds of the whole animation)"""
    with pillow.open(path) as picture:
        count = getattr(picture, "n_frames", 1)
        found = []
        if count >= FRAMES:
            for n in range(FRAMES):
                picture.seek(n * count // FRAMES)
                found.append(picture.convert("RGBA").resize((SIDE, SIDE), pillow.Resampling.LANCZOS))
    return found, count / RATE


def _moved(frames: list[pillow.Image]) -> float:
    values = np.stack([np.asarray(frame, np.float32) for frame in frames])
    return float(np.abs(np.diff(values, axis=0)).mean())
