"""Programs compiled in a process of their own: compilers for hardware that is not here sometimes crash, and take memory
that is given back with the process.

A module that compiles has `compiled`, of one job, and ends with `sys.exit(child.main(compiled))`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tejat.errors import BadInput
from tejat.plan.topology import Topology
from tejat.train.surviving.leash import die_with_parent


def run(module: str, job: dict[str, Any], where: Topology, limit: float) -> dict[str, Any]:
    """What the module's `compiled` gives of a job, or {"error": why there is nothing}. Raises BadInput as it does."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "TPU_LOG_DIR": "disabled"}
    environment["ALLOW_MULTIPLE_LIBTPU_LOAD"] = "1"  # its compiler alone is wanted, however many plans are made at once
    if not where.chip.is_tpu:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={where.chips}"
        environment["XLA_FLAGS"] = flags
    command = [sys.executable, "-m", module, json.dumps(job)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"the compiler was not done in {limit:.0f} s"}
    if done.returncode == 2:
        raise BadInput(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        return {"error": reason(done.returncode, done.stderr)}
    return json.loads(done.stdout.strip().splitlines()[-1])


def reason(code: int, told: str) -> str:
    """Why a compiler stopped, in a line."""
    for line in told.splitlines():
        if "RESOURCE_EXHAUSTED" in line or "Ran out of memory" in line:
            return f"it does not fit: {line.strip()[:200]}"
    lines = [line.strip() for line in told.splitlines() if "Error" in line or "Check failed" in line]
    died = f"the compiler died of signal {-code}" if code < 0 else "the compiler failed"
    return f"{died}: {lines[-1][:200]}" if lines else died


def main(compiled: Callable[..., dict[str, Any]]) -> int:
    """Compiles the job that the command line gives, and prints a line of JSON."""
    die_with_parent()  # who waits for the plan may be ended; a compiler goes on for minutes
    try:
        print(json.dumps(compiled(**json.loads(sys.argv[1]))))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def held(program: Any) -> dict[str, int]:
    """Bytes of a compiled program's memory on one device."""
    memory = program.memory_analysis()
    return {
        "arguments": memory.argument_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "program": memory.generated_code_size_in_bytes,
    }
