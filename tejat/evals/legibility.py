"""Can written text still be read? Tesseract reads pages before and after; it is a program of its own, not of Python."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image as pillow

LARGER = 4  # times, for it was made for print
_BLOCK = "6"  # Tesseract's mode for one block of text
_SPARSE = "11"  # and for text here and there


def tesseract() -> str | None:
    """Where the program is; None where it is not installed (Debian: `apt-get install tesseract-ocr`)."""
    return shutil.which("tesseract")


def read(pictures: Sequence[UInt8[np.ndarray, "H W 3"]], sparse: bool = False) -> list[str]:
    """What is written in each picture, in English letters, its lines joined by blanks. `sparse`: here and there."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as threads:

        def one(numbered: tuple[int, np.ndarray]) -> str:
            number, pixels = numbered
            path = Path(folder, f"{number}.png")
            picture = pillow.fromarray(pixels)
            size = (picture.width * LARGER, picture.height * LARGER)
            picture.resize(size, pillow.Resampling.LANCZOS).save(path)
            mode = _SPARSE if sparse else _BLOCK
            command = ["tesseract", str(path), "-", "-l", "eng", "--psm", mode, "--dpi", "300"]
            done = subprocess.run(command, capture_output=True, text=True, env={"OMP_THREAD_LIMIT": "1", **_path()})
            return " ".join(done.stdout.split())

        return list(threads.map(one, enumerate(pictures)))


def error_rate(said: Sequence[str], read: Sequence[str]) -> float:
    """Character errors of all texts as a part of their characters; what was said must not be empty."""
    import jiwer

    pairs = [(a, b) for a, b in zip(said, read, strict=True) if a]
    return float(jiwer.cer([a for a, _ in pairs], [b for _, b in pairs]))


def _path() -> dict[str, str]:
    import os

    return {key: value for key, value in os.environ.items() if key in ("PATH", "LD_LIBRARY_PATH", "TESSDATA_PREFIX")}
