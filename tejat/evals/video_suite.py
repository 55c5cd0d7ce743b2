"""Clips: what moves and how, which of two, which comes first, how often, what is shown, how to throw better.

Every task again with grey frames, and with the frames in another order: motion must then be lost, and what a thing is
need not.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow

from tejat.data.presenting import moving, sprites
from tejat.data.presenting.wording import LANGUAGES
from tejat.data.shards import Item as Raw
from tejat.evals.answering import Choosing
from tejat.evals.ground import HELD_OUT, Ground, mixed, rng
from tejat.evals.images_suite import _others
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Text, Turn, Video

SUITE = "video"
CHOICES = 8
FRAMES = {"motion": 6, "motion-16-frames": 16}
ADVISED = {"advice": 6, "advice-16-frames": 16}  # training has six
MOST = 4  # times that a thing is seen


def tasks(ground: Ground) -> list[Task]:
    """All by likelihood."""
    made: list[Task] = [
        Choosing(SUITE, name, partial(motions, ground, count), by_length=True) for name, count in FRAMES.items()
    ]
    made += [
        Choosing(SUITE, "which-moves", partial(movers, ground), by_length=True),
        Choosing(SUITE, "which-first", partial(ordered, ground), by_length=True),
        Choosing(SUITE, "times", partial(counted, ground)),
        Choosing(SUITE, "what", partial(shown, ground), by_length=True),
        *(Choosing(SUITE, name, partial(throws, ground, count), by_length=True) for name, count in ADVISED.items()),
    ]
    return [task.with_(origin=HELD_OUT, ways=("blanked", "shuffled"), batch=64) for task in made]


def sections(model: Any) -> list[Section]:
    return []


def motions(ground: Ground, frames: int) -> list[Item]:
    """What does the thing do? One of nine motions."""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 360)):
        random = rng(SUITE, "motion", frames, n)
        kind = n % 8
        raw = raws[int(random.integers(len(raws)))]
        mover = moving.Mover(sprites.some_sprite(raw.blobs, random), raw.fields["names"]["en"], moving.KINDS[kind])
        video = _clip([mover], frames, random)
        said = moving.WORDS["motions"]["en"]
        asked = moving.WORDS["does"]["en"][0].format(name=mover.name)
        turns = (Turn("user", (video, Text(asked))),)
        tags = {"motion": said[kind]}
        made.append(Item(f"{n:04d}", str(n), turns, (said[kind],), choices=tuple(said), chance=1 / 9, tags=tags))
    return made


def movers(ground: Ground) -> list[Item]:
    """Which of two things does this?"""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 240)):
        random = rng(SUITE, "which", n)
        chosen = [raws[int(i)] for i in random.permutation(len(raws))[:2]]
        kinds = [moving.KINDS[int(i)] for i in random.permutation(8)[:2]]
        names = [raw.fields["names"]["en"] for raw in chosen]
        if names[0] == names[1]:
            continue
        both = [
            moving.Mover(sprites.some_sprite(raw.blobs, random), name, kind)
            for raw, name, kind in zip(chosen, names, kinds, strict=True)
        ]
        said = moving.WORDS["motions"]["en"][moving.KINDS.index(kinds[0])]
        turns = (Turn("user", (_clip(both, 6, random), Text(f"Which one {said}?"))),)
        made.append(
            Item(f"{n:04d}", str(n), turns, (names[0],), choices=mixed(names[0], names[1:], random), chance=0.5)
        )
    return made


def ordered(ground: Ground) -> list[Item]:
    """One thing for eight frames, then another: which comes first, or last?"""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 240)):
        random = rng(SUITE, "order", n)
        chosen = [raws[int(i)] for i in random.permutation(len(raws))[:2]]
        names = [raw.fields["names"]["en"] for raw in chosen]
        if names[0] == names[1]:
            continue
        scene = sprites.ground(random, moving.SIDE, moving.SIDE)
        video = _timed([_shown(scene, raw, random) for raw in chosen for _ in range(8)])
        at, asked = (0, "first") if n % 2 else (1, "last")
        turns = (Turn("user", (video, Text(f"Which comes {asked}?"))),)
        choices, tags = mixed(names[at], (names[1 - at],), random), {"asked": asked}
        made.append(Item(f"{n:04d}", str(n), turns, (names[at],), choices=choices, chance=0.5, tags=tags))
    return made


def counted(ground: Ground) -> list[Item]:
    """A thing comes and goes in sixteen frames: how often is it there?"""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 240)):
        random, times = rng(SUITE, "times", n), 1 + n % MOST
        raw = raws[int(random.integers(len(raws)))]
        scene = sprites.ground(random, moving.SIDE, moving.SIDE)
        there, empty = _shown(scene, raw, random), sprites.laid(scene, [])
        seen = np.zeros(16, bool)
        for begin in np.linspace(1, 16, times, endpoint=False).astype(int):  # for a frame or two, and never on end
            seen[begin : begin + int(random.integers(1, 3))] = True
        asked = f"How many times is this seen: {raw.fields['names']['en']}?"
        turns = (Turn("user", (_timed([there if one else empty for one in seen]), Text(asked))),)
        choices, tags = tuple(map(str, range(1, MOST + 1))), {"times": str(times)}
        made.append(Item(f"{n:04d}", str(n), turns, (str(times),), choices=choices, chance=1 / MOST, tags=tags))
    return made


def shown(ground: Ground) -> list[Item]:
    """What does an animated picture show?"""
    raws = ground.heldout("clips")
    made = []
    for n in range(min(ground.most, 3 * len(raws))):
        k, random = n % len(raws), rng(SUITE, "what", n)
        language = LANGUAGES[n // len(raws)]
        fields = raws[k].fields
        wrong = _others(raws, k, language, CHOICES - 1, random)
        document = moving.animation(raws, k, random)
        if language not in fields["names"] or len(wrong) < CHOICES - 1:
            continue
        asked = Text(moving.WORDS["shows"][language][0])
        made.append(
            Item(
                *(
                    f"{n:04d}",
                    fields["group"],
                    (Turn("user", (document.parts[0], asked)),),
                    (fields["names"][language],),
                ),
                choices=mixed(fields["names"][language], wrong, random),
                chance=1 / CHOICES,
                tags={"language": language},
            )
        )
    return made


def throws(ground: Ground, frames: int) -> list[Item]:
    """A throw falls short, goes too far or hits: what should be changed?"""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 240)):
        random = rng(SUITE, "advice", n)
        document = moving.throw(raws, int(random.integers(len(raws))), random, frames)
        video, asked, answer = document.parts
        language = next(tag for tag, advice in moving.WORDS["advice"].items() if answer.text in advice)
        choices = tuple(moving.WORDS["advice"][language])
        turns = (Turn("user", (video, asked)),)
        tags = {"throw": ("short", "far", "hit")[choices.index(answer.text)]}
        made.append(Item(f"{n:04d}", str(n), turns, (answer.text,), choices=choices, chance=1 / 3, tags=tags))
    return made


def _clip(movers: list[moving.Mover], count: int, random: np.random.Generator) -> Video:
    return _timed(moving.frames(movers, count, random))


def _timed(frames: Sequence[np.ndarray]) -> Video:
    return Video(np.stack(frames), tuple(round(moving.STEP * n, 3) for n in range(len(frames))))


def _shown(scene: pillow.Image, raw: Raw, random: np.random.Generator) -> UInt8[np.ndarray, "S S 3"]:
    """A drawing of a thing somewhere on a ground."""
    sprite = sprites.scaled(sprites.some_sprite(raw.blobs, random), moving.SIDE * random.uniform(0.45, 0.7))
    left, top = (int(random.integers(moving.SIDE - side + 1)) for side in sprite.size)
    return sprites.laid(scene, [(sprite, left, top)])
