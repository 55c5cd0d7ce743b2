"""`python -m tejat` is `tejat`."""

import sys

from tejat.cli import main

sys.exit(main())
