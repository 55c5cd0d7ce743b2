"""Documents packed into rows of fixed length, their images and sounds into buffers beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, UInt8

from tejat.codecs.audio import Continuation, soft_count
from tejat.codecs.framing import Encoded, Modality
from tejat.codecs.image import Patches
from tejat.codecs.picture import Drawn
from tejat.errors import BadInput
from tejat.model.multimodal import Inputs, Media, ModelConfig


@dataclass(frozen=True)
class Room:
    """Fixed sizes of a batch: rows; tokens, predicted tokens, patches and sounds of a row; frames of a sound.

    `images` of a row need a bound only where they are resampled, each to as many soft tokens. `codes` of a row are
    those that a step of training makes itself, of pictures that the model is to draw; with none, documents bring them.
    """

    rows: int
    tokens: int
    targets: int
    patches: int
    sounds: int
    frames: int
    images: int | None = None
    codes: int = 0


class Pictures(NamedTuple):
    """Pictures of a batch whose codes are to be made, packed along each row.

    A token or target of V + q, beyond the V ids of the model, is the code of patch q of its row.
    """

    patches: UInt8[Array, "B Q C"]
    positions: Int[Array, "B Q 2"]
    images: Int[Array, "B Q"]  # from 1; 0 is padding


class Batch(NamedTuple):
    """What a training step takes. Targets are listed by place, so that scores are computed only where one is due.

    A step takes batches without `pictures`: `tejat.train.drawing` makes such of those that have some.
    """

    inputs: Inputs
    target_at: Int[Array, "B M"]  # the position whose hidden state predicts the target
    targets: Int[Array, "B M"]
    weights: Float[Array, "B M"]  # 0: no target here
    modality: Int[Array, "B M"]
    pictures: Pictures | None = None
    about: Int[Array, "B M"] | None = None  # the modality that the target's document shows or plays, 0 for text alone


class Size(NamedTuple):
    """What a document takes of a row."""

    tokens: int
    targets: int
    patches: int
    sounds: int
    images: int
    codes: int


class Row:
    """One row being filled."""

    def __init__(self, room: Room):
        self.room = room
        self.documents: list[Encoded] = []
        self.tokens = self.targets = self.patches = self.sounds = self.images = self.codes = 0

    def fits(self, size: Size) -> bool:
        """Is there room for all of a document?"""
        room = self.room
        return (
            self.tokens + size.tokens <= room.tokens
            and self.targets + size.targets <= room.targets
            and self.patches + size.patches <= room.patches
            and self.sounds + size.sounds <= room.sounds
            and self.codes + size.codes <= room.codes
            and (room.images is None or self.images + size.images <= room.images)
        )

    def add(self, document: Encoded, size: Size) -> None:
        """Adds a document that fits."""
        self.documents.append(document)
        self.tokens += size.tokens
        self.targets += size.targets
        self.patches += size.patches
        self.sounds += size.sounds
        self.images += size.images
        self.codes += size.codes

    def take(self, document: Encoded) -> bool:
        """Adds the document if all of it fits."""
        size = sizes(document)
        if fit := self.fits(size):
            self.add(document, size)
        return fit


def sizes(document: Encoded) -> Size:
    """What a document takes."""
    if not document.media:
        return Size(len(document.tokens), int(np.count_nonzero(document.loss[1:])), 0, 0, 0, 0)
    patches = [len(m.positions) for m in document.media if isinstance(m, Patches)]
    codes = [len(m.positions) for m in document.media if isinstance(m, Drawn)]
    sounds = len(document.media) - len(patches) - len(codes)
    due = np.count_nonzero(document.loss[1:])
    return Size(len(document), int(due), sum(patches), sounds, len(patches), sum(codes))


def fits(document: Encoded, room: Room) -> bool:
    """Could an empty row hold it?"""
    return Row(room).fits(sizes(document)) and longest_sound(document) <= room.frames


def longest_sound(document: Encoded) -> int:
    """Frames of the longest piece of sound."""
    return max((len(m) for m in document.media if not isinstance(m, Patches | Drawn)), default=0)


def collate(rows: Sequence[Row], config: ModelConfig, room: Room, pixels: DTypeLike = np.float32) -> Batch:
    """Arrays of a batch from filled rows. Patches are in [0, 1], or as they come, with `pixels` of uint8, as those of
    training are: sounds then come in half precision.

    Raises BadInput where images are resampled and `room` does not bound them.
    """
    count = len(rows)
    pool = config.vision.merged**2 if config.vision else 1
    square = 3 * config.vision.side**2 if config.vision else 0
    mels = config.audio.features if config.audio else 0
    latents = config.vision.latents if config.vision and config.vision.front_end == "resampled" else 0
    if latents and room.images is None:
        raise BadInput(f"the model {config.name!r} resamples its images; give the room of a batch a number of images")
    image_room = (room.images or 0) if room.patches else 0

    def columns(width: int, fill: int = 0, dtype: type = np.int32) -> np.ndarray:
        return np.full((count, width), fill, dtype)

    tokens, soft, positions = columns(room.tokens), columns(room.tokens, -1), columns(room.tokens)
    segments, blocks = columns(room.tokens), columns(room.tokens)
    patches = np.zeros((count, room.patches, square), pixels)
    patch_positions = np.zeros((count, room.patches, 2), np.int32)
    patch_images, patch_slots = columns(room.patches), columns(room.patches, -1)
    # Half precision is finer than what a tower computes in where it is trained fast; hosts make, keep and send half.
    mel = np.zeros((count, room.sounds, room.frames, mels), np.float16 if pixels == np.uint8 else np.float32)
    mel_real = np.zeros((count, room.sounds, room.frames), bool)
    # Pieces that go on are read one after the other: only where a whole piece fits can another follow it.
    follow = config.audio is not None and config.audio.streams and room.sounds > 1 and room.frames >= config.audio.piece
    goes_on = columns(room.sounds, False, bool) if follow else None
    target_at, targets, modality, about = (columns(room.targets) for _ in range(4))
    weights = columns(room.targets, 0, np.float32)
    image_patches = columns(image_room) if latents else None
    drawn = _no_pictures(config, room, count) if room.codes else None
    sound_base = image_room * latents if latents else room.patches // pool
    per_sound = soft_count(room.frames, config.audio.stride) if config.audio else 0
    code_base = sound_base + room.sounds * per_sound  # until all is placed, codes are numbered after soft tokens

    for r, row in enumerate(rows):
        at = patch_at = sound_at = images = target_count = block_base = code_at = pictures = 0
        for number, document in enumerate(row.documents, start=1):
            length = len(document)
            span = slice(at, at + length)
            tokens[r, span], positions[r, span], segments[r, span] = document.tokens, np.arange(length), number
            blocks[r, span] = np.where(document.blocks > 0, document.blocks + block_base, 0)
            block_base += int(document.blocks.max(initial=0))
            bases = []
            for medium in document.media:
                if isinstance(medium, Patches):
                    where = slice(patch_at, patch_at + len(medium.positions))
                    base = images * latents if latents else patch_at // pool
                    if image_patches is not None:
                        image_patches[r, images] = len(medium.positions)
                    images += 1
                    patches[r, where] = medium.pixels if patches.dtype == np.uint8 else medium.patches
                    patch_positions[r, where] = medium.positions
                    patch_images[r, where] = images
                    patch_slots[r, where] = np.where(medium.slots < 0, -1, medium.slots + base)
                    patch_at += len(medium.positions)
                elif isinstance(medium, Drawn):
                    where, pictures = slice(code_at, code_at + len(medium.positions)), pictures + 1
                    base = code_base + code_at
                    drawn.patches[r, where], drawn.positions[r, where], drawn.images[r, where] = *medium, pictures
                    code_at += len(medium.positions)
                else:
                    base = sound_base + sound_at * per_sound
                    mel[r, sound_at, : len(medium)] = medium
                    mel_real[r, sound_at, : len(medium)] = True
                    if goes_on is not None:
                        goes_on[r, sound_at] = isinstance(medium, Continuation)
                    sound_at += 1
                bases.append(base)
            if bases:
                placed = document.item >= 0
                soft[r, span][placed] = np.asarray(bases)[document.item[placed]] + document.soft[placed]
            due = np.flatnonzero(document.loss[1:])
            these = slice(target_count, target_count + len(due))
            target_at[r, these], targets[r, these] = at + due, document.tokens[due + 1]
            modality[r, these], weights[r, these] = document.modality[due + 1], 1.0
            about[r, these] = np.max(document.modality, where=document.modality != Modality.PICTURE, initial=0)
            target_count += len(due)
            at += length

    if drawn is not None:
        later = soft >= code_base
        tokens[later], soft[later] = config.decoder.vocabulary + soft[later] - code_base, -1
        targets = np.where(weights > 0, np.take_along_axis(tokens, (target_at + 1) * (weights > 0), axis=1), 0)
    media = Media(patches, patch_positions, patch_images, patch_slots, mel, mel_real, image_patches, goes_on)
    inputs = Inputs(tokens, soft, positions, segments, blocks, media)
    return Batch(inputs, target_at, targets, weights, modality, drawn, about)


def _no_pictures(config: ModelConfig, room: Room, count: int) -> Pictures:
    return Pictures(
        np.zeros((count, room.codes, 3 * config.picture.patch**2), np.uint8),
        np.zeros((count, room.codes, 2), np.int32),
        np.zeros((count, room.codes), np.int32),
    )


def empty(config: ModelConfig, room: Room) -> Batch:
    """A batch of nothing but padding: the shapes and types that a step of training is compiled for."""
    return collate([Row(room) for _ in range(room.rows)], config, room, np.uint8)


def pack_prompts(documents: Sequence[Encoded], config: ModelConfig, room: Room) -> Inputs:
    """One prompt a row, as the engine takes them; rows past the prompts stay empty."""
    rows = [Row(room) for _ in range(room.rows)]
    for row, document in zip(rows, documents, strict=False):
        row.documents.append(document)
    return collate(rows, config, room).inputs
