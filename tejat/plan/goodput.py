"""Months of training on thousands of chips that fail: how much of the time is useful, and how often to save.

What fails, how often, is public:
  Llama 3 405B (arXiv 2407.21783, section 3.3.4): 466 interruptions in 54 days on 16,384 GPUs, 419 of them unexpected.
  Gemini (arXiv 2312.11805, section 5): silent data corruption every week or two; goodput from 85% to 97%.
What recovery costs is in `Costs`, where each number says what it is: the bytes follow from the plan, the rest are
assumptions that a measurement replaces (`goodput_measured`).

A run is simulated from fault to fault, many runs and many cadences side by side. For checkpoints alone there is a
closed form beside it (Daly 2006, equation 20), and rules for the best cadence: Young 1974, Daly 2006 (equation 37).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from tejat.errors import BadInput

HOURS = 54 * 24 * 16_384 / 466
"""Between two interruptions of one chip: Llama 3's."""

CORRUPTED_DAYS, CORRUPTED_CHIPS = 10.5, 8_192
"""Gemini's "every week or two", held to be that of two TPU v4 SuperPods."""

TRIALS = 64
DAY = 86_400.0


@dataclass(frozen=True)
class Faults:
    """Seconds between two of a kind, on the whole job. A reported stop is a chip, host, link or process that died or
    hangs; a corruption changes numbers and says nothing."""

    stop: float
    corruption: float

    @classmethod
    def of(cls, chips: int, hours: float = HOURS, corrupted_days: float | None = None) -> "Faults":
        """`hours` between two stops of one chip; `corrupted_days` between two corruptions of the whole job, Gemini's
        rate for each chip without it."""
        days = CORRUPTED_DAYS * CORRUPTED_CHIPS / chips if corrupted_days is None else corrupted_days
        return cls(hours * 3600 / chips, days * DAY)


@dataclass(frozen=True)
class Costs:
    """Seconds. The first four follow from bytes (`costs`)."""

    save: float  # until a checkpoint is in storage; the job waits, unless it is written from copies in memory
    restore: float  # from storage
    copy: float  # the job waits while state is copied to memory, here and on a peer
    copy_restore: float  # from a peer's memory
    notice: float = 60.0  # until a stop is noticed and processes are ended
    reschedule: float = 360.0  # until other machines have taken the place of those that failed
    swap: float = 30.0  # the same, where a hot spare takes it
    begin: float = 480.0  # processes begin, find each other, compile, fill their pipelines
    begin_warm: float = 90.0  # the same, where processes that did not fail wait, and programs are kept
    repair: float = 8 * 3600.0  # until a failed machine is a spare again
    wait: float = 1800.0  # for a machine, where all spares are gone
    suspicion: float = 4 * 3600.0  # until someone sees in the loss that something was corrupted
    search: float = 2 * 3600.0  # for the bad chip, by hand
    audit: float = 300.0  # until an audit sees it
    replay: float = 60.0  # of the doubted steps, on other devices
    both: float = 0.02  # of stops: those that take all copies of something with them


class Measured(NamedTuple):
    """A cost that was measured: the median of so many."""

    seconds: float
    of: int


@dataclass(frozen=True)
class Policy:
    """What a run does about faults. `audits`: the share of the time that they take; none: corruptions are seen late."""

    name: str
    spares: int = 0
    copies: bool = False
    audits: float = 0.0


POLICIES = (
    Policy("checkpoints in storage"),
    Policy("and hot spares", spares=4),
    Policy("and copies in memory", spares=4, copies=True),
    Policy("and audits with replay", spares=4, copies=True, audits=0.005),
)
"""Each with what the one before it has."""

PCIE, STORAGE = 10e9, 100e9
"""Bytes a second: a chip's to its host, and a file system's from all hosts together."""


def costs(parameters: float, chips: int, slices: int, network: float) -> Costs:
    """What saving and restoring cost a model of so many parameters: 12 bytes each (float32 masters and two moments).

    Storage is read once by each slice. `network`: bytes a second of one chip between slices.
    """
    state = 12.0 * parameters
    share = state / chips * slices  # each slice holds all of it
    return Costs(
        save=state / STORAGE,
        restore=state * slices / STORAGE,
        copy=0.2 + share / PCIE,
        copy_restore=share / network + share / PCIE,
    )


@dataclass(frozen=True)
class Outcome:
    """Of many runs, for one cadence: the useful share of the time, its deviation between runs, and what the rest
    went to, in shares."""

    cadence: float
    copied: float
    goodput: float
    deviation: float
    lost: dict[str, float]


def simulate(
    faults: Faults,
    costs: Costs,
    policy: Policy,
    cadences: Float[np.ndarray, "K"],
    *,
    days: float = 90.0,
    copied: float | None = None,
    trials: int = TRIALS,
    seed: int = 0,
) -> list[Outcome]:
    """Runs of so many days, for each number of seconds of work between two checkpoints.

    `copied`: seconds between two copies in memory, of those that divide the cadence the nearest; Young's without it.
    All cadences see the same faults.
    """
    random = np.random.default_rng(seed)
    end, rate = days * DAY, 1 / faults.stop + 1 / faults.corruption
    cadence = np.repeat(np.asarray(cadences, float)[:, None], trials, axis=1)
    copy, save = (costs.copy, 0.0) if policy.copies else (0.0, costs.save)
    if copied is None:
        copied = young(costs.copy, faults.stop)
    # One checkpoint every `each` copies; without copies every piece of work ends in a checkpoint.
    each = np.maximum(1, np.round(cadence / copied)) if policy.copies else np.ones_like(cadence)
    piece = cadence / each
    slow = 1 / (1 - policy.audits)
    round_ = piece * slow + copy  # the time of a piece of work

    shape = cadence.shape
    time, useful, done = np.zeros(shape), np.zeros(shape), np.zeros(shape)  # done: pieces since the last checkpoint
    recovery = np.full(shape, costs.begin)
    spare_at = np.zeros((max(policy.spares, 1), *shape))  # when each spare is ready
    lost = {name: np.zeros(shape) for name in ("saving", "copying", "auditing", "recovering", "work made again")}
    while (alive := time < end).any():
        gap = np.broadcast_to(random.exponential(1 / rate, trials), shape)
        corrupted = np.broadcast_to(random.random(trials) < rate**-1 / faults.corruption, shape)
        beyond = np.broadcast_to(random.random(trials) < costs.both, shape) if policy.copies else np.ones(shape, bool)
        late = np.broadcast_to(random.exponential(1.0, trials), shape)
        gap = np.where(alive, np.minimum(gap, end - time), 0.0)
        failed = alive & (time + gap < end)

        # ---- Work until the fault ----
        recovering = np.minimum(gap, recovery)
        worked = gap - recovering + done * round_  # as if it had begun with the last checkpoint
        whole = each * round_ + save
        saves = np.floor(worked / whole)
        pieces = np.minimum(np.floor((worked - saves * whole) / round_), each)
        made = (saves * each + pieces - done) * piece
        overhead = (saves * each + pieces - done) * copy
        begun = gap - recovering - made * slow - overhead - saves * save  # work or a save that was cut short
        time += gap
        useful += made
        lost["recovering"] += recovering
        lost["saving"] += saves * save
        lost["copying"] += overhead
        lost["auditing"] += made * (slow - 1)
        lost["work made again"] += np.maximum(begun, 0.0)

        # ---- What it takes back ----
        stays = pieces  # since the last checkpoint; kept where a copy survives
        since = np.where(corrupted, late * (costs.audit if policy.audits else costs.suspicion), 0.0)
        again = np.where(beyond, stays * piece, 0.0)  # copies of an audited run are clean before the corruption
        if not policy.audits:
            again = np.where(corrupted, stays * piece, again)
        again = np.where(failed, np.maximum(again, 0.0) + since, 0.0)
        again = np.minimum(again, useful)
        useful -= again
        lost["work made again"] += again
        done = np.where(failed & (beyond | (corrupted & (not policy.audits))), 0.0, pieces)

        # ---- How long it is down ----
        if policy.spares:
            first = np.argmin(spare_at, axis=0)[None]
            ready = np.take_along_axis(spare_at, first, axis=0)[0]
            place = np.where(ready <= time, costs.swap, np.minimum(ready - time, costs.wait))
            used = np.where(failed, np.maximum(time, ready) + costs.repair, ready)
            np.put_along_axis(spare_at, first, used[None], axis=0)
        else:
            place = np.full(shape, costs.reschedule)
        warm = costs.begin_warm if policy.spares else costs.begin
        down = costs.notice + place + warm + np.where(beyond, costs.restore, costs.copy_restore)
        sought = costs.replay if policy.audits else costs.search
        down = np.where(corrupted, sought + down - costs.notice, down)
        recovery = np.where(failed, down, recovery)
    share = useful / time
    return [
        Outcome(
            float(cadence[at, 0]),
            float(piece[at, 0]),
            float(share[at].mean()),
            float(share[at].std()),
            {name: float((seconds[at] / time[at]).mean()) for name, seconds in lost.items()},
        )
        for at in range(len(cadence))
    ]


def young(save: float, between: float) -> float:
    """The cadence at which saving and losing cost the same, to first order."""
    return math.sqrt(2 * save * between)


def daly(save: float, between: float) -> float:
    """The same to a higher order."""
    if save >= 2 * between:
        return between
    ratio = save / (2 * between)
    return math.sqrt(2 * save * between) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def expected(cadence: float, save: float, restart: float, between: float) -> float:
    """The useful share of the time with checkpoints alone, in closed form: faults strike at any time, recovery too."""
    return cadence / (between * math.exp(restart / between) * math.expm1((cadence + save) / between))


def study(
    parameters: float,
    chips: int,
    slices: int,
    network: float,
    *,
    days: float = 90.0,
    hours: float = HOURS,
    corrupted_days: float | None = None,
    seed: int = 0,
    measured: Mapping[str, Measured] | None = None,
) -> dict[str, Any]:
    """What `tejat plan --goodput` prints: each policy at its best cadence, and all that it was found from.

    `measured`: fields of `Costs` that are no assumptions. Raises BadInput for times that are none.
    """
    for name, value in (("--days", days), ("--mtbf", hours), ("--corrupted", corrupted_days)):
        if value is not None and not 0 < value < math.inf:
            raise BadInput(f"{name} {value:g} is no time; give more than none")
    faults, known = Faults.of(chips, hours, corrupted_days), costs(parameters, chips, slices, network)
    known = replace(known, **{name: found.seconds for name, found in (measured or {}).items()})
    rule = young(known.save, faults.stop)
    # Storage takes one checkpoint after the other.
    cadences = np.geomspace(known.save, max(rule * 16, 6 * 3600.0), 33)
    policies = []
    for policy in POLICIES:
        curve = simulate(faults, known, policy, cadences, days=days, seed=seed)
        best = max(curve, key=lambda outcome: outcome.goodput)
        policies.append(
            {
                "policy": policy.name,
                "goodput": best.goodput,
                "deviation": best.deviation,
                "cadence_s": best.cadence,
                "copied_s": best.copied if policy.copies else None,
                "lost": best.lost,
                "curve": [[outcome.cadence, outcome.goodput] for outcome in curve],
            }
        )
    down = known.notice + known.reschedule + known.begin + known.restore
    return {
        "chips": chips,
        "days": days,
        "stop_s": faults.stop,
        "stops_per_day": DAY / faults.stop,
        "corruption_days": faults.corruption / DAY,
        "costs_s": {name: getattr(known, name) for name in ("save", "restore", "copy", "copy_restore")},
        "measured": {name: found._asdict() for name, found in (measured or {}).items()},
        "young_s": rule,
        "daly_s": daly(known.save, faults.stop),
        "closed_form": expected(rule, known.save, down, faults.stop),
        "simulated_alike": simulate(
            replace(faults, corruption=math.inf), known, POLICIES[0], np.asarray([rule]), days=days, seed=seed
        )[0].goodput,
        "policies": policies,
    }
