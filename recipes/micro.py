"""`micro` from nothing, on the sample that comes with Tejat: what `tejat demo` trains.

tejat train recipes/micro.py

On two CPU cores: 263 s for 500 steps, 0.90M tokens. Of the drawings of things taught 75% are nearest to the right one
(guessing 0.6%); held-out styles 10% right (0.6%), voices 31% (1.6%), motions 94% (12.5%); docs/LOG.md, 2026-11-25.
"""

from tejat.train.tour import RECIPE

__all__ = ["RECIPE"]
