"""The decoder against the roofline: a forward pass, a gradient, a chunk of a prompt, an answer's token.

    python benchmarks/forward.py                                     a minute on two cores
    python benchmarks/forward.py --sizes mini --tokens 4096
    python benchmarks/forward.py --sizes nano1 --tokens 32768 --dtype bfloat16 --json

Arithmetic is counted as `tejat family` counts it; recomputation is not arithmetic. Bytes are those of the weights, once
for each pass over them, and of the cache. Where transformers and PyTorch are installed, their Gemma 4 of the same shape
reads the same number of tokens on the processor.
"""

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from roofline import Machine, best, compiled, measure, table

from tejat.infer.cache import Cache, empty_cache, run_cached
from tejat.model import decoder, family, sizes
from tejat.model.attention import Intervals, causal_intervals
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Tree, map_params
from tejat.model.passes import SCANNED, Pass

STEPS = 8
"""Tokens of an answer that one program writes."""

BACKWARD = Pass("inputs") if jax.default_backend() == "cpu" else Pass("products", unrolled=True)


@dataclass(frozen=True)
class Options:
    """Which sizes to measure."""

    sizes: tuple[str, ...] = ("micro", "mini")
    tokens: int = 1_024
    """Of a row; an answer is written after as many."""
    chunk: int = 1_024
    """Tokens of a prompt read at a time; the last chunk of the row is measured."""
    dtype: str = "float32"
    seconds: float = 1.5
    """For each measurement; the best run of them counts."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False


def main(options: Options) -> None:
    machine = measure(options.dtype)
    rows = [row for size in options.sizes for row in measurements(options, machine, family.preset(size))]
    if options.json:
        print(json.dumps({**machine._asdict(), "options": asdict(options), "rows": rows}))
    else:
        print(table(machine, rows))


def measurements(options: Options, machine: Machine, config: ModelConfig) -> Iterator[dict[str, Any]]:
    config = replace(config, vision=None, audio=None, picture=None)
    shape, tokens, chunk = config.decoder, options.tokens, min(options.chunk, options.tokens)
    params = weights(shape, options.dtype)
    weighs = sum(a.nbytes for a in jax.tree.leaves(params))
    flops = forward_flops(config, tokens)
    blocks = weighs - params["embedding"].nbytes
    x = jnp.asarray(np.random.default_rng(1).standard_normal((1, tokens, shape.width), np.float32), options.dtype)

    def row(what: str, call: Callable, temporary: int, flops: float, moved: float, peer: Any, each: int = 1):
        return {
            "what": f"{config.name}: {what}",
            "ms": 1e3 * best(call, options.seconds) / each,
            "limit_ms": 1e3 * machine.limit(flops, moved),
            "flops": flops,
            "bytes": moved,
            "temp_bytes": temporary,
            "peers": {"transformers": peer if isinstance(peer, str) else {"ms": 1e3 * best(peer, options.seconds)}},
        }

    theirs = transformers(options, config)
    forward, temporary = compiled(functools.partial(run, shape), params, x)
    yield row(f"forward, {tokens:,}", lambda: forward(params, x), temporary, flops, blocks, theirs["forward"])
    gradient, temporary = compiled(functools.partial(run_backward, shape), params, x)
    yield row(
        f"gradient, {tokens:,}",
        lambda: gradient(params, x),
        temporary,
        3 * flops,
        3 * blocks,
        theirs["gradient"],
    )

    layers = decoder.apart(params)
    cache = empty_cache(shape, 1, tokens + STEPS, options.dtype)
    before, after = (cache._replace(length=jnp.full(1, n, jnp.int32)) for n in (tokens - chunk, tokens))
    held = sizes.cache_bytes(shape, tokens) // sizes.BF16 * jnp.dtype(options.dtype).itemsize
    reading, temporary = compiled(functools.partial(read, shape), layers, x[:, -chunk:], before)
    yield row(
        f"the last {chunk:,} of {tokens:,} read",
        lambda: reading(layers, x[:, -chunk:], before),
        temporary,
        forward_flops(config, tokens) - forward_flops(config, tokens - chunk),
        blocks + held,
        "–",
    )
    writing, temporary = compiled(functools.partial(write, shape), layers, after)
    yield row(
        f"a token written after {tokens:,}",
        lambda: writing(layers, after),
        temporary,
        forward_flops(config, tokens) - forward_flops(config, tokens - 1) + 2 * shape.vocabulary * shape.width,
        weighs + held,
        theirs["token"],
        STEPS,
    )


def forward_flops(config: ModelConfig, tokens: int) -> float:
    """Of a row, without the scores of the vocabulary: a third of those of training."""
    if not tokens:
        return 0.0
    return tokens * (sizes.training_flops(config, tokens) / 3 - 2 * config.decoder.vocabulary * config.decoder.width)


def weights(shape: decoder.DecoderConfig, dtype: str) -> Tree:
    random = np.random.default_rng(0)

    def draw(param):
        if isinstance(param.init, float):
            return jnp.full(param.shape, param.init, dtype)
        return jnp.asarray(random.standard_normal(param.shape, np.float32) * max(param.fan_in, 1) ** -0.5, dtype)

    return map_params(draw, decoder.params(shape))


def run(shape, params, x, how: Pass = SCANNED):
    places = jnp.arange(x.shape[1])[None]
    return decoder.run(params, shape, x, decoder.context(shape, causal_intervals(places + 1 > 0), places), how=how)


def run_backward(shape, params, x):
    def loss(params):
        return jnp.square(run(shape, params, x, BACKWARD).astype(jnp.float32)).mean()

    return jax.grad(loss)(params)


def at(shape, places) -> decoder.Context:
    full = Intervals(jnp.zeros_like(places), places + 1)
    sliding = Intervals(jnp.maximum(places + 1 - shape.window, 0), places + 1)
    return decoder.context(shape, full, places, sliding=sliding)


def read(shape, params, x, cache: Cache):
    places = cache.length[:, None] + jnp.arange(x.shape[1])
    return run_cached(params, shape, x, at(shape, places), places, cache)


def write(shape, params, cache: Cache):
    """A few tokens, each the likeliest after the one before."""

    def step(_, carry):
        token, cache = carry
        places = cache.length[:, None]
        hidden, cache = run_cached(params, shape, decoder.embed(params, shape, token), at(shape, places), places, cache)
        return decoder.logits(params, shape, hidden).argmax(-1), cache

    return jax.lax.fori_loop(0, STEPS, step, (jnp.zeros((1, 1), jnp.int32), cache))[0]


def transformers(options: Options, config: ModelConfig) -> dict[str, Any]:
    """What to call for each pass of the same shape there, or why there is none."""
    passes = ("forward", "gradient", "token")
    if jax.default_backend() != "cpu":
        return dict.fromkeys(passes, "–")
    try:
        import torch
        from transformers import Gemma4ForCausalLM, Gemma4TextConfig
    except ImportError:
        return dict.fromkeys(passes, "absent")
    from tejat.export import settings

    shape = Gemma4TextConfig(**settings.to_huggingface(config)["text_config"])
    model = Gemma4ForCausalLM(shape).to(getattr(torch, options.dtype))
    x = torch.zeros((1, options.tokens), dtype=torch.long)

    def forward():
        with torch.no_grad():
            model.model(x, use_cache=False)

    def gradient():
        model.zero_grad()
        model.model(x, use_cache=False).last_hidden_state.float().square().mean().backward()

    with torch.no_grad():
        kept = model.model(x, use_cache=True).past_key_values

    def token():
        with torch.no_grad():
            model(x[:, :1], past_key_values=kept, use_cache=True).logits.argmax(-1)

    return {"forward": forward, "gradient": gradient, "token": token}


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
