"""The real step of training, compiled for a topology: what each chip holds, and what it exchanges."""

import math
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from tejat.plan import child, topology


@dataclass(frozen=True)
class Job:
    """A step: `rows` of the model's context, computed in `accumulate` parts, on a mesh over a topology."""

    size: str
    topology: str
    slices: int
    mesh: dict[str, int]
    rows: int
    accumulate: int = 1
    keep: str = "inputs"
    context: int | None = None
    changes: tuple[str, ...] = ()  # of the model's configuration, as "decoder.layers=12"


def in_a_child(job: Job, limit: float) -> dict[str, Any]:
    """What `compiled` gives, or {"error": why there is nothing}. Raises BadInput as `compiled` does."""
    where = topology.parse(job.topology, job.slices)
    return child.run("tejat.plan.compiling", asdict(job), where, limit)


def compiled(job: Job) -> dict[str, Any]:
    """Compiles. Raises BadInput for what cannot be."""
    import jax
    import jax.numpy as jnp

    from tejat.model import multimodal
    from tejat.model.params import abstract
    from tejat.model.passes import Pass
    from tejat.plan import activations, collectives
    from tejat.train import mesh as meshes
    from tejat.train import optimizer, step

    where = topology.parse(job.topology, job.slices)
    config = configured(job)
    mesh = meshes.make(job.mesh, topology.devices(where))
    tree = multimodal.params(config)
    meshes.check(mesh, tree, job.rows // job.accumulate)
    schedule = optimizer.Schedule(steps=1_000)
    transform = optimizer.build(schedule, tree)

    def state(params):
        return step.TrainState(params, transform.init(params), jnp.zeros((), jnp.int32))

    shapes = jax.eval_shape(state, abstract(tree))
    lies = meshes.state(mesh, tree, shapes)
    batch = batch_shapes(config, job.rows)
    build = step.build(
        config,
        schedule,
        dtype=jnp.bfloat16,
        how=Pass(job.keep),
        accumulate=job.accumulate,
        shardings=(lies, meshes.rows(mesh)),
    )
    begun = time.monotonic()
    lowered = build.lower(shapes, batch)
    program = lowered.compile()
    took = time.monotonic() - begun
    text = program.as_text()
    found, memory = collectives.exchanges(text, where.chips, where.slices), child.held(program)
    waiting = min(activations.held(text), memory["temporaries"])
    return {
        "compile_s": took,
        "bytes": {
            "parameters": held(shapes.params, lies.params),
            "optimizer": held(shapes.moments, lies.moments),
            **memory,
            "activations": waiting,
            "temporaries": memory["temporaries"] - waiting,
        },
        "exchanges": [asdict(each) for each in found],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(shapes.params)),
    }


def configured(job: Job):
    """The model of a job. Raises BadInput for a size that is none, or a change that names no field."""
    from dataclasses import replace

    from tejat.model import family
    from tejat.train.recipe import changed

    config = family.preset(job.size)
    if job.context:
        config = replace(config, context=job.context)
    return changed(config, list(job.changes))


def batch_shapes(config, rows: int):
    """A batch of all modalities: an image for every 4,096 tokens and two pieces of half a minute of sound a row."""
    import jax

    from tejat.data import packing

    patches = 0
    if config.vision:
        patches = max(1, config.context // 4_096) * config.vision.budgets[len(config.vision.budgets) // 2]
        patches *= config.vision.merged**2
    sounds, frames = (2, min(3_000, config.audio.frames)) if config.audio else (0, 0)
    one = packing.empty(config, packing.Room(1, config.context, config.context, patches, sounds, frames))
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((rows, *a.shape[1:]), a.dtype), one)


def held(shapes, shardings) -> int:
    """Bytes of these arrays on one device."""
    import jax

    leaves = zip(jax.tree.leaves(shapes), jax.tree.leaves(shardings), strict=True)
    return sum(math.prod(where.shard_shape(a.shape)) * a.dtype.itemsize for a, where in leaves)


def _of(**told: Any) -> dict[str, Any]:
    return compiled(Job(**told | {"changes": tuple(told["changes"])}))


if __name__ == "__main__":
    sys.exit(child.main(_of))
