"""`tejat plan --serve`: the engine's steps, compiled for hardware that is not here: does it fit, what does it cost?"""

import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tejat.errors import BadInput

if TYPE_CHECKING:
    from tejat.cli.plan import Plan

SHOWN, TRIES = 5, 3
"""Replicas that are told, and that are compiled at most, until one fits."""


def plan(options: "Plan") -> dict[str, Any]:
    """What `--json` prints. Raises BadInput for a size, topology, number of chips or of rows that cannot be."""
    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat.plan import compiling, serving, topology

    where = topology.parse(options.topology, options.slices)
    if options.price is not None:
        where = replace(where, chip=replace(where.chip, dollars=options.price))
    job = compiling.Job(options.size, options.topology, options.slices, {}, 0, changes=options.set)
    config = compiling.configured(job)
    context = options.context or config.context
    if not 1 <= context <= config.context:
        raise BadInput(f"the context of {options.size} is {config.context:,} tokens; give --context no larger")
    if options.rows is not None and options.rows < 1:
        raise BadInput(f"--rows {options.rows} answers nobody; give 1 or more")
    found = serving.candidates(config, where, context, options.rows)
    if options.mesh is not None:
        found = [each for each in found if each.tensor == _tensor(options.mesh)]
    if not found:
        raise serving.nothing_fits(config, where, context)
    if not options.estimate:
        topology.ready(where)
    tried, result = [], None
    for each in () if options.estimate else found[:TRIES]:
        part = topology.part(where, each.tensor)
        told = f"{each.tensor} chips a replica, {each.rows} rows of {context:,}"
        print(f"compiling the steps of {options.size} for {part}: {told} …", file=sys.stderr, flush=True)
        name = f"{part.chip.name}:{'x'.join(map(str, part.shape))}"
        replica = serving.Replica(options.size, name, each.tensor, each.rows, context, options.set)
        made = serving.in_a_child(replica, options.limit)
        bytes_ = None if "error" in made else serving.total(made)
        tried.append({"tensor": each.tensor, "rows": each.rows, "bytes": bytes_, "error": made.get("error")})
        if bytes_ is not None and bytes_ <= where.chip.memory:
            exchanges = serving.exchanged(made)
            result = made | {
                "estimate": serving.estimate(config, where, each.tensor, each.rows, context, exchanges),
                "bytes": bytes_,
            }
            break
        reason = made.get("error") or f"it needs {bytes_ / 2**30:.1f} GiB of {where.chip.memory / 2**30:.1f}"
        print(f"  {reason}", file=sys.stderr, flush=True)
    best = result["estimate"] if result else found[0]
    held = result["bytes"] if result else best.weights_bytes + best.keys_bytes
    return {
        "size": options.size,
        "topology": str(where),
        "devices": where.chips,
        "context": context,
        "fits": result is not None,
        "compiled": result is not None,
        "replicas": where.chips // best.tensor,
        "hbm_gib_per_chip": held / 2**30,
        "dcn_bytes_per_step": 0,  # replicas have nothing to say to each other
        "compile_s": sum(result[name]["compile_s"] for name in ("write", "read")) if result else None,
        "steps": {name: result[name] for name in ("write", "read")} if result else None,
        "parameters": result["parameters"] if result else None,
        "keys": serving.table_of_keys(config, context),
        "tried": tried,
        **asdict(best),
        "bound": best.bound,
        "assumed": serving.assumed(where),
        "best": [asdict(each) | {"bound": each.bound} for each in found[:SHOWN]],
    }


def _tensor(mesh: str) -> int:
    from tejat.train import mesh as meshes

    sizes = meshes.parse(mesh)
    if [*sizes] != ["tensor"]:
        raise BadInput(f"the mesh {mesh!r} is none to serve on; give tensor=N, and the rest of the chips are copies")
    return sizes["tensor"]


def table(found: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"{found['size']} served on {found['topology']}: {found['replicas']:,} x {found['tensor']} chips, "
        f"{found['rows']} answers at a time in each replica, of up to {found['context']:,} tokens with their prompts",
        "",
    ]
    if found["compiled"]:
        lines += [
            f"compiled in {found['compile_s']:.0f} s; a chip holds {found['hbm_gib_per_chip']:.2f} GiB, of which "
            f"weights {found['weights_bytes'] / 2**30:.2f} and keys {found['keys_bytes'] / 2**30:.2f}",
            "",
            "| step | exchanges | MB a chip sends | temporaries, GiB |",
            "|---|---|---|---|",
        ]
        for name, told in (("a token for every row", "write"), ("a part of some prompts", "read")):
            step = found["steps"][told]
            count, sent = (sum(each[what] for each in step["exchanges"]) for what in ("count", "bytes"))
            lines.append(f"| {name} | {count:,.0f} | {sent / 1e6:,.3g} | {step['bytes']['temporaries'] / 2**30:.2f} |")
        lines.append("")
    elif found["tried"]:
        lines += ["nothing that was compiled fits; what follows is estimated", ""]
    lines += [
        f"a token for every row: {found['step_s'] * 1e3:.3g} ms, bound by {found['bound']} (reading "
        f"{found['read_s'] * 1e3:.3g}, exchanges {found['exchange_s'] * 1e3:.3g} ms): "
        f"{1 / found['step_s']:,.0f} tokens/s an answer, {found['tokens_per_s']:,.0f} in all, "
        f"${found['dollars_per_million']:.3g} a million",
        f"prompts: {found['prompt_tokens_per_s']:,.0f} tokens/s, ${found['prompt_dollars_per_million']:.3g} a million",
        *_assumed(found["assumed"]),
        "",
        "| rows | context | keys, GiB |",
        "|---|---|---|",
        *(f"| {each['rows']} | {each['context']:,} | {each['gib']:.3g} |" for each in found["keys"]),
        "",
        "| chips a replica, by estimate | rows | GiB a chip | ms a token | tokens/s | $ a million | bound by |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found["best"]:
        held = (each["weights_bytes"] + each["keys_bytes"]) / 2**30
        lines.append(
            f"| {each['tensor']} | {each['rows']} | {held:.1f} | {each['step_s'] * 1e3:.3g} | "
            f"{each['tokens_per_s']:,.0f} | {each['dollars_per_million']:.3g} | {each['bound']} |"
        )
    return "\n".join(lines)


def _assumed(taken: dict[str, float]) -> list[str]:
    return [
        f"assumed of a chip: products at {taken['products_share']:.0%} of {taken['flops'] / 1e12:,.0f} TFLOP/s, "
        f"memory at {taken['bandwidth_share']:.0%} of {taken['bandwidth'] / 1e9:,.0f} GB/s, an exchange waits "
        f"{taken['wait_s'] * 1e6:g} µs and goes at {taken['links'] / 1e9:,.0f} GB/s; ${taken['dollars']:.2f} an hour;",
        f"weights and keys in bfloat16, in {taken['memory_share']:.0%} of its memory, rows "
        f"{taken['filled_share']:.0%} full in the mean; prompts read {taken['prompts']} at a time, "
        f"{taken['prompt_tokens']} tokens of each",
    ]
