"""The ladder: small models on the very same batches, a law of their losses, and `mini` foretold before it is trained.

python recipes/ladder.py small     4M and 15M at three lengths, three seeds at the longest, three rates at the shortest
python recipes/ladder.py tell      the law, the rule of rates, and what they say of mini: before it is trained
python recipes/ladder.py mini      mini on the same tokens, beside what was foretold
python recipes/ladder.py float8    the longest 15M once more, its products of 8-bit floats
python recipes/ladder.py draw      how likely each size finds what is held out, as a share of the largest: ladder.png
python recipes/ladder.py kept      all sizes once more, three seeds of the small ones, whose models are written: for the
                                   suites (--only 4m-576-0 15m-576-0 mini-576-0: one of each)

What each size can do of what the largest can, suite by suite, is measured of the last ones and drawn so:

for one in 4m-576-{0,1,2} 15m-576-{0,1,2} mini-576-0; do
  tejat eval runs/ladder/$one/model --suite all --limit 200 --minutes 8 --out runs/ladder/of-$one; done
tejat eval trends runs/ladder/of-4m-* runs/ladder/of-15m-* runs/ladder/of-mini-* --out runs/ladder/suites.png

Each takes --corpus and --pictures, and adds to runs/ladder/ladder.json, which `tejat plan SIZE --law` reads. On one
H100, whose host had ten processes for the batches: small 11 minutes, mini 4.5 (218 s of them steps and compiling).
"""

import json
import math
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Annotated, Literal

import tyro

from tejat.errors import BadInput, explained
from tejat.model import sizes
from tejat.plan import scaling
from tejat.train import arms, ladder, recipe
from tejat.train.ladder import Rung

HERE = Path(__file__).parent
SEEDS, RATES, PARTS = (0, 1, 2), (0.5, 2.0), (4, 2, 1)
"""Seeds of the longest, rates of the shortest beside its own, and what part of the steps the lengths are."""

LOSSES = "text: text", "media: picture", "media: image_text"
"""Of what is held out, that are foretold."""


@dataclass(frozen=True)
class Options:
    what: Annotated[Literal["small", "tell", "mini", "float8", "draw", "kept"], tyro.conf.Positional]
    out: Path = Path("runs/ladder")
    corpus: Path = Path("runs/corpus")
    pictures: Path = Path("runs/pictures-mini/picture.safetensors")
    steps: int = 576
    """Of the longest."""
    rows: int = 32
    workers: int | None = None
    kept: Path | None = None
    """Where all processes of a machine keep what they rasterise and decode."""
    held: int = 4
    """Batches of what is held out, of each kind."""
    only: tuple[str, ...] = ()
    """Names of what `kept` trains, where not all of them are wanted."""


def main(options: Options) -> int:
    if options.steps < 8:
        raise BadInput(f"--steps {options.steps} have no quarter worth the name; give 8 or more")
    if options.what == "tell":
        tell(options)
        return 0
    if options.what == "draw":
        draw(options)
        return 0
    if options.what == "mini":
        tell(options)
    base = _recipe("mini_15m", options)
    rungs = {"small": small, "mini": largest, "float8": eight_bits, "kept": kept}[options.what](options)
    ladder.climb(base, rungs, options.out, heldout=unseen, batches=options.held)
    return 0


def small(options: Options) -> list[Rung]:
    found = []
    for name in ("mini_4m", "mini_15m"):
        size = name.removeprefix("mini_")
        for part in PARTS:
            seeds = SEEDS if part == 1 else SEEDS[:1]
            found += [_rung(f"{size}-{options.steps // part}-{seed}", name, options, part, seed) for seed in seeds]
        for times in RATES:
            rung = _rung(f"rate-{size}-{times:g}", name, options, PARTS[0], 0)
            found.append(replace(rung, schedule=replace(rung.schedule, peak=rung.schedule.peak * times)))
    return found


def largest(options: Options) -> list[Rung]:
    return [replace(_rung(f"mini-{options.steps}-0", "mini", options, 1, 0), keep=True)]


def eight_bits(options: Options) -> list[Rung]:
    rung = _rung(f"float8-15m-{options.steps}-0", "mini_15m", options, 1, 0)
    return [replace(rung, how=replace(rung.how, float8=True))]


def kept(options: Options) -> list[Rung]:
    rungs = [
        _rung(f"{size}-{options.steps}-{seed}", f"mini_{size}", options, 1, seed)
        for size, seed in product(("4m", "15m"), SEEDS)
    ]
    rungs += largest(options)
    wanted = [rung for rung in rungs if not options.only or rung.name in options.only]
    if len(wanted) < len({*options.only}):
        raise BadInput(f"--only {' '.join(options.only)}: there are {', '.join(rung.name for rung in rungs)}")
    return [replace(rung, keep=True) for rung in wanted]


def unseen(framing, base):
    """Documents of text alone and of all else, none of them trained on."""
    return {"text": arms.only("text", split="heldout")(framing, base)} | {
        "media": arms.only("media", split="heldout")(framing, base)
    }


def tell(options: Options) -> None:
    """The law of the runs of `small`, the best rates, and mini's losses by them."""
    place, mini = options.out / "ladder.json", _recipe("mini", options)
    scaling.read(place, "text: text")  # or says what to do first
    found = {"rates": _rates(place, mini)}
    parts, tokens = sizes.parts(mini.config), options.steps * 0.97 * options.rows * mini.room.tokens
    for loss in LOSSES:
        runs = [run for size in ("4m-", "15m-") for run in scaling.read(place, loss, size)]
        law = scaling.fit(runs)
        foretold = scaling.predicted(runs, parts.decoder + parts.codes, tokens, draws=20)
        found[loss] = {"law": vars(law), "mini": dict(zip(("loss", "low", "high"), foretold, strict=True))}
    (options.out / "foretold.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


CAPABILITIES = {
    "text: text": "text",
    "media: text": "text of documents\nwith media",
    "media: image_text": "about images",
    "media: audio_text": "about sounds",
    "media: video_text": "about clips",
    "media: picture": "codes of pictures",
}


def draw(options: Options) -> None:
    """Of each kind of loss, how likely a size finds what is held out, as a share of how likely the largest does."""
    from matplotlib.figure import Figure

    place = options.out / "ladder.json"
    scaling.read(place, LOSSES[0])  # or says what to do first
    told = [each for each in json.loads(place.read_text()) if each["steps"] == options.steps]
    sizes_of = {each["size"]: each["parameters"] for each in told}
    names = sorted(sizes_of, key=sizes_of.get)
    if len(names) != 3:
        raise BadInput(f"{place} has {len(names)} sizes of {options.steps} steps; make all three: small, then mini")
    means = {
        name: [mean(each["heldout"][loss] for each in told if each["size"] == name) for loss in CAPABILITIES]
        for name in names
    }
    figure = Figure((8, 3.2), layout="constrained", dpi=110)
    axes, wide = figure.subplots(), 0.8 / len(names)
    for at, (name, colour) in enumerate(zip(names, ("#9ecae1", "#4292c6", "#084594"), strict=True)):
        heights = [math.exp(best - loss) for best, loss in zip(means[names[-1]], means[name], strict=True)]
        places = [place + (at - 1) * wide for place in range(len(CAPABILITIES))]
        bars = axes.bar(places, heights, wide, color=colour, label=f"{name}, {sizes_of[name] / 1e6:.1f}M")
        axes.bar_label(bars, fmt="%.2f", fontsize=7)
    axes.set_xticks(range(len(CAPABILITIES)), CAPABILITIES.values(), fontsize=8)
    axes.set_ylabel("likelihood of a token,\nof the largest's", fontsize=8)
    axes.set_ylim(0, 1.35)
    axes.legend(fontsize=8, ncols=3, loc="upper center", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(options.out / "ladder.png")
    print(options.out / "ladder.png")


def _rates(place: Path, mini: recipe.Recipe) -> dict[str, float]:
    told = [each for each in json.loads(place.read_text()) if "rate-" in each["name"]]
    shortest = min(each["steps"] for each in json.loads(place.read_text()))
    told += [each for each in json.loads(place.read_text()) if each["steps"] == shortest and each not in told]
    factor, power = scaling.rate([(each["parameters"], each["peak"], each["heldout"]["text: text"]) for each in told])
    parts = sizes.parts(mini.config)
    of_mini = factor * (parts.decoder + parts.codes) ** power
    return {"factor": factor, "power": power, "mini": of_mini, "mini_took": mini.schedule.peak}


def _rung(name: str, size: str, options: Options, part: int, seed: int) -> Rung:
    base, steps = _recipe(size, options), options.steps // part
    schedule = replace(base.schedule, steps=steps, warmup=max(1, min(100, steps // 6)))
    return Rung(name, base.config, schedule, seed, replace(base.how, unrolled=False))


def _recipe(name: str, options: Options) -> recipe.Recipe:
    found = recipe.read(HERE / f"{name}.py")
    room = replace(found.room, rows=options.rows, codes=1_024)
    workers = found.workers if options.workers is None else options.workers
    schedule = replace(found.schedule, steps=options.steps)
    more = {"corpus": options.corpus, "pictures": options.pictures, "workers": workers, "room": room}
    more["kept"] = options.kept
    return replace(found, schedule=schedule, **more)


if __name__ == "__main__":
    with explained():
        sys.exit(main(tyro.cli(Options, description=__doc__)))
