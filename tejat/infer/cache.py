"""The keys and values that a prompt and its answer leave behind: a ring on sliding layers, all of them on full ones.

A layer that shares keys stores none. Which position a slot holds follows from the number of tokens read so far, so
nothing is stored but keys, values and that number: `tejat family` tells the bytes.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tejat.model.decoder import Context, DecoderConfig, Kind, block, head_shape
from tejat.model.layers import rms_norm
from tejat.model.narrow import product
from tejat.model.params import Tree


class Cache(NamedTuple):
    """Of every layer with keys of its own, (keys, values); and how many tokens each row has read.

    Position p is in slot p modulo the number of slots: a full layer has one for every position, a sliding layer as
    many as its window.
    """

    layers: tuple[tuple[Float[Array, "B S K N"], Float[Array, "B S K N"]], ...]
    length: Int[Array, " B"]


def empty_cache(
    config: DecoderConfig, batch: int, length: int, dtype: Any = jnp.float32, *, rings: bool = True
) -> Cache:
    """Room for `length` positions in each of `batch` rows. Without `rings` sliding layers keep all of them too."""
    layers = []
    for kind in config.kinds:
        if not kind.shares:
            slots = min(length, config.window) if rings and kind.attention == "sliding" else length
            shape = (batch, slots, *head_shape(config, kind.attention))
            layers.append((jnp.zeros(shape, dtype), jnp.zeros(shape, dtype)))
    return Cache(tuple(layers), jnp.zeros(batch, jnp.int32))


def run_cached(
    params: Tree,
    config: DecoderConfig,
    x: Float[Array, "B T D"],
    context: Context,
    places: Int[Array, "B T"],
    cache: Cache,
    per_layer: Float[Array, "B T L E"] | None = None,
) -> tuple[Float[Array, "B T D"], Cache]:
    """`decoder.run` over new tokens, which read and extend a cache.

    `places` number a row's tokens on from `cache.length` (-1: padding). Intervals speak of places, and may look ahead
    no further than the tokens given: what sees itself both ways, an image, must come whole. Rotary positions are those
    that `context` was made with. `params` may have its layers apart.
    """
    counters = dict.fromkeys(params["blocks"], 0)
    shared: dict[str, tuple[Array, ...]] = {}
    length = jnp.maximum(cache.length, places.max(axis=1) + 1)
    updated: list[tuple[Array, Array]] = []
    for index, kind in enumerate(config.kinds):
        layers, at = params["blocks"][kind.name], counters[kind.name]
        weights = layers[at] if isinstance(layers, tuple) else jax.tree.map(lambda a, at=at: a[at], layers)
        counters[kind.name] += 1
        extra = None if per_layer is None else per_layer[:, :, index]
        old = None if kind.shares else cache.layers[len(updated)]
        borrowed = shared[kind.attention] if kind.shares else None
        x, keys, kept = _layer(weights, config, kind, x, context, extra, borrowed, old, places, cache.length, length)
        if kept is not None:
            shared[kind.attention] = keys
            updated.append(kept)
    return rms_norm(x, params["final_norm"], config.epsilon), Cache(tuple(updated), length)


@functools.partial(jax.jit, static_argnames=("config", "kind"))
def _layer(
    weights: Tree, config: DecoderConfig, kind: Kind, x, context: Context, extra, borrowed, old, places, *lengths
):
    """(x after one block, the keys that it looked at, what is kept of them).

    Compiled with what calls it; a function of its own so that layers of one kind are traced once and not each.
    """
    if kind.shares:
        return *block(weights, config, kind, x, context, extra, borrowed, product=product), None
    kept = []

    def remember(k, v):
        mine, visible = _extend(old, (k, v), places, *lengths, kind.attention == "sliding")
        kept.append(mine)
        return visible

    return *block(weights, config, kind, x, context, extra, None, remember, product), kept[0]


def _extend(old: tuple[Array, Array], new: tuple[Array, Array], places, before, after, ring: bool):
    """(what is kept, what the new tokens look at: keys, values and, of a ring, the place of each).

    What is written first and looked at then needs no copy: all of a full layer, and a single token of a ring. Several
    tokens look at the old ring and at themselves, since writing them would overwrite keys that the first still see.
    """
    batch, slots = old[0].shape[:2]
    # Padding and all but the last `slots` tokens go to slot `slots`: out of bounds, dropped.
    stays = (places >= 0) & (places >= after[:, None] - slots)
    slot = jnp.where(stays, places % slots, slots)
    rows = jnp.arange(batch)[:, None]
    fresh = tuple(n.astype(o.dtype) for o, n in zip(old, new, strict=True))
    kept = tuple(o.at[rows, slot].set(n, mode="drop") for o, n in zip(old, fresh, strict=True))
    if not ring:
        return kept, kept  # slot and place are one, and no interval reaches a slot that is not written yet
    if places.shape[1] == 1:
        return kept, (*kept, _held(after, slots))
    both = (jnp.concatenate(pair, axis=1) for pair in zip(old, fresh, strict=True))
    return kept, (*both, jnp.concatenate([_held(before, slots), places], axis=1))


def _held(length: Int[Array, " B"], slots: int) -> Int[Array, "B S"]:
    """The place that each slot of a ring holds after `length` tokens: the last that falls to it, -1 where none has."""
    last = length[:, None] - 1
    place = last - (last - jnp.arange(slots, dtype=jnp.int32)) % slots
    return jnp.maximum(place, -1)


def chunks(
    real: Bool[np.ndarray, "B T"], blocks: Int[np.ndarray, "B T"] | None, size: int
) -> Iterator[Int[np.ndarray, "B C"]]:
    """Places of the tokens to read together, at most `size` of a row, -1 where it has no more; `real` ones come first.

    With `blocks`, tokens of one image (equal ids > 0) stay together, and `size` grows to the longest image.
    """
    rows, length = real.shape
    index = np.broadcast_to(np.arange(length), real.shape)
    first = index  # of the image that a token stands in
    if blocks is not None:
        begins = np.ones(real.shape, bool)
        begins[:, 1:] = (blocks[:, 1:] != blocks[:, :-1]) | (blocks[:, 1:] == 0)
        first = np.maximum.accumulate(np.where(begins, index, 0), axis=1)
    size = min(max(size, int((index - first).max(initial=0)) + 1), length)
    lengths, start = real.sum(axis=1), np.zeros(rows, int)
    while (start < lengths).any():
        stop = np.minimum(start + size, lengths)
        cut = first[np.arange(rows), np.minimum(stop, length - 1)]
        stop = np.where(stop < lengths, cut, stop)
        places = start[:, None] + np.arange(size)
        yield np.where(places < stop[:, None], places, -1).astype(np.int32)
        start = stop
