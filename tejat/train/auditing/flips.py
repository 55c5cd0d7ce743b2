"""Bits flipped on purpose, to try what is found: in a state at rest, or inside a step on one of its devices.

Only tests, trials and `tejat chaos` use it. A flip is told as JSON, in code or in the environment's TEJAT_FLIP: an
object, or a list of them, with the fields of `Flip`.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from tejat.data.packing import Batch
from tejat.errors import BadInput
from tejat.model import placing
from tejat.model.params import Tree
from tejat.train.guards import Guard
from tejat.train.shards import Spoil
from tejat.train.step import TrainState

Site = Literal["weights", "moments", "activations", "gradients", "transfers"]
INSIDE = ("activations", "gradients", "transfers")
"""Sites within a step; the others are of the state between two steps."""

VARIABLE = "TEJAT_FLIP"


@dataclass(frozen=True)
class Flip:
    """One flipped bit. `index`, and `leaf` of a tree, count on from the beginning where there are fewer."""

    site: Site
    step: int  # the one it strikes, the first being 1; a state at rest is struck before it
    bit: int  # of the word, 0 being the lowest
    leaf: int = 0  # of the state, of the gradient; of activations, which of those that layers lay (`placing.placed`)
    index: int = 0  # of the leaf, in the part that the device holds
    device: int = 0  # by its place in the mesh; inside a step, by the shard that it makes first
    lasting: bool = False  # it strikes every step from then on, those of audits and replays too: a bad device
    machine: int | None = None  # of a supervised run: whichever process is on it, and none where it takes no part


def read(text: str) -> list[Flip]:
    """Flips from JSON. Raises BadInput for what is none."""
    names = {field.name for field in fields(Flip)}
    try:
        told = json.loads(text)
        found = [Flip(**each) for each in (told if isinstance(told, list) else [told])]
    except (ValueError, TypeError) as error:
        raise BadInput(f"{VARIABLE} holds no flip ({error}); give JSON with {', '.join(sorted(names))}") from error
    for flip in found:
        if flip.site not in (*INSIDE, "weights", "moments"):
            raise BadInput(f"{VARIABLE} names the site {flip.site!r}; there are weights, moments, {', '.join(INSIDE)}")
    return found


def from_environment() -> list[Flip] | None:
    """Those of TEJAT_FLIP; None where it is not set. Raises BadInput as `read` does."""
    return read(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def aim(machines: Sequence[int]) -> None:
    """Of the environment's, keeps those of machines that take part: `machines` are those of the processes, of one
    device each."""
    if (found := from_environment()) is not None:
        kept = [replace(f, device=machines.index(f.machine)) for f in found if f.machine in machines]
        kept += [flip for flip in found if flip.machine is None]
        os.environ[VARIABLE] = json.dumps([asdict(flip) for flip in kept])


def flipped(array: np.ndarray, index: int, bit: int) -> np.ndarray:
    """A copy with one bit of one element turned over."""
    words = np.array(array).reshape(-1).view(f"u{array.dtype.itemsize}")
    words[index % len(words)] ^= words.dtype.type(1) << words.dtype.type(bit % (8 * array.dtype.itemsize))
    return words.view(array.dtype).reshape(array.shape)


class Struck(Spoil):
    """What `tejat.train.step.build` spoils arrays by: `strike` is `NOTHING`, or the words of a flip."""

    def __init__(self, strike: Int[Array, "5"]):
        self._site, self.shard, self.leaf, self._index, self._bit = strike

    def rules(self, rules: placing.Rules | None, shard: Int[Array, ""]) -> placing.Rules | None:
        return _StruckRules(rules, self, shard)

    def gradient(self, gradient: Tree, shard: Int[Array, ""]) -> Tree:
        return self._of_leaves("gradients", gradient, shard == self.shard)

    def sent(self, gradients: Tree, shard: Int[Array, ""]) -> Tree:
        return self._of_leaves("transfers", gradients, shard == self.shard)

    def _of_leaves(self, site: Site, tree: Tree, here: Array) -> Tree:
        leaves, form = jax.tree.flatten(tree)
        mine = self.leaf % len(leaves)
        struck = [self.at(site, leaf, here & (mine == number)) for number, leaf in enumerate(leaves)]
        return jax.tree.unflatten(form, struck)

    def at(self, site: Site, array: Array, here: Array) -> Array:
        """The array, spoilt if this is the place."""
        return _turned_over(array, here & (self._site == INSIDE.index(site)), self._index, self._bit)


@jax.custom_jvp
def _turned_over(array: Array, mine: Array, index: Array, bit: Array) -> Array:
    """`array`, with one bit of one element turned over where `mine`; to derivatives, the array as it was."""
    width = 8 * array.dtype.itemsize
    words = jax.lax.bitcast_convert_type(array, f"uint{width}").reshape(-1)
    here = mine & (jnp.arange(words.size) == index % words.size)
    words = words ^ (here.astype(words.dtype) << (bit % width).astype(words.dtype))
    return jax.lax.bitcast_convert_type(words.reshape(array.shape), array.dtype)


@_turned_over.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return _turned_over(*primals), tangents[0]


class _StruckRules(placing.Rules):
    """Rules that spoil one of the arrays of floats which layers lay by them; of a scanned stack, in every layer."""

    def __init__(self, rules: placing.Rules | None, struck: Struck, shard: Int[Array, ""]):
        super().__init__(rules and rules.mesh, rules.along if rules else {})
        object.__setattr__(self, "_found", [rules, struck, shard, 0])

    def placed(self, x: jax.Array, axes: Sequence[str | None]) -> jax.Array:
        rules, struck, shard, place = self._found
        if jnp.issubdtype(x.dtype, jnp.floating) and axes[0] == "rows":
            self._found[3] += 1
            x = struck.at("activations", x, (shard == struck.shard) & (struck.leaf == place))
        return x if rules is None else rules.placed(x, axes)

    def mapped(self, function: Callable, inputs: Any, outputs: Any, axes: set[str] | None = None) -> Callable:
        rules = self._found[0]
        return function if rules is None else rules.mapped(function, inputs, outputs, axes)


NOTHING = np.asarray([-1, 0, 0, 0, 0], np.int32)


def strike(flip: Flip) -> Int[np.ndarray, "5"]:
    """The words of a flip within a step."""
    return np.asarray([INSIDE.index(flip.site), flip.device, flip.leaf, flip.index, flip.bit], np.int32)


class Flips(Guard):
    """Strikes a run by flips: each once, or, of a bad device, from its step on. What a run that goes on has behind it
    does not strike again."""

    spoil = Struck

    def __init__(self, flips: Sequence[Flip]):
        self._left, self._step = list(flips), 0

    def before(self, step: int, state: TrainState, batch: Batch) -> TrainState:
        if not self._step:
            self._left = [flip for flip in self._left if flip.lasting or flip.step >= step]
        self._step = step
        for flip in [flip for flip in self._left if flip.site not in INSIDE and flip.step <= step]:
            state = struck_at_rest(state, flip)
            if not flip.lasting:
                self._left.remove(flip)
        return state

    def making(self, make: Callable, spent: Callable, compiled: Callable) -> Callable:
        def struck(state: TrainState, batch: Batch, turn: int = 0):
            return make(state, batch, turn, self._next())

        return struck

    def _next(self) -> np.ndarray:
        for flip in self._left:
            if flip.site in INSIDE and flip.step <= self._step:
                if not flip.lasting:
                    self._left.remove(flip)
                return strike(flip)
        return NOTHING


def struck_at_rest(state: TrainState, flip: Flip) -> TrainState:
    """The state with one bit of what one device holds turned over; copies on other devices stay as they are."""
    parts = {"weights": state.params, "moments": state.moments}
    leaves, form = jax.tree.flatten(parts[flip.site])
    floats = [at for at, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    at = floats[flip.leaf % len(floats)]
    leaf = leaves[at]
    devices = list(leaf.sharding.mesh.devices.flat) if hasattr(leaf.sharding, "mesh") else list(leaf.devices())
    target = devices[flip.device % len(devices)]

    def held(shard: Any) -> jax.Array:
        if shard.device != target:
            return shard.data
        return jax.device_put(flipped(np.asarray(shard.data), flip.index, flip.bit), target)

    leaves[at] = jax.make_array_from_single_device_arrays(
        leaf.shape, leaf.sharding, [held(shard) for shard in leaf.addressable_shards]
    )
    tree = jax.tree.unflatten(form, leaves)
    return state._replace(params=tree) if flip.site == "weights" else state._replace(moments=tree)
