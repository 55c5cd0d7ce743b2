"""Clips of things that move over a ground, with questions; a throw at a goal, and how to throw better."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow

from tejat.data.presenting import sprites
from tejat.data.presenting.wording import CALLED, LANGUAGES, asking, language, one, wordings
from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn, Video

SIDE = 96  # pixels
FRAMES = (4, 5, 6)
STEP = 0.5  # seconds between frames

WORDS = wordings("moving")
"""Of these, "motions" tells what a thing does, in the order of `KINDS`, and "advice" what to say of a throw that falls
short, goes too far, hits."""

KINDS = ("left", "right", "up", "down", "grow", "shrink", "spin", "fade", "stand")
_WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@dataclass(frozen=True)
class Mover:
    """A thing in a clip: its sprite, its name and what it does, one of `KINDS`."""

    sprite: pillow.Image
    name: str
    kind: str


def clip(
    items: Sequence[Item], k: int, random: np.random.Generator, further: Sequence[str] = ("true",) * 2
) -> Document:
    """A clip of item k, sometimes with another, and a question or two; one in eight is of a throw.

    `further` questions may be drawn in other languages than English: eleven of them share what it has alone, and `mini`
    told true from false in it only.
    """
    if random.random() < 0.12:
        return throw(items, k, random)
    spoken = language(random, [tag for tag in LANGUAGES if tag in items[k].fields["names"]])
    movers = [
        Mover(sprites.some_sprite(items[k].blobs, random), items[k].fields["names"][spoken], one(KINDS[:8], random))
    ]
    if random.random() < 0.35:
        other = items[sprites.others(items, k, 1, random)[0]] if len(items) > 1 else items[k]
        name = other.fields["names"].get(spoken)
        if name and name != movers[0].name:
            kind = one([kind for kind in KINDS if kind != movers[0].kind], random)
            movers.append(Mover(sprites.some_sprite(other.blobs, random), name, kind))
    count = one(FRAMES, random)
    video = Video(frames(movers, count, random), tuple(round(STEP * n, 3) for n in range(count)))
    turns: list[Turn] = []
    answered: set[str] = set()
    kinds = ["happens", "happens", "does", "who", "true", *(further if spoken != "en" else ())]
    for kind in random.permutation(kinds)[: int(random.integers(1, 3))]:
        asked, answer = _question(movers, str(kind), spoken, random)
        if answer in answered:
            continue
        answered.add(answer)
        turns.append(Turn("user", (Text(asked),) if turns else (video, Text(asked))))
        turns.append(Turn("model", (Text(answer),)))
    return Document.from_turns(turns, "clip")


def frames(movers: Sequence[Mover], count: int, random: np.random.Generator) -> UInt8[np.ndarray, "n S S 3"]:
    """The frames of a clip. Two things have a half of it each, one above the other or side by side."""
    ground = sprites.ground(random, SIDE, SIDE)
    stacked = not any(_WAYS.get(m.kind, (0, 0))[1] for m in movers)  # who moves up or down needs the whole height
    turn = random.uniform(40, 80) * one((-1, 1), random)
    sizes = [random.uniform(0.8, 1.1) for _ in movers]
    asides = [random.uniform(-0.06, 0.06) for _ in movers]
    drawn = []
    for n in range(count):
        done = n / (count - 1)
        laid = []
        for place, mover in enumerate(movers):
            room = SIDE / len(movers)
            laid.append(
                _at(mover, done, n * turn, room, sizes[place], asides[place], _middle(place, len(movers), stacked))
            )
        drawn.append(sprites.laid(ground, laid))
    return np.stack(drawn)


def animation(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """An animated thing and what it is: "names" by language, "seconds"; `clip.anim` is a WebP after four bytes."""
    fields = items[k].fields
    with pillow.open(io.BytesIO(items[k].blobs["clip.anim"][4:])) as moving:
        drawn = []
        ground = sprites.ground(random, SIDE, SIDE)
        count = getattr(moving, "n_frames", 1)
        for n in range(0, count, one((1, 2), random)):
            moving.seek(n)
            drawn.append(sprites.laid(ground, [(moving.convert("RGBA"), 0, 0)]))
    step = max(0.05, fields["seconds"] / len(drawn))
    video = Video(np.stack(drawn), tuple(round(step * n, 3) for n in range(len(drawn))))
    if random.random() < 0.3:
        spoken = one([tag for tag in fields["names"] if tag in CALLED], random)
        asked = f"What does the clip show, in {CALLED[spoken]}?"
    else:
        spoken = language(random, [tag for tag in LANGUAGES if tag in fields["names"]])
        asked = asking(WORDS["shows"], spoken, random)
    turns = (Turn("user", (video, Text(asked))), Turn("model", (Text(fields["names"][spoken]),)))
    return Document.from_turns(turns, "animation")


def throw(items: Sequence[Item], k: int, random: np.random.Generator, count: int = 6) -> Document:
    """Item k flies towards a post and falls short of it, goes too far, or hits: how should it be thrown?

    The clip takes a second, in `count` frames.
    """
    spoken = language(random)
    result = int(random.integers(3))
    post = random.uniform(0.55, 0.75)
    landing = (post * random.uniform(0.45, 0.75), post + random.uniform(0.14, 0.24), post)[result]
    ball = sprites.scaled(sprites.some_sprite(items[k].blobs, random), 0.16 * SIDE)
    ground = sprites.ground(random, SIDE, SIDE)
    floor = pillow.new("RGB", (SIDE, 6), (90, 140, 70))
    ground.paste(floor, (0, SIDE - 6))
    goal = pillow.new("RGB", (5, 30), (200, 40, 40))
    ground.paste(goal, (round(post * SIDE) - 2, SIDE - 36))
    rise = random.uniform(0.5, 0.8)
    drawn = []
    for n in range(count):
        done = n / (count - 1)
        x = 0.06 + (landing - 0.06) * done
        y = 0.84 - 4 * rise * done * (1 - done) - (0.12 * done if result == 2 else 0)
        laid = [(ball, round(x * SIDE - ball.width / 2), max(0, round(y * SIDE - ball.height / 2)))]
        drawn.append(sprites.laid(ground, laid))
    video = Video(np.stack(drawn), tuple(round(n / (count - 1), 3) for n in range(count)))
    asked = asking(WORDS["better"], spoken, random)
    turns = (Turn("user", (video, Text(asked))), Turn("model", (Text(WORDS["advice"][spoken][result]),)))
    return Document.from_turns(turns, "throw")


def _middle(place: int, count: int, stacked: bool) -> tuple[float, float]:
    """Where a thing has its place, in parts of the side."""
    if count == 1:
        return 0.5, 0.5
    half = (0.25, 0.75)[place]
    return (0.5, half) if stacked else (half, 0.5)


def _at(
    mover: Mover, done: float, angle: float, room: float, size: float, aside: float, middle: tuple[float, float]
) -> sprites.Laid:
    """The sprite at a moment, `done` from 0 to 1, and where it is laid."""
    x, y = (SIDE * at for at in middle)
    side = 0.62 * size * room
    if mover.kind in _WAYS:
        side = min(0.34 * SIDE, 0.8 * room) * size
        right, down = _WAYS[mover.kind]
        travel = (SIDE - side) * (done - 0.5)
        x, y = x + travel * right + (aside * room if down else 0), y + travel * down + (aside * room if right else 0)
    elif mover.kind == "grow":
        side = room * (0.2 + 0.75 * done)
    elif mover.kind == "shrink":
        side = room * (0.95 - 0.75 * done)
    sprite = sprites.scaled(mover.sprite, side)
    if mover.kind == "spin":
        sprite = sprite.rotate(angle, pillow.Resampling.BILINEAR, expand=True)
    if mover.kind == "fade":
        sprite.putalpha(sprite.getchannel("A").point([int(a * (1 - 0.92 * done)) for a in range(256)]))
    return sprite, round(x - sprite.width / 2), round(y - sprite.height / 2)


def _question(movers: Sequence[Mover], kind: str, spoken: str, random: np.random.Generator) -> tuple[str, str]:
    motions = WORDS["motions"][spoken]
    told = [f"{m.name}: {motions[KINDS.index(m.kind)]}" for m in movers]
    chosen = int(random.integers(len(movers)))
    mover, motion = movers[chosen], motions[KINDS.index(movers[chosen].kind)]
    if kind == "does":
        return asking(WORDS["does"], spoken, random, name=mover.name), motion
    if kind == "who" and len(movers) > 1:
        return asking(WORDS["who"], spoken, random, motion=motion), mover.name
    if kind == "true":
        asked, true, false = WORDS["true"][spoken]
        right = random.random() < 0.5
        wrong = one([m for m in motions if m != motion], random)
        return asked.format(told=told[chosen] if right else f"{mover.name}: {wrong}"), true if right else false
    return asking(WORDS["happens"], spoken, random), ", ".join(told)
