"""The image tokenizer of `mini`: 256 codes of 4,096 for a picture of 128 x 128, 8 MB in eight bits.

tejat data build recipes/pictures_corpus.py --out runs/pictures_corpus
tejat tokenizer picture train recipes/pictures_mini.py

TEJAT_PICTURES=DIR names the corpus, if it is elsewhere. A run of many minutes is cut into pieces by --seconds 540 and
goes on with --resume, on this machine or on one that its directory (52 MB, no file above 16 MiB) was copied to.

--set config.vectors=8 learns a codebook instead of rounding; --set run.perceptual=0.5 --judge runs/judge adds the
features of a judge to the loss. What each gave, and what half of the pictures that these settings ask for gave, in
two runs (10,125 steps of 256, then --begin with 27,700 of 128; 687 s of steps on one H100), is in docs/PICTURES.md.
What ships went on for 11,000 steps of its decoder in four bits (--begin, --set run.four_bits=true, --set
run.schedule.steps=11000, --set run.schedule.peak=5e-4; 275 s).
"""

import os
from pathlib import Path

from tejat.data import rasters
from tejat.model import family
from tejat.train.optimizer import Schedule
from tejat.train.pictures import Kind, PictureRecipe, Run
from tejat.train.scenes import Laying

CORPUS = Path(os.environ.get("TEJAT_PICTURES", "runs/pictures_corpus"))
PAGES, CHARTS = 12_000, 8_000
MEASURED = 400  # pages and charts that are held out


def kinds() -> list[Kind]:
    """Held out are styles and things (drawings), motives (photographs), data sets (charts), fonts and texts (text)."""
    return [
        Kind(
            "drawings",
            rasters.drawings(CORPUS, "train"),
            rasters.drawings(CORPUS, "heldout", every=4),
            0.5,
            Laying((0.45, 1.5), stretched=0.3, turned=0.1, recoloured=0.4, several=0.25, inked=0.2),
        ),
        Kind(
            "photographs",
            rasters.photographs(CORPUS, "train", sky=False),
            rasters.photographs(CORPUS, "heldout", sky=False),
            0.15,
            Laying((1.0, 1.8), stretched=0.2, recoloured=0.25),
        ),
        Kind(
            "skies",
            rasters.photographs(CORPUS, "train", sky=True),
            rasters.photographs(CORPUS, "heldout", sky=True),
            0.04,
            Laying((1.0, 1.8), stretched=0.2, turned=0.5, recoloured=0.25),
        ),
        Kind(
            "text",
            rasters.pages(CORPUS, "train", PAGES),
            rasters.pages(CORPUS, "heldout", MEASURED, seed=1),
            0.2,
            Laying((0.85, 1.3), stretched=0.2, mirrored=False, recoloured=0.5),
        ),
        Kind(
            "charts",
            rasters.charts(CORPUS, "train", CHARTS),
            rasters.charts(CORPUS, "heldout", MEASURED, seed=1),
            0.15,
            Laying((0.9, 1.2), stretched=0.1, mirrored=False, recoloured=0.3, white=0.9),
        ),
    ]


RECIPE = PictureRecipe(
    name="pictures-mini",
    config=family.preset("mini").picture,
    run=Run(
        Schedule(steps=100_000, peak=3e-3, warmup=500, floor=0.0, decay=0.02, muon=True),
        batch=128,
        grids=(*[(16, 16)] * 5, (8, 32)),
        ground=0.4,
        squares=0.3,
        bfloat16=True,
    ),
    kinds=kinds,
    stored="int8",
)
