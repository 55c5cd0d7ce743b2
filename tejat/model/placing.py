"""Where the arrays of a pass lie on several devices: layers name the axes of what they make, rules say what cuts them.

Without rules, which is the case unless a trainer or a server puts some in force, every function here gives back what
it was given.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec


@dataclass(frozen=True)
class Rules:
    """`along`: the axes of the mesh which cut an axis that layers name ("rows", "sequence", "heads", "mlp", …)."""

    mesh: Mesh
    along: Mapping[str, tuple[str, ...]]

    def cut(self, axis: str | None, size: int) -> tuple[str, ...] | None:
        """The mesh's axes that cut an axis of this size into equal parts, the last left out as long as they do not;
        None where it stays whole."""
        axes = tuple(name for name in self.along.get(axis or "", ()) if self.mesh.shape[name] > 1)
        while axes and size % self.parts(axes):
            axes = axes[:-1]
        return axes or None

    def parts(self, axes: tuple[str, ...]) -> int:
        """How many devices there are along these axes together."""
        found = 1
        for name in axes:
            found *= self.mesh.shape[name]
        return found

    def placed(self, x: jax.Array, axes: Sequence[str | None]) -> jax.Array:
        """x, with axes of these names, where they want it."""
        spec = PartitionSpec(*(self.cut(axis, size) for axis, size in zip(axes, x.shape, strict=True)))
        return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, spec))

    def mapped(self, function: Callable, inputs: Any, outputs: Any, axes: set[str] | None = None) -> Callable:
        """`function` of each device's part: of all the mesh's axes, or of some while XLA sees to the others."""
        more = {} if axes is None else {"axis_names": axes}
        # Kernels do not say along which axes their results differ: nothing is checked.
        return jax.shard_map(function, mesh=self.mesh, in_specs=inputs, out_specs=outputs, check_vma=False, **more)


_rules: ContextVar[Rules | None] = ContextVar("rules", default=None)


@contextmanager
def in_force(rules: Rules | None) -> Iterator[None]:
    """Functions traced inside lay their arrays by these rules."""
    before = _rules.set(rules)
    try:
        yield
    finally:
        _rules.reset(before)


def rules() -> Rules | None:
    """The rules in force."""
    return _rules.get()


def placed(x: jax.Array, *axes: str | None) -> jax.Array:
    """x, with axes of these names, where the rules in force want it."""
    found = rules()
    return x if found is None else found.placed(x, axes)
