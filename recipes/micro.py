"""`micro` from nothing, on the sample that comes with Tejat: what `tejat demo` trains.

tejat train recipes/micro.py

On two CPU cores: 224 s for 400 steps, 0.69M tokens. Drawings of things taught: 30% nearest to the right one (guessing
0.6%); whether to draw: all of 64; held-out pictures, voices, motions: not above chance yet (docs/LOG.md, 2026-11-25).
"""

from tejat.train.tour import RECIPE

__all__ = ["RECIPE"]
