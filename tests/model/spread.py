"""What test_spread_attention runs in a process of eight virtual devices: prints differences from one device as JSON."""

import json

import jax
import jax.numpy as jnp
import numpy as np

from tejat.model import attention, placing
from tejat.model.attention import causal_intervals, windowed
from tejat.model.spread_attention import attend
from tejat.train import mesh

B, T, N = 4, 64, 8
random = np.random.default_rng(0)
SEGMENTS = jnp.asarray(np.sort(random.integers(0, 4, (B, T)), axis=-1))
BLOCKS = jnp.asarray(np.repeat(random.integers(0, 3, (B, T // 8)), 8, axis=-1))
CAUSAL = causal_intervals(SEGMENTS)
# mesh, heads, key heads, intervals, reach
CASES = {
    "rows": ("data=4,tensor=2", 4, 2, CAUSAL, None),
    "one key head": ("data=2,tensor=4", 4, 1, CAUSAL, None),
    "key heads that cannot be cut": ("data=2,tensor=4", 4, 2, CAUSAL, None),
    "all keys": ("sequence=8", 4, 1, CAUSAL, None),
    "all keys, heads cut": ("fsdp=2,sequence=2,tensor=2", 4, 2, CAUSAL, None),
    "the last keys of the one before": ("sequence=4,tensor=2", 4, 1, windowed(CAUSAL, 11), 11),
    "a window as long as a part": ("sequence=8", 4, 1, windowed(CAUSAL, 8), 8),
    "a window longer than a part": ("sequence=8", 4, 1, windowed(CAUSAL, 20), 20),
    "images that see their end": ("sequence=8", 4, 1, windowed(CAUSAL, 11, BLOCKS), None),
    "heads of 512": ("sequence=4,tensor=2", 4, 1, windowed(CAUSAL, 11), 11),
    "CONTROL: too short a reach": ("sequence=4,tensor=2", 4, 1, windowed(CAUSAL, 11), 9),
}


def backward(function, q, k, v, wanted):
    out, back = jax.vjp(function, q, k, v)
    return out, *back(wanted)


def main() -> None:
    found = {}
    for name, (text, heads, key_heads, intervals, reach) in CASES.items():
        shapes, width = (heads, key_heads, key_heads, heads), 512 if name == "heads of 512" else N
        arrays = [jnp.asarray(random.standard_normal((B, T, h, width), np.float32)) for h in shapes]
        for at in (0, 2):  # scores of one size, and their gradients
            arrays[at] *= (N / width) ** 0.5
        alone = jax.jit(lambda *x, i=intervals: backward(lambda *y: attention.attend(*y, i), *x))(*arrays)
        with placing.in_force(mesh.rules(mesh.make(mesh.parse(text)))):
            spread = jax.jit(lambda *x, i=intervals, r=reach: backward(lambda *y: attend(*y, i, reach=r), *x))(*arrays)
        found[name] = [float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in zip(alone, spread, strict=True)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
