"""What a compiled program exchanges between devices, read from its text.

XLA's text names every collective with its shapes and the groups of devices that take part; those in the body of a loop
come as often as the loop goes round. What slices of TPUs exchange between them is left to a runtime that it is sent to.
"""

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute", "ragged-all-to-all")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}
_BYTES |= {"s64": 8, "u64": 8, "f64": 8, "f8e4m3fn": 1, "f8e5m2": 1, "s4": 1, "u4": 1, "c64": 8}
SHAPE = re.compile(r"\b(\w+)\[([\d,]*)\]")
_HEAD = re.compile(r"^(?:ENTRY\s+)?%?([\w.\-]+)\s*(?:\([^{]*)?\{\s*$")
_OP = re.compile(rf"=\s*(.*?)\s({'|'.join(KINDS)})(-start)?\(")
_SEND = re.compile(r"=\s*\((.*?), u32\[\].*?\ssend\(.*xla_megascale_runtime.*_xla_megascale_transfer_type=\"(\w+)\"")
_CALLED = re.compile(r"(?:body|condition|to_apply|calls|branch_computations|true_computation|false_computation)=")


@dataclass
class Exchange:
    """One kind of exchange over one kind of network: how often a step, and the bytes that each device sends."""

    kind: str
    between_slices: bool
    count: float = 0.0
    bytes: float = 0.0


def exchanges(text: str, devices: int, slices: int = 1) -> list[Exchange]:
    """All of a program's, summed by kind and network; the largest first."""
    computations, entry = computations_of(text)
    times = _times(computations, entry)
    found: dict[tuple[str, bool], Exchange] = {}
    for name, lines in computations.items():
        if not times[name]:
            continue
        for line in lines:
            if sent := _SEND.search(line):
                kind = sent[2].lower().replace("_", "-")
                each = found.setdefault((kind, True), Exchange(kind, True))
                each.count += times[name]
                each.bytes += times[name] * _between(kind, sent[1], slices)
                continue
            match = _OP.search(line)
            if match is None:
                continue
            kind, groups = match[2], _groups(line, devices)
            size = groups.shape[1] if groups is not None else devices
            across = bool(slices > 1 and groups is not None and _crosses(groups, devices // slices))
            each = found.setdefault((kind, across), Exchange(kind, across))
            each.count += times[name]
            each.bytes += times[name] * _sent(kind, match[1], line, size)
    return sorted(found.values(), key=lambda each: -each.bytes)


def computations_of(text: str) -> tuple[dict[str, list[str]], str]:
    """(lines of every computation, the name of the first to run)."""
    found: dict[str, list[str]] = {}
    entry, lines = "", []
    for line in text.splitlines():
        match = _HEAD.match(line)
        if match and not line.startswith(" "):
            lines = found.setdefault(match[1], [])
            if line.startswith("ENTRY"):
                entry = match[1]
        elif line.startswith(" "):
            lines.append(line)
    return found, entry


def _times(computations: dict[str, list[str]], entry: str) -> dict[str, float]:
    """How often each computation runs in a run of the program."""
    calls: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for name, lines in computations.items():
        for line in lines:
            if " while(" in line:
                body, condition = (re.search(rf"{what}=%?([\w.\-]+)", line) for what in ("body", "condition"))
                rounds = _rounds(line, computations.get(condition[1], []) if condition else [])
                if body:
                    calls[name].append((body[1], rounds))
            elif _CALLED.search(line):
                calls[name] += [(called, 1.0) for called in re.findall(r"[=,{]\s*%([\w.\-]+)", line.split(")", 1)[-1])]
    found: dict[str, float] = defaultdict(float)
    waiting = [(entry, 1.0)]
    while waiting:
        name, times = waiting.pop()
        found[name] += times
        waiting += [(called, times * rounds) for called, rounds in calls.get(name, ()) if called in computations]
    return found


def _rounds(line: str, condition: list[str]) -> float:
    """How often a loop goes round: as XLA says, else the largest number that its condition compares with."""
    told = re.search(r'known_trip_count[^\d]*"?n"?[^\d]*(\d+)', line)
    if told:
        return float(told[1])
    numbers = [int(n) for each in condition for n in re.findall(r"s32\[\][^=]*constant\((\d+)\)", each)]
    return float(max(numbers, default=1))


def _groups(line: str, devices: int) -> np.ndarray | None:
    """[groups, devices of each] that exchange something with each other."""
    iota = re.search(r"replica_groups=\[(\d+),(\d+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", line)
    if iota:
        shape = [int(n) for n in iota[3].split(",")]
        order = np.arange(np.prod(shape)).reshape(shape)
        if iota[4]:
            order = order.transpose([int(n) for n in iota[4].split(",")])
        return order.reshape(int(iota[1]), int(iota[2]))
    listed = re.search(r"(?:replica_groups|source_target_pairs)=\{(\{.*?\})\}", line)
    if listed:
        groups = [[int(n) for n in group.split(",") if n] for group in re.findall(r"\{([\d,]*)\}", listed[1])]
        if groups and len({len(group) for group in groups}) == 1:
            return np.asarray(groups)
    return np.arange(devices)[None] if "replica_groups={}" in line else None


def _crosses(groups: np.ndarray, per_slice: int) -> bool:
    owner = groups // per_slice
    return bool((owner != owner[:, :1]).any())


def _sent(kind: str, result: str, line: str, size: int) -> float:
    """Bytes that a device sends, by the algorithm of a ring."""
    shapes = [bytes_of(dtype, sizes) for dtype, sizes in SHAPE.findall(result) if dtype in _BYTES]
    if not shapes or size < 2 and kind != "collective-permute":
        return 0.0
    whole = max(shapes) if "-start(" in line else sum(shapes)  # begun: a tuple of what goes in and what comes out
    share = (size - 1) / size
    if kind == "all-reduce":
        return 2 * whole * share
    if kind == "reduce-scatter":
        return whole * (size - 1)  # what comes out is a size-th of what goes in
    if kind == "collective-permute":
        return whole
    return whole * share


def _between(kind: str, what: str, slices: int) -> float:
    """Bytes that a device sends to other slices, by the same algorithm, of what it gives to the runtime."""
    whole = sum(bytes_of(dtype, sizes) for dtype, sizes in SHAPE.findall(what) if dtype in _BYTES)
    share = (slices - 1) / slices
    return whole * {
        "all-reduce": 2 * share,
        "all-gather": slices - 1,
        "reduce-scatter": share,
        "all-to-all": share,
    }.get(kind, 1.0)


def bytes_of(dtype: str, sizes: str) -> float:
    return _BYTES[dtype] * float(np.prod([int(n) for n in sizes.split(",") if n] or [1]))
