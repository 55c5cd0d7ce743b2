"""What becomes of an answer's pictures while other answers are written."""

import asyncio
import threading

import numpy as np

from tejat.parts import Image, Text
from tejat.serve.answers import Step, rendered


def test_a_picture_becomes_a_file_beside_the_loop() -> None:
    """A PNG of four million pixels takes 0.3 s: on the loop it would hold up every other stream."""
    picture, words = Image(np.zeros((2, 2, 3), np.uint8)), Text("a cat")
    for parts, beside in (((words,), False), ((words, picture), True)):
        step = Step(0, parts, (), None)
        thread = asyncio.run(rendered([step], threading.get_ident))
        assert (thread != threading.get_ident()) == beside
