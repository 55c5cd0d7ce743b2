"""Classifier-free guidance of pictures (Ho and Salimans 2022): drawn as far as possible from what comes unasked.

Beside a row that is inside a picture another one reads the same picture as training shows those that nobody asked for:

    asked for   <bos> <|turn>user ... <|turn>model ... <|picture> <|size h|> <|size w|> codes ...
    unasked     <bos> <|picture> <|size h|> <|size w|> codes ...

and a code is chosen by u + g (c - u) of the scores c of the first and u of the second, among those that the first
finds plausible (`Options.picture_min_p`).

The n-th token of a picture stands at place n of its unasked row, whose first two tokens are always the same: they are
read once, nothing ever overwrites them, and a picture after another needs no beginning anew. For the same reason an
unasked row keeps all of its places on sliding layers too; it has room for one picture and no more.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tejat.codecs.vocabulary import BOS
from tejat.infer import constraints, sampling, steps
from tejat.infer.cache import Cache, empty_cache
from tejat.infer.constraints import Rule
from tejat.infer.steps import Wishes
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree

FIRST = 2
"""The place of the first token that differs from picture to picture: its height."""


def places(rule: Rule) -> int:
    """Room of an unasked row: `<bos>` and the longest picture."""
    return 1 + constraints.picture_tokens(min(rule.longest, rule.budget), 0) + rule.budget


def unasked(params: Tree, config: ModelConfig, rule: Rule, rows: int, dtype: Any) -> Cache:
    """Unasked rows, each with `<bos> <|picture>` in it, by the program that reads what follows."""
    cache = empty_cache(config.decoder, rows, places(rule), dtype, rings=False)
    for at, mark in enumerate((BOS, rule.picture_begin)):
        token, position, left = (np.full(rows, number, np.int32) for number in (mark, at, 1))
        cache, _ = steps.forward(params, config, cache, token, position, left, rows)
    return cache


@jax.jit
def place(picture: constraints.State, left: Int[Array, " B"]) -> Int[Array, " B"]:
    """Where each row's last token stands in its unasked row; -1: nowhere."""
    return jnp.where((left > 0) & (picture.written >= FIRST), picture.written, -1)


@jax.jit
def mixed(
    asked: Float[Array, "W V"], unasked: Float[Array, "W V"], wishes: Wishes, picture: constraints.State
) -> Float[Array, "W V"]:
    """The scores to choose by of the first W rows: a program of its own, so that to choose is one and the same program
    whether any row is guided or not, to the bit."""
    wishes, picture = jax.tree.map(lambda a: a[: asked.shape[0]], (wishes, picture))
    return sampling.guided(asked, unasked, wishes.guidance, constraints.code_due(picture))
