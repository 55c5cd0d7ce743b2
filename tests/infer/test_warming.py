"""What one process compiled another finds on disk."""

import subprocess
import sys

import pytest

from tejat import bundle

READY = """
import sys
from pathlib import Path
from tejat import bundle
from tejat.infer.service import Service
from tejat.infer.warming import keep_compiled
keep_compiled(Path(sys.argv[2]))
Service(bundle.load(Path(sys.argv[1])), slots=2).close(drain=True)
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tiny, tmp_path) -> None:
    bundle.save(tmp_path / "model", tiny)
    kept = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", READY, tmp_path / "model", tmp_path / "compiled"], check=True)
        kept.append(sorted(path.name for path in (tmp_path / "compiled").iterdir() if not path.name.endswith("-atime")))
    assert len(kept[0]) > 5
    assert kept[1] == kept[0]
