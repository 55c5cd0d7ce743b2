"""Loading from ArrayRecord shards in processes that are killed: the same batches, and nothing left running."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from tejat import sample
from tejat.codecs.framing import Encoded, Framing
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.loading import Loader, Position
from tejat.data.packing import Room
from tejat.data.presenting import present
from tejat.data.shards import Item, Shards, Writer
from tejat.model import family
from tejat.parts import write_whole

CONFIG = family.preset("micro")
ROOM = Room(rows=4, tokens=512, targets=512, patches=0, sounds=0, frames=0)
STEPS = 40


class Prose:
    """Document i of a corpus on disk."""

    def __init__(self, directory: Path):
        self.items = Shards(directory, "prose", "train")
        self.framing = Framing(CONFIG, Vocabulary.load(directory / "tokenizer.model", 512), None)

    def __call__(self, index: int) -> Encoded:
        time.sleep(0.002)  # so that there is time to kill
        return self.framing.encode(present(self.items, index % len(self.items), None))


def run(directory: Path, workers: int) -> None:
    """Writes the digest and then the position of batch after batch, going on from the last position."""
    place = directory / "position.json"
    position = Position.from_json(json.loads(place.read_text())) if place.exists() else Position()
    loader = Loader(Prose(directory), CONFIG, ROOM, position, workers=workers)
    for batch, position in loader:
        digest = hashlib.sha256(b"".join(leaf.tobytes() for leaf in jax.tree.leaves(batch))).hexdigest()
        write_whole(directory / f"{position.step - 1}.digest", digest.encode())
        write_whole(place, json.dumps(position.to_json()).encode())
        if position.step == STEPS:
            break
    loader.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, micro_vocabulary) -> Path:
    directory = tmp_path_factory.mktemp("corpus")
    (directory / "tokenizer.model").write_bytes(micro_vocabulary.model)
    with Writer(directory, "prose", "train", limit=100_000) as writer:
        for language in sample.languages():
            for line in sample.prose(language).splitlines():
                writer.write(Item("text", {"text": line, "language": language}))
    assert writer.shards > 2
    return directory


def _digests(directory: Path) -> list[str]:
    return [(directory / f"{step}.digest").read_text() for step in range(STEPS)]


@pytest.mark.slow
def test_the_same_batches_after_kills_and_changes_of_the_number_of_workers(corpus):
    run(corpus, workers=0)
    expected = _digests(corpus)
    for path in (*corpus.glob("*.digest"), corpus / "position.json"):
        path.unlink()
    for workers in (0, 2, 3, 1):
        process = subprocess.Popen([sys.executable, __file__, str(corpus), str(workers)], start_new_session=True)
        had = len([*corpus.glob("*.digest")])
        until = time.monotonic() + 120
        while process.poll() is None and len([*corpus.glob("*.digest")]) < had + 5:
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = time.monotonic() + 20
        while _alive(process.pid):  # its workers end by themselves
            assert time.monotonic() < left
            time.sleep(0.1)
    assert 15 < len([*corpus.glob("*.digest")]) < STEPS
    subprocess.run([sys.executable, __file__, str(corpus), "2"], check=True)
    assert _digests(corpus) == expected


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
