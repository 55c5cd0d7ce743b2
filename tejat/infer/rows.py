"""What an engine holds of a batch whose rows come and go, and the steps that it takes: the seam between engines.

The scheduler says which rows read and which write; `Rows` holds their keys, values and places. `JaxRows` are compiled
steps on whatever devices JAX has; `onnx_rows.OnnxRows` those of ONNX Runtime.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from tejat.infer import guidance, parallel, sampling, steps
from tejat.infer.cache import Cache, empty_cache
from tejat.infer.constraints import Rule
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree


class Rows(Protocol):
    """A batch of `slots` rows, each with room for a number of tokens. For one thread."""

    slots: int
    dtype: Any  # of soft tokens that are read
    ahead: bool  # does a step run while the host looks at the one before?
    widths: tuple[int, ...]  # how many rows a step may compute, ascending

    @property
    def every_need(self) -> Sequence[sampling.Needs]:
        """All that steps may be told to do; where it is one alone, they find out themselves."""

    def reset(self) -> None:
        """Forgets everything."""

    def on_device(self, array: Any) -> Any:
        """A tree of host arrays, copied, where steps take it from."""

    def nothing_soft(self, shape: tuple[int, ...]) -> Any:
        """No soft tokens, for the parts of one shape."""

    def read(self, part: steps.Part) -> Any:
        """Reads a part of some prompts. Gives something with `block_until_ready`."""

    def cut(self, row: int, start: int, size: int) -> Any:
        """The keys and values that a row has of some places."""

    def put(self, row: int, start: int, count: int, block: Any) -> None:
        """As if a row had just read the first `count` places of what `cut` gave."""

    def place(self, changes: np.ndarray) -> None:
        """Rows begin to write, or stop: `steps.place`."""

    def forward(self, width: int, guided: Sequence[int] = ()) -> Any:
        """Scores of the next token of the first `width` rows, for `choose`. `guided`: rows inside pictures that are."""

    def choose(self, needs: sampling.Needs, scores: Any, wishes: Any, words: Any) -> steps.Written:
        """Chooses the next tokens, on the way to the host; `wishes` and `words` are from `on_device`."""


class JaxRows:
    """Steps compiled by JAX. `fast`: a step is as wide as it need be, and the last bits of answers depend on that."""

    def __init__(
        self,
        params: Tree,
        config: ModelConfig,
        rule: Rule,
        *,
        slots: int,
        context: int,
        fast: bool = False,
        mesh: Mesh | None = None,
    ):
        """`params` has its layers apart."""
        self._params, self._config, self._rule = params, config, rule
        self.slots, self._context, self.mesh = slots, context, mesh
        self.dtype = params["decoder"]["embedding"].dtype
        # A CPU that is host and device would only give each token a step late.
        self.ahead = jax.default_backend() != "cpu"
        some = {min(1 << n, slots) for n in range(slots.bit_length() + 1)} if fast else {slots}
        self.widths = tuple(sorted(some))
        self.reset()

    @property
    def every_need(self) -> Sequence[sampling.Needs]:
        if jax.default_backend() == "cpu":
            return [sampling.Needs()]  # the program finds out for itself, which costs a CPU nothing
        ways = [(False, False), (True, False), (True, True)]
        return [sampling.Needs(chance, bounds, top, True) for chance, bounds in ways for top in (False, True)]

    def reset(self) -> None:
        self.cache = empty_cache(self._config.decoder, self.slots, self._context, self.dtype)
        self.state = steps.idle(self._config, self.slots)
        self._unasked: Cache | None = None  # made when the first picture is guided
        if self.mesh is not None:
            self.cache = parallel.placed(self.mesh, self.cache)
            self.state = parallel.everywhere(self.mesh, self.state)

    def on_device(self, array: Any) -> Any:
        return jax.device_put(jax.tree.map(np.copy, array))

    def read(self, part: steps.Part) -> Any:
        self.cache, length = steps.read(self._params, self._config, self.cache, part)
        return length

    def cut(self, row: int, start: int, size: int) -> Any:
        return steps.cut(self.cache, row, start, size)

    def put(self, row: int, start: int, count: int, block: Any) -> None:
        self.cache = steps.put(self.cache, row, start, count, block)

    def place(self, changes: np.ndarray) -> None:
        self.state, length = steps.place(self.state, self.cache.length, changes)
        self.cache = self.cache._replace(length=length)

    def forward(self, width: int, guided: Sequence[int] = ()) -> Any:
        state = self.state
        self.cache, scores = steps.forward(
            self._params, self._config, self.cache, state.token, state.position, state.left, width
        )
        if not guided:
            return scores, None
        if self._unasked is None:
            made = guidance.unasked(self._params, self._config, self._rule, self.slots, self.dtype)
            self._unasked = made if self.mesh is None else parallel.placed(self.mesh, made)
        at = guidance.place(state.picture, state.left)
        self._unasked, unasked = steps.forward(
            self._params, self._config, self._unasked, state.token, at, state.left, width
        )
        return scores, unasked

    def choose(self, needs: sampling.Needs, scores: Any, wishes: Any, words: Any) -> steps.Written:
        asked, unasked = scores
        liked = asked if unasked is None else guidance.mixed(asked, unasked, wishes, self.state.picture)
        self.state, written = steps.choose(self._rule, needs, self.state, asked, liked, wishes, words)
        written.token.copy_to_host_async()
        written.logprob.copy_to_host_async()
        return written

    def nothing_soft(self, shape: tuple[int, ...]) -> Any:
        return jnp.zeros(shape, self.dtype)
