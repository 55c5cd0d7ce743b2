"""Attention over intervals against the roofline and its peers: milliseconds, and bytes beside arguments and results.

    python benchmarks/attention.py                                  a minute on two cores
    python benchmarks/attention.py --tokens 32768 --window 1024     longer rows
    python benchmarks/attention.py --dtype bfloat16 --heads 16 --json

Arithmetic is what the intervals hold: two products forward, five backward (scores are made again). Peers see the same
keys with a dense mask, where that fits in memory; PyTorch takes part where it is installed.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from roofline import best, compiled, measure, table

from tejat.model.attention import Intervals, attend, causal_intervals, windowed


@dataclass(frozen=True)
class Options:
    """Which rows to measure."""

    tokens: tuple[int, ...] = (1_024, 4_096)
    window: int = 512
    document: int = 512
    """Length of the documents packed into a row."""
    cached: int = 32_768
    """Keys that a single query looks at; half as many are filled."""
    batch: int = 1
    heads: int = 4
    key_heads: int = 1
    head_width: int = 128
    dtype: str = "float32"
    seconds: float = 0.6
    """For each measurement; the best run of them counts."""
    whole: tyro.conf.FlagCreatePairsOff[bool] = False
    """As the decoder's full layers do: long rows that one document fills are left to cuDNN."""
    only: str = ""
    """Rows whose names hold this; all of them if not given."""
    dense_bytes: int = 2**30
    """Peers that keep a dense mask and dense scores run up to this size of them."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False


def main(options: Options) -> None:
    machine = measure(options.dtype)
    rows = []
    for row in measurements(options, machine):
        rows.append(row)
        print(f"{row['what']}: {row['ms']:.3g} ms; {peers_told(row)}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps({**machine._asdict(), "options": asdict(options), "rows": rows}))
    else:
        print(table(machine, rows))


def peers_told(row: dict[str, Any]) -> str:
    told = (
        f"{name} {peer if isinstance(peer, str) else format(peer['ms'], '.3g')}" for name, peer in row["peers"].items()
    )
    return ", ".join(told) or "no peers"


def cases(options: Options) -> Iterator[tuple[str, Intervals, int, int | None, bool]]:
    """(name, intervals, keys, window, packed)."""
    for tokens in options.tokens:
        shape = (options.batch, tokens)
        causal = causal_intervals(jnp.ones(shape, jnp.int32))
        documents = jnp.broadcast_to(jnp.arange(tokens) // options.document + 1, shape)
        yield f"causal, {tokens:,}", causal, tokens, None, False
        if tokens > options.window:
            yield (
                f"window {options.window}, {tokens:,}",
                windowed(causal, options.window),
                tokens,
                options.window,
                False,
            )
        if tokens > options.document:
            name = f"documents of {options.document}, {tokens:,}"
            packed = causal_intervals(documents)
            yield name, packed, tokens, None, True
            if options.document > options.window:
                name = f"the same, window {options.window}, {tokens:,}"
                yield name, windowed(packed, options.window), tokens, None, True
    one = jnp.zeros((options.batch, 1), jnp.int32)
    yield (
        f"one of {options.cached:,}, half full",
        Intervals(one, one + options.cached // 2),
        options.cached,
        None,
        False,
    )


def measurements(options: Options, machine) -> Iterator[dict[str, Any]]:
    for name, intervals, keys, window, packed in cases(options):
        if options.only not in name:
            continue
        length = intervals.start.shape[1]
        random = np.random.default_rng(0)

        def draw(tokens: int, heads: int, random=random):
            x = random.standard_normal((options.batch, tokens, heads, options.head_width), np.float32)
            return jnp.asarray(x * options.head_width**-0.25, options.dtype)

        q = draw(length, options.heads)
        k, v = draw(keys, options.key_heads), draw(keys, options.key_heads)
        seen = float((intervals.end - intervals.start).sum())
        product = 2 * seen * options.heads * options.head_width
        used = min(1.0, float(intervals.end.max()) / keys)
        once = 2 * q.nbytes + used * (k.nbytes + v.nbytes)  # q, k, v read and the result written
        ours = functools.partial(attend, intervals=intervals, whole=options.whole and window is None)
        others = dict(peers(options, q, k, intervals, window, packed))
        yield {"what": f"{name}: forward"} | one_row(options, machine, ours, others, (q, k, v), 2 * product, once)
        if length > 1:
            # The result is read again with its gradient, and three gradients are written.
            both = {what: f if isinstance(f, str) else gradient(f) for what, f in others.items()}
            moved = 2 * once + q.nbytes
            yield {"what": f"{name}: gradient"} | one_row(
                options, machine, gradient(ours), both, (q, k, v), 7 * product, moved
            )


def gradient(function: Callable) -> Callable:
    return getattr(function, "gradient", None) or jax.grad(
        lambda *x: jnp.square(function(*x).astype(jnp.float32)).sum(), (0, 1, 2)
    )


def one_row(options: Options, machine, ours, others, arguments, flops: float, moved: float) -> dict[str, Any]:
    program, temporary = compiled(ours, *arguments)
    row = {
        "ms": 1e3 * best(lambda: program(*arguments), options.seconds),
        "limit_ms": 1e3 * machine.limit(flops, moved),
        "flops": flops,
        "bytes": moved,
        "temp_bytes": temporary,
        "peers": {},
    }
    for name, peer in others.items():
        if isinstance(peer, str):
            row["peers"][name] = peer
        elif isinstance(peer, Torch):
            row["peers"][name] = {"ms": 1e3 * best(peer.torch(*arguments), options.seconds)}
        else:
            other, more = compiled(peer, *arguments)
            row["peers"][name] = {"ms": 1e3 * best(lambda: other(*arguments), options.seconds), "temp_bytes": more}  # noqa: B023
    return row


def peers(options: Options, q, k, intervals: Intervals, window: int | None, packed: bool) -> Iterator[tuple[str, Any]]:
    """(name, function, or why there is none)."""
    length, keys = q.shape[1], k.shape[1]
    if length == 1:
        return
    if jax.default_backend() == "gpu" and options.dtype != "float32":
        yield "Tokamax", tokamax(intervals, keys, window, packed)
    if packed:
        return
    dense = options.batch * options.heads * length * keys * 4 > options.dense_bytes
    sides = None if window is None else (window - 1, 0)
    settings = {"scale": 1.0, "is_causal": True, "local_window_size": sides}
    theirs = functools.partial(jax.nn.dot_product_attention, **settings, implementation="xla")
    yield "jax.nn, xla", "too large" if dense else theirs
    if jax.default_backend() == "gpu" and options.dtype != "float32":
        yield "jax.nn, cudnn", functools.partial(jax.nn.dot_product_attention, **settings, implementation="cudnn")
    try:
        import torch
    except ImportError:
        yield "PyTorch", "absent"
        return
    if jax.default_backend() == "gpu" and not torch.cuda.is_available():
        yield "PyTorch", "has no GPU"
        return
    mask = None
    if window is not None:
        at = torch.arange(length)
        mask = (at[None] <= at[:, None]) & (at[None] > at[:, None] - window)
    dense = dense and window is not None
    yield "PyTorch", "too large" if dense else Torch(torch, mask, backward=False)


def tokamax(intervals: Intervals, keys: int, window: int | None, packed: bool) -> Any:
    """Its own choice among its kernels; packed rows it takes as a mask alone."""
    try:
        from tokamax import dot_product_attention
    except ImportError:
        return "absent"
    at = jnp.arange(keys)
    mask = (at >= intervals.start[:, None, :, None]) & (at < intervals.end[:, None, :, None]) if packed else None
    sides = None if window is None else (window - 1, 0)
    return functools.partial(dot_product_attention, scale=1.0, is_causal=not packed, local_window_size=sides, mask=mask)


class Torch:
    """scaled_dot_product_attention where JAX computes too, forward or with its gradient."""

    def __init__(self, torch, mask, backward: bool):
        self.library, self.mask, self.backward = torch, mask, backward

    @property
    def gradient(self) -> "Torch":
        return Torch(self.library, self.mask, backward=True)

    def torch(self, *arguments) -> Callable[[], Any]:
        dtype, gpu = getattr(self.library, str(arguments[0].dtype)), jax.default_backend() == "gpu"
        device = "cuda" if gpu else "cpu"
        tensors = [self.library.from_numpy(np.array(a, np.float32)).to(device, dtype) for a in arguments]
        inputs = [x.transpose(1, 2).contiguous() for x in tensors]
        mask = None if self.mask is None else self.mask.to(device)
        attention = self.library.nn.functional.scaled_dot_product_attention

        def run():
            for x in inputs:
                x.grad, x.requires_grad = None, self.backward
            out = attention(*inputs, attn_mask=mask, is_causal=mask is None, scale=1.0, enable_gqa=True)
            if self.backward:
                out.float().square().sum().backward()
            if gpu:
                self.library.cuda.synchronize()

        return run


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
