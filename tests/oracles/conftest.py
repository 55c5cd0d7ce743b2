"""The modules beside the tests here are imported by name, by the tests and by `make.py` alike."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
