"""How fast a step of training is on this machine: tokens a second, and the share of the peak that they are.

Arithmetic is counted by what the model has to compute: six operations for each weight that multiplies and each token,
attention by the keys that a query sees in these very rows. Recomputation, padding and the optimizer are not counted.
"""

import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from tejat.codecs import audio as audio_codec
from tejat.codecs.framing import Encoded, Modality
from tejat.codecs.image import patchify
from tejat.data.packing import Batch, Room, Row, collate
from tejat.model import audio, decoder, multimodal, vision
from tejat.model.multimodal import ModelConfig
from tejat.model.params import Param, Tree, map_params, walk
from tejat.model.passes import SCANNED, Pass
from tejat.model.sizes import multiplies
from tejat.train import device_memory, step
from tejat.train import mesh as meshes
from tejat.train.optimizer import Schedule, build

PEAKS = {
    "H100": 989e12,
    "H200": 989e12,
    "A100": 312e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
}
"""Dense bfloat16 operations a second by the makers' data sheets, by a part of the device's name."""


@dataclass(frozen=True)
class Rows:
    """What a batch holds: `rows` of `tokens`, packed with documents of random lengths around `document` tokens (0: one
    document a row), every second of which begins with an image and every eighth with two seconds of sound (`media`)."""

    rows: int = 8
    tokens: int = 4_096
    document: int = 0
    media: bool = False


def bare(config: ModelConfig) -> ModelConfig:
    """The decoder alone."""
    from dataclasses import replace

    return replace(config, vision=None, audio=None, picture=None)


def batch(config: ModelConfig, shape: Rows, seed: int = 0) -> Batch:
    """A batch of random tokens, pixels and sound, laid out as those of training are."""
    random = np.random.default_rng(seed)
    rows = []
    room = Room(shape.rows, shape.tokens, shape.tokens, 0, 0, 0)
    if shape.media:
        documents = max(1, shape.tokens // max(shape.document, 1))
        budget = config.vision.budgets[len(config.vision.budgets) // 2] * config.vision.merged**2
        room = Room(shape.rows, shape.tokens, shape.tokens, documents * budget, documents, 200)
    for _ in range(shape.rows):
        row = Row(room)
        left = shape.tokens
        while left > 1:
            length = left if shape.document == 0 else min(left, int(random.integers(2, 2 * shape.document)))
            made = _document(config, random, length, shape.media)
            if not row.take(made):
                break
            left -= len(made)
        rows.append(row)
    return collate(rows, config, room, np.uint8)


def _document(config: ModelConfig, random: np.random.Generator, length: int, media: bool) -> Encoded:
    """Text, after an image or a sound where there is room for one."""
    found: list[Any] = []
    count, kind = 0, Modality.TEXT
    if media and random.random() < 0.5:
        pixels = random.integers(0, 256, (int(random.integers(64, 257)), int(random.integers(64, 257)), 3), np.uint8)
        seen = patchify(pixels, config.vision)
        found, count, kind = [seen], seen.count, Modality.IMAGE
    elif media and random.random() < 0.25:
        heard = audio_codec.log_mel(random.standard_normal(2 * audio_codec.RATE - 400).astype(np.float32))
        found, count, kind = [heard], audio_codec.soft_count(len(heard)), Modality.AUDIO
    if count + 2 > length:
        found, count = [], 0
    text = length - count
    tokens = random.integers(256, config.text_vocabulary, length).astype(np.int32)
    loss = np.arange(length) >= count
    modality = np.where(loss, Modality.TEXT, kind).astype(np.int8)
    soft = np.concatenate([np.arange(count), np.zeros(text)]).astype(np.int32)
    item = np.where(loss, -1, 0).astype(np.int32)
    blocks = np.where(loss | (kind is not Modality.IMAGE), 0, 1).astype(np.int32)
    return Encoded(tokens, loss, modality, blocks, item, soft, tuple(found))


def flops(config: ModelConfig, made: Batch) -> float:
    """Of a step: three times those of the forward pass."""
    inputs = made.inputs
    real = inputs.segments > 0
    tree = multimodal.params(config)
    blocks = sum(p.size for name, p in walk(tree["decoder"]) if name != "embedding" and multiplies(name, p))
    total = (
        6.0 * blocks * real.sum() + 6.0 * config.decoder.vocabulary * config.decoder.width * (made.weights > 0).sum()
    )
    seen = (inputs.positions + 1) * real
    for kind in config.decoder.kinds:
        _, width = decoder.head_shape(config.decoder, kind.attention)
        keys = np.minimum(seen, config.decoder.window) if kind.attention == "sliding" else seen
        total += 12.0 * config.decoder.heads * width * keys.sum(dtype=np.float64)
    if inputs.media is not None and inputs.media.patches.shape[1]:
        images = inputs.media.patch_images
        patches = [int(n) for row in images for n in np.bincount(row)[1:] if n]
        total += 6.0 * _weights(vision.params(config.vision, config.decoder.width)) * sum(patches)
        each = 12.0 * config.vision.layers * config.vision.heads * config.vision.head_width
        total += each * sum(n * n for n in patches)
    if inputs.media is not None and inputs.media.mel.shape[1]:
        heard = inputs.media.mel_real.sum() / config.audio.stride
        total += 6.0 * _weights(audio.params(config.audio, config.decoder.width)) * heard
    return float(total)


def _weights(tree: Tree) -> int:
    return sum(p.size for name, p in walk(tree) if multiplies(name, p))


def peak(device: jax.Device) -> float:
    """By the data sheet; of a device that is not listed, what a large product reaches."""
    for name, value in PEAKS.items():
        if name in device.device_kind:
            return value
    side = 2_048
    square = jnp.ones((side, side), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    product(square).block_until_ready()
    begun = time.perf_counter()
    for _ in range(4):
        product(square).block_until_ready()
    return 4 * 2 * side**3 / (time.perf_counter() - begun)


def measure(
    config: ModelConfig,
    shape: Rows,
    *,
    steps: int = 10,
    bfloat16: bool = True,
    how: Pass = SCANNED,
    profile: Path | None = None,
    mesh: Mesh | None = None,
    compile_only: bool = False,
) -> dict[str, Any]:
    """Seconds of a step, the best of `steps` after two that do not count, and what follows from them.

    With `profile`, a directory, two more steps are traced into it, and the slowest kernels are told. The devices of a
    `mesh` share the work; the share of the peak is that of all of them. `losses` are
    those of text, of the first two steps and the last. With `compile_only` nothing is kept in the device's memory or
    run: a cache of compiled programs (JAX_COMPILATION_CACHE_DIR) has the step afterwards.

    Raises BadInput for a mesh that does not divide the shapes, and for a state that a device cannot hold.
    """
    made = batch(config, shape)
    dtype = jnp.bfloat16 if bfloat16 else jnp.float32
    laid_out, shardings = (jax.eval_shape(lambda: _state(config)), jax.eval_shape(lambda: made)), None
    if mesh is not None:
        meshes.check(mesh, multimodal.params(config), shape.rows)
        shardings = meshes.state(mesh, multimodal.params(config), laid_out[0]), meshes.rows(mesh)
    if not compile_only:
        device_memory.check(meshes.laid(laid_out[0], None if shardings is None else shardings[0]))
    advance = step.build(config, Schedule(steps=1_000), dtype=dtype, how=how, shardings=shardings)
    begun = time.perf_counter()
    program = advance.lower(*laid_out).compile()
    compiling = time.perf_counter() - begun
    if compile_only:
        return {"compile_s": compiling, "temporary_gib": program.memory_analysis().temp_size_in_bytes / 2**30}
    state = _state(config)
    if shardings is None:
        there = jax.device_put(made)
    else:
        state, there = jax.device_put(state, shardings[0]), meshes.spread(mesh, made)
    losses, took = [], []
    for _ in range(2):
        state, sums = program(state, there)
        losses.append(float(sums["text_loss"] / sums["text_count"]))
    for _ in range(steps):
        begun = time.perf_counter()
        state, sums = program(state, there)
        jax.block_until_ready(sums)
        took.append(time.perf_counter() - begun)
    losses.append(float(sums["text_loss"] / sums["text_count"]))
    tokens, work, best = int((made.inputs.segments > 0).sum()), flops(config, made), min(took)
    device, devices = jax.devices()[0], 1 if mesh is None else mesh.size
    found = {
        "tokens_per_s": tokens / best,
        "mfu": work / best / peak(device) / devices,
        "devices": devices,
        "losses": losses,
        "step_s": best,
        "step_s_median": float(np.median(took)),
        "tokens": tokens,
        "positions": shape.rows * shape.tokens,
        "flops": work,
        "compile_s": compiling,
        "device": device.device_kind,
        "memory_gib": (device.memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**30,
    }
    if profile is not None:
        with jax.profiler.trace(str(profile), create_perfetto_trace=True):
            for _ in range(2):
                state, sums = program(state, there)
            jax.block_until_ready(sums)
        found["kernels"] = [(name, seconds / 2 * 1e3) for name, seconds in kernels(profile)]
    return found


def _state(config: ModelConfig) -> step.TrainState:
    """As `step.initial_state`, drawn on the device: nothing is learned here, and a large model draws long elsewhere."""
    tree, random = multimodal.params(config), iter(jax.random.split(jax.random.key(0), 10_000))

    def draw(param: Param) -> jax.Array:
        if isinstance(param.init, float):
            return jnp.full(param.shape, param.init, jnp.float32)
        return jax.random.normal(next(random), param.shape, jnp.float32) * max(param.fan_in, 1) ** -0.5

    params = map_params(draw, tree)
    return step.TrainState(params, build(Schedule(steps=1_000), tree).init(params), jnp.zeros((), jnp.int32))


def kernels(profile: Path, most: int = 40) -> list[tuple[str, float]]:
    """(name, seconds) of the programs that a device spent most time in, from a trace that JAX's profiler wrote."""
    total: Counter[str] = Counter()
    for path in sorted(profile.rglob("perfetto_trace.json.gz"))[-1:]:
        with gzip.open(path, "rt") as file:
            told = json.load(file)
        for name, seconds in _events(told.get("traceEvents", told) if isinstance(told, dict) else told):
            total[name] += seconds
    return total.most_common(most)


def _events(events: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """What ran on devices; of a processor, what XLA ran."""
    processes = {e["pid"]: e["args"]["name"] for e in events if e.get("name") == "process_name"}
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e.get("name") == "thread_name"}
    for event in events:
        if event.get("ph") != "X":
            continue
        process = processes.get(event["pid"], "")
        thread = threads.get((event["pid"], event.get("tid")), "")
        # A device's lines repeat: its streams hold the kernels, others the operations and modules around them.
        if ("/device:" in process and "Stream" in thread) or "XLAPjRt" in thread or "tf_XLA" in thread:
            yield event["name"], event.get("dur", 0.0) / 1e6
