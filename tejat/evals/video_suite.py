"""Clips: what moves and how, which of two, what is shown, how to throw better.

Every task again with grey frames, and with the frames in another order: motion must then be lost, and what a thing is
need not.
"""

from functools import partial
from typing import Any

from tejat.data.presenting import moving, sprites
from tejat.data.presenting.wording import LANGUAGES
from tejat.evals.answering import Choosing
from tejat.evals.ground import HELD_OUT, Ground, mixed, rng
from tejat.evals.images_suite import _others
from tejat.evals.report import Section
from tejat.evals.tasks import Item, Task
from tejat.parts import Text, Turn, Video

SUITE = "video"
CHOICES = 8
FRAMES = {"motion": 6, "motion-16-frames": 16}


def tasks(ground: Ground) -> list[Task]:
    """All by likelihood."""
    made: list[Task] = [
        Choosing(SUITE, name, partial(motions, ground, count), by_length=True) for name, count in FRAMES.items()
    ]
    made += [
        Choosing(SUITE, "which-moves", partial(movers, ground), by_length=True),
        Choosing(SUITE, "what", partial(shown, ground), by_length=True),
        Choosing(SUITE, "advice", partial(throws, ground), by_length=True),
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
        mover = moving.Mover(sprites.some_sprite(raw.blobs, random), raw.fields["names"]["en"], moving._KINDS[kind])
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
        kinds = [moving._KINDS[int(i)] for i in random.permutation(8)[:2]]
        names = [raw.fields["names"]["en"] for raw in chosen]
        if names[0] == names[1]:
            continue
        both = [
            moving.Mover(sprites.some_sprite(raw.blobs, random), name, kind)
            for raw, name, kind in zip(chosen, names, kinds, strict=True)
        ]
        said = moving.WORDS["motions"]["en"][moving._KINDS.index(kinds[0])]
        turns = (Turn("user", (_clip(both, 6, random), Text(f"Which one {said}?"))),)
        made.append(
            Item(f"{n:04d}", str(n), turns, (names[0],), choices=mixed(names[0], names[1:], random), chance=0.5)
        )
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


def throws(ground: Ground) -> list[Item]:
    """A throw falls short, goes too far or hits: what should be changed?"""
    raws = ground.heldout("concepts")
    made = []
    for n in range(min(ground.most, 240)):
        random = rng(SUITE, "advice", n)
        document = moving.throw(raws, int(random.integers(len(raws))), random)
        video, asked, answer = document.parts
        language = next(tag for tag, advice in moving.WORDS["advice"].items() if answer.text in advice)
        choices = tuple(moving.WORDS["advice"][language])
        turns = (Turn("user", (video, asked)),)
        tags = {"throw": ("short", "far", "hit")[choices.index(answer.text)]}
        made.append(Item(f"{n:04d}", str(n), turns, (answer.text,), choices=choices, chance=1 / 3, tags=tags))
    return made


def _clip(movers: list[moving.Mover], count: int, random) -> Video:
    return Video(moving.frames(movers, count, random), tuple(round(moving.STEP * n, 3) for n in range(count)))
