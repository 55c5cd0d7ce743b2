"""What recovering took in trials (`tejat chaos`), as costs of the simulation.

Trials tell times from a fault to the next finished step, of a few processes on one machine: what they measure of a job
of thousands is how soon a fault is noticed, and how long processes take to begin. Reading the state, finding another
machine and seeing a corruption stay what they were.
"""

import json
from pathlib import Path

from tejat.errors import BadInput
from tejat.plan.goodput import Measured
from tejat.train.surviving.faults import Kind
from tejat.train.surviving.outcomes import NAME, Outcome, quantile

AT_ONCE = (Kind.KILL, Kind.MEMORY, Kind.SAVE, Kind.DISK)
"""Processes die, which is seen at once, and the next ones find everything compiled."""


def read(path: Path) -> dict[str, Measured]:
    """Fields of `Costs`, by medians, from a chaos.jsonl or the directory that has one; those of which it tells nothing
    are missing.

        begin_warm    from a process's death to the next step, from copies in memory
        begin         the same where a machine is lost, whose programs are compiled anew
        notice        how much longer it takes where a process hangs and does not die

    Raises BadInput for a file that tells no outcomes, or of no recovery.
    """
    path = path / NAME if path.is_dir() else path
    try:
        outcomes = [Outcome.from_json(json.loads(line)) for line in path.read_text().splitlines()]
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); give the --out of tejat chaos") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no chaos.jsonl ({error!r}); give the --out of tejat chaos") from error
    whole = [each for outcome in outcomes if outcome.shrunk is None for each in outcome.recoveries]
    times = {
        "begin_warm": [each.seconds for each in whole if each.kind in AT_ONCE and each.memory],
        "begin": [each.seconds for each in whole if each.kind is Kind.HOST],
        "notice": [each.seconds for each in whole if each.kind is Kind.HANG],
    }
    found = {name: Measured(quantile(seconds, 0.5), len(seconds)) for name, seconds in times.items() if seconds}
    if not found:
        raise BadInput(f"{path} tells of no recovery; try other --kinds of tejat chaos, such as kill,hang,host")
    if "notice" in found:  # a hang is noticed late, and then it is a death
        warm = found["begin_warm"].seconds if "begin_warm" in found else 0.0
        found["notice"] = found["notice"]._replace(seconds=max(0.0, found["notice"].seconds - warm))
    return found
