"""The image tokenizer of `micro`: 64 codes of 512 for a picture of 64 x 64, trained on the drawings of the sample.

tejat tokenizer picture train recipes/pictures_micro.py
"""

import numpy as np

from tejat import sample
from tejat.model import family
from tejat.train.optimizer import Schedule
from tejat.train.pictures import Kind, PictureRecipe, Run


def kinds() -> list[Kind]:
    """The drawings of the sample, RGBA, 96 x 96; those of one style are kept from training."""
    apart = sample.heldout()["styles"]
    return [Kind("drawings", _drawn([style for style in sample.styles() if style not in apart]), _drawn(apart))]


def _drawn(styles: list[str]) -> np.ndarray:
    return np.stack([np.asarray(sample.picture(style, c.id)) for style in styles for c in sample.concepts()])


RECIPE = PictureRecipe(
    name="pictures-micro",
    config=family.preset("micro").picture,
    run=Run(Schedule(steps=40_000, peak=2e-3, warmup=500, floor=0.01, decay=0.02), batch=256),
    kinds=kinds,
)
