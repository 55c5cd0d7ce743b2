"""`tejat plan`: the step of training, compiled for hardware that is not here: does it fit, how long does it take?"""

import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from tejat.cli.options import only_with, parse
from tejat.cli.table import short, straight
from tejat.errors import BadInput

TRIES = 4
"""Meshes that are compiled, at most, until one fits."""

SHOWN = 5


@dataclass(frozen=True)
class Plan:
    """Compile the step of training for a topology, and tell what each chip holds, exchanges and takes.

    Forward, backward, AdamW with float32 masters and moments, all modalities in the batch. TPUs need libtpu (pip
    install 'tejat[tpu]') and no TPU.

    Example: tejat plan nano1 --topology v5e:16x16
             tejat plan ultra --topology v4:16x16x16 --slices 2
             tejat plan nano1 --topology h200:8 --mesh fsdp=8
             tejat plan pro --topology v5e:16x16 --serve
             tejat plan ultra --topology v4:16x16x16 --slices 2 --estimate --goodput
    """

    size: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SIZE")]
    """A size of the family."""
    topology: str = "v5e:16x16"
    """A chip and how many: v4, v5e, v5p, v6e with the sides of their torus; h100, h200 with a number."""
    slices: int = 1
    """Of the topology, joined by the network of data centres."""
    mesh: str | None = None
    """As `tejat train --mesh`; without it, the fastest by estimate that fits, with --keep and --tokens."""
    tokens: int | None = None
    """Of a batch; 4,194,304 without it, or two or four times as many where that is worth it."""
    context: int | None = None
    """Tokens of a row; those of the size without it."""
    accumulate: int | None = None
    """Parts that a batch is computed in, with --mesh."""
    keep: Literal["everything", "products", "inputs"] | None = None
    """Of each layer, for the backward pass; with --mesh and without it, inputs."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE ...")] = ()
    """Changes of the size, as in decoder.layers=12."""
    price: float | None = None
    """Dollars an hour of a chip, in place of the list price."""
    limit: float = 600.0
    """Seconds for the compiler, each time."""
    estimate: tyro.conf.FlagCreatePairsOff[bool] = False
    """Compile nothing: estimates alone."""
    law: Path | None = None
    """A law of losses that says how long the run is, not 20 tokens a parameter: benchmarks/foretold.json, or a
    ladder.json (recipes/ladder.py)."""
    serve: tyro.conf.FlagCreatePairsOff[bool] = False
    """Plan a deployment instead: the engine's steps, for replicas of so many chips (--mesh tensor=8)."""
    rows: int | None = None
    """Answers at a time of a replica, with --serve; as many as fit, without."""
    goodput: tyro.conf.FlagCreatePairsOff[bool] = False
    """Simulate the run on chips that fail: how much of its time is useful, and how often to save."""
    days: float = 90.0
    """That it lasts, with --goodput."""
    mtbf: float | None = None
    """Hours between two failures of a chip; Llama 3's without it."""
    measured: Path | None = None
    """What recovering took, in place of assumptions: the --out of `tejat chaos`, with --goodput."""
    corrupted: float | None = None
    """Days between two silent corruptions of the whole job; Gemini's, by the number of chips, without it."""
    seed: int = 0
    """Of what fails when."""
    chart: Path | None = None
    """Where a chart of --goodput goes, as PNG."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat plan`. Raises BadInput for a size, topology, mesh or batch that cannot be."""
    options = parse(Plan, arguments, "tejat plan")
    if not options.goodput:
        only_with("--goodput", options, "days", "mtbf", "measured", "corrupted", "seed", "chart")
    if not options.serve:
        only_with("--serve", options, "rows")
    if options.mesh is None:
        only_with("--mesh", options, "accumulate")
    if options.context is not None and options.context < 1:
        raise BadInput(f"--context is {options.context} tokens of a row; give 1 or more")
    if options.tokens is not None and options.tokens < 1 or options.limit <= 0 or not _is_price(options.price):
        raise BadInput("--tokens is 1 or more, --limit some seconds, and --price a number of dollars; give others")
    if options.serve and options.goodput:
        raise BadInput("--goodput is of training, and --serve plans a deployment; give one of them")
    if options.serve:
        from tejat.cli import plan_serve

        found = plan_serve.plan(options)
        print(json.dumps(found) if options.json else straight(plan_serve.table(found)))
        return 0 if found["fits"] or options.estimate else 1
    found = plan(options)
    if options.goodput:
        found["goodput"] = goodput(options)
    if options.chart is not None:
        from tejat.plan import goodput_chart

        goodput_chart.draw(found["goodput"], options.chart)
    print(json.dumps(found) if options.json else straight(table(found)))
    return 0 if found["fits"] or options.estimate else 1


def _is_price(dollars: float | None) -> bool:
    return dollars is None or 0 < dollars < math.inf


def plan(options: Plan) -> dict[str, Any]:
    """What `--json` prints."""
    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.plan import compiling, nearest, roofline, scaling, topology

    where = topology.parse(options.topology, options.slices)
    if options.price is not None:
        where = replace(where, chip=replace(where.chip, dollars=options.price))
    job = compiling.Job(
        options.size, options.topology, options.slices, {}, 0, context=options.context, changes=options.set
    )
    config = compiling.configured(job)
    batches, keeps = _searched(options, config.context)
    law = None if options.law is None else scaling.law(options.law)
    media = compiling.batch_shapes(config, 1).inputs.media
    patches, frames = media.patches.shape[1], math.prod(media.mel.shape[1:3])
    found = _candidates(options, config, where, batches, keeps, patches, frames)
    if not found:
        raise nearest.no_mesh(config, where, batches[0])
    if not options.estimate:
        if wrong := nearest.too_small(config, where, batches, keeps, found):
            raise wrong
        topology.ready(where)
    tried, result = [], None
    for candidate in () if options.estimate else _worth_trying(found, tried):
        told = _mesh(candidate)
        print(
            f"compiling {options.size} for {where}, mesh {told}, {candidate.estimate.tokens:,} tokens in "
            f"{candidate.accumulate} parts, {candidate.keep} kept …",
            file=sys.stderr,
        )
        how = {"mesh": candidate.mesh, "rows": candidate.rows, "keep": candidate.keep}
        made = compiling.in_a_child(replace(job, **how, accumulate=candidate.accumulate), options.limit)
        total = None if "error" in made else _total(made["bytes"])
        tried.append(
            {"mesh": told, "accumulate": candidate.accumulate, "keep": candidate.keep, "estimated": candidate.bytes}
            | {"tokens": candidate.estimate.tokens, "bytes": None}
            | made
        )
        if total is not None and total <= where.chip.memory:
            links, network = roofline.sent(made["exchanges"])
            more = {"tensor": candidate.mesh.get("tensor", 1), "links": links, "network": network}
            more |= {"patches": patches, "frames": frames, "keep": candidate.keep, "accumulate": candidate.accumulate}
            estimate = roofline.estimate(config, where, candidate.rows, **more)
            result = made | {"candidate": replace(candidate, estimate=estimate)}
            break
        reason = made.get("error") or f"it needs {total / 2**30:.1f} GiB of {where.chip.memory / 2**30:.1f}"
        print(f"  mesh {told}: {reason}", file=sys.stderr, flush=True)
    short = found[0].bytes > where.chip.memory if options.estimate else any(each["bytes"] for each in tried)
    near = nearest.roomier(config, where, batches, keeps, found) if short and not result else None
    return _told(options, config, where, found, tried, result, law) | {"nearest": near}


def _searched(options: Plan, context: int) -> tuple[list[int], list[str]]:
    """(rows of a batch, what layers keep): what was asked for, or what is looked at. Raises BadInput for tokens that
    are no rows."""
    from tejat.plan.search import KEEP, TOKENS

    tokens = options.tokens or TOKENS
    rows = max(1, tokens // context)
    if tokens % context:
        raise BadInput(f"--tokens {tokens} is no multiple of the context, {context}; try {rows * context}")
    fixed = options.mesh is not None
    batches = [rows] if fixed or options.tokens else [rows, 2 * rows, 4 * rows]
    return batches, [options.keep or KEEP] if fixed or options.keep else ["inputs", "products", "everything"]


def _worth_trying(found: list, tried: list[dict[str, Any]]):
    """Those to be compiled, until one fits: after one that did not, those alone that need less by estimate."""
    room = math.inf
    for candidate in found:
        if len(tried) == TRIES:
            return
        if candidate.bytes < room:
            yield candidate
            last = tried[-1]
            if last["bytes"] or "does not fit" in last.get("error", ""):
                room = 0.95 * candidate.bytes


def goodput(options: Plan) -> dict[str, Any]:
    """What `--goodput` adds. Raises BadInput for times that are none."""
    from tejat.model import sizes
    from tejat.plan import compiling, goodput, goodput_measured, topology

    where = topology.parse(options.topology, options.slices)
    job = compiling.Job(options.size, options.topology, options.slices, {}, 0, changes=options.set)
    more = {} if options.mtbf is None else {"hours": options.mtbf}
    return goodput.study(
        sizes.parts(compiling.configured(job)).whole,
        where.chips,
        where.slices,
        where.chip.network,
        days=options.days,
        corrupted_days=options.corrupted,
        seed=options.seed,
        measured=None if options.measured is None else goodput_measured.read(options.measured),
        **more,
    )


def _candidates(options: Plan, config, where, batches: list[int], keeps: list[str], patches: int, frames: int):
    """The mesh that was asked for, or all."""
    from tejat.plan import nearest, search
    from tejat.train import mesh as meshes

    if options.mesh is None:
        return search.candidates(config, where, batches, keeps, patches, frames)
    mesh, parts = meshes.parse(options.mesh), options.accumulate or 1
    nearest.check_mesh(config, where, batches[0], keeps[0], mesh, parts)
    return [search.candidate(config, where, batches[0], keeps[0], patches, frames, mesh, parts)]


def _total(held: dict[str, int]) -> int:
    return sum(held[part] for part in ("arguments", "activations", "temporaries", "results", "program"))


def _told(options: Plan, config, where, found, tried, result, law) -> dict[str, Any]:
    from tejat.plan import roofline, search

    best = result["candidate"] if result else found[0]
    whole = {
        "size": options.size,
        "topology": str(where),
        "devices": where.chips,
        "tokens": best.estimate.tokens,
        "context": config.context,
        "fits": result is not None,
        "compiled": result is not None,
        "mesh": _mesh(best),
        "accumulate": best.accumulate,
        "keep": best.keep,
        "hbm_gib_per_chip": (_total(result["bytes"]) if result else best.bytes) / 2**30,
        "memory_gib": {k: size / 2**30 for k, size in (result["bytes"] if result else best.parts).items()},
        "exchanges": result["exchanges"] if result else None,
        "dcn_bytes_per_step": roofline.sent(result["exchanges"])[1] if result else None,
        "compile_s": result["compile_s"] if result else None,
        "parameters": result["parameters"] if result else None,
        "tried": [{k: v for k, v in each.items() if k not in ("exchanges", "parameters")} for each in tried],
    }
    whole |= roofline.as_json(best.estimate) | {"assumed": roofline.assumed(where)}
    whole["assumed"]["critical_tokens"] = roofline.critical(config)
    whole["run"] = roofline.run(config, where, best.estimate, law=law)
    whole["best"] = [
        {
            "mesh": _mesh(each),
            "tokens": each.estimate.tokens,
            "accumulate": each.accumulate,
            "keep": each.keep,
            "gib": each.bytes / 2**30,
            "compiled": _compiled(each, tried, where),
            "step_s": each.estimate.step_s,
            "mfu": each.estimate.mfu,
            "bound": each.estimate.bound,
        }
        for each in search.different(found, SHOWN)
    ]
    return whole


def _compiled(candidate, tried, where) -> str:
    """What a chip holds of a candidate by the compiler, and whether it has so much; "" where it was not asked."""
    for each in tried:
        same = each["mesh"], each["tokens"], each["accumulate"], each["keep"]
        mine = _mesh(candidate), candidate.estimate.tokens, candidate.accumulate, candidate.keep
        if same == mine and each["bytes"]:
            total = _total(each["bytes"])
            return f"{total / 2**30:.1f}" + (", too much" if total > where.chip.memory else "")
    return ""


def _mesh(candidate) -> str:
    return candidate.told if candidate.mesh else "one chip"


def table(found: dict[str, Any]) -> str:
    """For people."""
    parts = found["memory_gib"]
    lines = [
        f"{found['size']} on {found['topology']} ({found['devices']:,} chips), {found['tokens']:,} tokens a step "
        f"in rows of {found['context']:,}, {found['accumulate']} parts, {found['keep']} of layers kept",
        "",
    ]
    held = (
        f"  parameters {parts['parameters']:.2f}, optimizer {parts['optimizer']:.2f}, activations "
        f"{parts['activations']:.2f}, temporaries {parts['temporaries']:.2f}"
    )
    if found["compiled"]:
        batch = parts["arguments"] - parts["parameters"] - parts["optimizer"]
        lines += [
            f"compiled in {found['compile_s']:.0f} s with the mesh {found['mesh']}; a chip holds "
            f"{found['hbm_gib_per_chip']:.2f} GiB:",
            f"{held}, batch {batch:.2f}, program {parts['program']:.2f}",
            "",
            "| exchange | over | times a step | GB a chip |",
            "|---|---|---|---|",
        ]
        for each in found["exchanges"]:
            over = "network" if each["between_slices"] else "links"
            lines.append(f"| {each['kind']} | {over} | {each['count']:,.0f} | {each['bytes'] / 1e9:.3g} |")
        lines.append("")
    elif found["tried"] or found["nearest"]:
        why = "nothing that was compiled fits" if found["tried"] else "by estimate it does not fit"
        mend = f"; {found['nearest']} does, by estimate" if found["nearest"] else ""
        lines += [f"{why}{mend}; what follows is estimated", ""]
    if not found["compiled"]:
        lines += [
            f"a chip holds, by estimate, {found['hbm_gib_per_chip']:.2f} GiB with the mesh {found['mesh']}:",
            held,
        ]
        lines.append("")
    run = found["run"]
    foretold = "" if run["loss"] is None else f", loss {run['loss']:.3f}"
    lines += [
        f"a step: {found['step_s']:.3g} s, {found['mfu']:.1%} of the peak, bound by {found['bound']} (products "
        f"{found['products_s']:.3g}, attention {found['attention_s']:.3g}, memory {found['memory_s']:.3g}, links "
        f"{found['links_s']:.3g}, network {found['network_s']:.3g} s), {found['flops']:.3g} FLOPs",
        f"a run of {short(run['tokens'])} tokens: {short(run['days'])} days, {short(run['chip_hours'])} chip-hours, "
        f"${short(run['dollars'])} ({run['tokens'] / run['parameters']:.3g} tokens a parameter"
        f"{foretold}; {short(run['tokens_per_day'])} tokens a day)",
        *_assumed(found["assumed"]),
        f"a batch beyond {short(found['assumed']['critical_tokens'])} tokens saves few steps (Kaplan et al. 2020)",
        "",
        "| mesh, by estimate | tokens | parts | kept | GiB a chip | compiled | s a step | MFU | bound by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in found["best"]:
        lines.append(
            f"| {each['mesh']} | {short(each['tokens'])} | {each['accumulate']} | {each['keep']} | {each['gib']:.1f} | "
            f"{each['compiled']} | {each['step_s']:.3g} | {each['mfu']:.1%} | {each['bound']} |"
        )
    return "\n".join(lines + (_survival(found["goodput"]) if "goodput" in found else []))


def _assumed(taken: dict[str, Any]) -> list[str]:
    attention = ", ".join(f"{share:.1%} on {kind} layers" for kind, share in taken["attention_share"].items())
    return [
        f"assumed of a chip: products at {taken['products_share']:.0%} of {taken['flops'] / 1e12:,.0f} TFLOP/s, "
        f"attention at {attention}, memory at {taken['bandwidth_share']:.0%} of {taken['bandwidth'] / 1e9:,.0f} GB/s;",
        f"links at {taken['links_share']:.0%} of {taken['links'] / 1e9:,.0f} GB/s, "
        f"{'beside' if taken['links_hidden'] else 'after'} the arithmetic, network at "
        f"{taken['network'] / 1e9:.3g} GB/s; ${taken['dollars']:.2f} an hour",
    ]


def _survival(found: dict[str, Any]) -> list[str]:
    """Of --goodput."""
    spent = found["costs_s"]
    lines = [
        "",
        f"{found['days']:g} days with {found['stops_per_day']:.2g} stops a day and a silent corruption every "
        f"{found['corruption_days']:.3g} days; a checkpoint takes {spent['save']:.3g} s, its restoring "
        f"{spent['restore']:.3g} s, a copy in memory {spent['copy']:.2g} s:",
        *(f"{name} {each['seconds']:.3g} s, the median of {each['of']}" for name, each in found["measured"].items()),
        "",
        "| what is done about faults | useful time | best cadence, s | saving | recovering | work made again |",
        "|---|---|---|---|---|---|",
    ]
    for each in found["policies"]:
        lost = each["lost"]
        saving = lost["saving"] + lost["copying"] + lost["auditing"]
        lines.append(
            f"| {each['policy']} | {each['goodput']:.1%} ± {each['deviation']:.1%} | "
            f"{each['copied_s'] or each['cadence_s']:,.0f} | {saving:.1%} | {lost['recovering']:.1%} | "
            f"{lost['work made again']:.1%} |"
        )
    lines += [
        "",
        f"for checkpoints alone Young's rule says {found['young_s']:,.0f} s and Daly's {found['daly_s']:,.0f} s; "
        f"without corruption {found['simulated_alike']:.1%} by simulation, {found['closed_form']:.1%} in closed form",
    ]
    return lines
