"""`micro` from nothing, on the sample that comes with Tejat: what `tejat demo` trains.

tejat train recipes/micro.py

On two CPU cores; time and result: measured, see docs/LOG.md.
"""

from tejat.train.tour import RECIPE

__all__ = ["RECIPE"]
