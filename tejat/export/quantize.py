"""A model in four or eight bits: which weights go on the grid, how their scales are found, and what it costs.

"nearest" needs nothing but the weights. "fitted" looks for the scales that change the loss least, by how much the loss
of some documents minds each weight. What is no matrix stays in 16 bits.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from tejat.bundle import Bundle
from tejat.codecs.framing import Encoded
from tejat.codecs.picture import PictureCodec
from tejat.data import packing
from tejat.data.packing import Batch, Room
from tejat.errors import BadInput
from tejat.model import decoder, multimodal, picture, quantised
from tejat.model.params import Tree, unflatten, walk
from tejat.model.quantised import Bits, Quantised

Method = Literal["nearest", "fitted"]
Told = Callable[[str, int, int], None]
"""Hears how far a work is: what is done, how many times it has been, and how many in all."""


@dataclass(frozen=True)
class Plan:
    """Bits of the matrices of each part. `embedding` is the tied table of text and codes, `pictures` what draws: what
    encodes pictures keeps eight bits, so that their codes stay."""

    bits: Bits = 4
    embedding: Bits = 8
    pictures: Bits = 8
    method: Method = "fitted"


def _silent(what: str, done: int, of: int) -> None:
    """Tells nobody."""


def quantize(bundle: Bundle, plan: Plan, documents: Sequence[Encoded] = (), told: Told = _silent) -> Bundle:
    """The same model, its matrices `Quantised`. Raises BadInput where "fitted" has no documents to be fitted to."""
    importance: dict[str, Any] = {}
    if plan.method == "fitted":
        if not documents:
            raise BadInput("--method fitted needs documents to be fitted to; give some, or use --method nearest")
        from tejat.train.importance import importance as measure

        some = _counted(batches(bundle, documents), "documents whose loss is weighed", told)
        importance = dict(walk(measure(bundle.params, bundle.config, some)))

    def bits(name: str) -> Bits:
        return plan.embedding if name.endswith("embedding") else plan.bits

    params = _on_grid(bundle.params, multimodal.params(bundle.config), bits, importance, told)
    codec = bundle.pictures
    if codec is not None:

        def held(name: str) -> Bits:
            return plan.pictures if name.startswith("decoder.") else 8

        mine = _on_grid(codec.params, picture.params(codec.config), held, {}, told)
        codec = PictureCodec(mine, codec.config)
    return replace(bundle, params=params, pictures=codec)


def _counted(things: Iterable, what: str, told: Told) -> Iterator:
    every = [*things]
    for done, one in enumerate(every, 1):
        yield one
        told(what, done, len(every))


def _on_grid(arrays: Tree, tree: Tree, bits, importance: dict[str, Any], told: Told) -> Tree:
    found = {}
    pairs = [*zip(walk(arrays), walk(tree), strict=True)]
    for (name, array), (_, param) in _counted(pairs, "arrays", told):
        at = quantised.layout(name, param)
        found[name] = array if at is None else quantised.quantised(array, at, bits(name), importance.get(name))
    return unflatten(found)


def whole(bundle: Bundle) -> Bundle:
    """The model as it computes: codes turned into the numbers that they stand for."""

    def arrays(tree: Tree) -> Tree:
        return unflatten({n: leaf.array() if isinstance(leaf, Quantised) else leaf for n, leaf in walk(tree)})

    codec = bundle.pictures and PictureCodec(arrays(bundle.pictures.params), bundle.pictures.config)
    return replace(bundle, params=arrays(bundle.params), pictures=codec)


def size(bundle: Bundle) -> int:
    """Bytes of all weights; what is not on the grid in 16 bits."""
    trees = [bundle.params] + ([bundle.pictures.params] if bundle.pictures else [])
    leaves = [leaf for tree in trees for _, leaf in walk(tree)]
    return sum(leaf.nbytes if isinstance(leaf, Quantised) else 2 * np.size(leaf) for leaf in leaves)


@dataclass(frozen=True)
class Cost:
    """What a change of the weights does to predictions, over all targets of some documents."""

    targets: int
    bits: float
    """Of a target, by the model as it was."""
    bits_after: float
    divergence: float
    """KL(before || after) in bits, the mean over targets."""
    agreement: float
    """Share of targets whose likeliest id stays."""


def cost(before: Bundle, after: Bundle, documents: Sequence[Encoded], told: Told = _silent) -> Cost:
    """Both of them scored on documents; `after` as `whole` gives it."""
    sums = np.zeros(5)
    for batch in _counted(batches(before, documents), "documents measured on", told):
        sums += np.asarray(_compare(before.params, after.params, before.config, batch), np.float64)
    count, first, second, divergence, same = sums
    return Cost(int(count), *(x / count / math.log(2) for x in (first, second, divergence)), same / count)


def batches(bundle: Bundle, documents: Sequence[Encoded]) -> list[Batch]:
    """Of one document each. Rows have a few lengths, and all of one length the same room, so that few programs are
    compiled. Documents longer than the context, or with nothing that is learnt, are left out."""
    by_length: dict[int, list[Encoded]] = {}
    for document in documents:
        if len(document) <= bundle.config.context and document.loss[1:].any():
            by_length.setdefault(2 ** max(5, math.ceil(math.log2(len(document)))), []).append(document)
    return [batch for length, alike in sorted(by_length.items()) for batch in _rows(bundle, length, alike)]


def _rows(bundle: Bundle, length: int, documents: Sequence[Encoded]) -> list[Batch]:
    """Batches of documents that all find room in one that the largest need of each kind gives."""
    needs = [packing.sizes(document) for document in documents]
    pool = bundle.config.vision.merged**2 if bundle.config.vision else 1
    patches = -(-max(need.patches for need in needs) // (16 * pool)) * 16 * pool
    frames = max(map(packing.longest_sound, documents))
    frames = 2 ** math.ceil(math.log2(frames)) if frames else 0
    sounds, images = max(need.sounds for need in needs), max(1, *(need.images for need in needs))
    room = Room(1, length, length, patches, sounds, frames, images=images)
    found = []
    for document, need in zip(documents, needs, strict=True):
        row = packing.Row(room)
        row.add(document, need)
        found.append(packing.collate([row], bundle.config, room))
    return found


@functools.partial(jax.jit, static_argnames="config")
def _compare(before: Tree, after: Tree, config: multimodal.ModelConfig, batch: Batch):
    def scores(params):
        hidden = multimodal.forward(params, config, batch.inputs)
        hidden = jnp.take_along_axis(hidden, batch.target_at[..., None], axis=1)
        return jax.nn.log_softmax(decoder.logits(params["decoder"], config.decoder, hidden))

    first, second, weights = scores(before), scores(after), batch.weights
    chosen = batch.targets[..., None]
    mine, theirs = (-jnp.take_along_axis(s, chosen, -1)[..., 0] for s in (first, second))
    divergence = (jnp.exp(first) * (first - second)).sum(-1)
    same = first.argmax(-1) == second.argmax(-1)
    return weights.sum(), *((x * weights).sum() for x in (mine, theirs, divergence, same))
