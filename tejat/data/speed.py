"""How fast documents become batches on this machine, from ArrayRecord shards through everything that training uses.

The documents are pages of the bundled sample's prose, and its drawings at 224 pixels as JPEG, whose shards are written
for the occasion; and those of a corpus that was built, where one is given. The model's shapes and the tokenizer are
those of `mini`.
"""

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from importlib import resources
from pathlib import Path

import numpy as np

from tejat import media, sample
from tejat.codecs.framing import Encoded, Framing
from tejat.codecs.vocabulary import Vocabulary
from tejat.data.corpus import ledger
from tejat.data.loading import Loader, Source
from tejat.data.mixture import RECENT, Documents, Mixture, Stage, within
from tejat.data.packing import Batch, Room
from tejat.data.presenting import present
from tejat.data.recent import Recent
from tejat.data.shards import Item, Shards, Writer
from tejat.errors import BadInput
from tejat.model import family
from tejat.parts import Document, Text

CONFIG = family.preset("mini")
TOKENIZER = Path(str(resources.files("tejat") / "weights" / "mini" / "tokenizer.model"))
TEXT_ROOM = Room(rows=8, tokens=8_192, targets=8_192, patches=0, sounds=0, frames=0)
IMAGE_ROOM = Room(rows=2, tokens=2_048, targets=1_024, patches=16_384, sounds=0, frames=0)
MIXED_ROOM = Room(rows=8, tokens=4_096, targets=4_096, patches=8_192, sounds=16, frames=400, codes=2_048)
SIDE = 224  # pixels of a picture
PARAGRAPHS = 12  # of a page, in the mean
_BLOCKS = 6  # of the time that memory is looked at
_WARM = 2  # batches before the clock starts


class Pages:
    """Document i: a page of prose of a corpus on disk."""

    def __init__(self, directory: Path):
        self._items, self._framing = Shards(directory, "pages", "train"), _framing()

    def __call__(self, index: int) -> Encoded:
        return self._framing.encode(present(self._items, _shuffled(index, len(self._items)), np.random.default_rng(0)))


class Pictures:
    """Document i: a picture and its name."""

    def __init__(self, directory: Path):
        self._items, self._framing = Shards(directory, "pictures", "train"), _framing()

    def __call__(self, index: int) -> Encoded:
        item = self._items[_shuffled(index, len(self._items))]
        parts = (media.read_image(item.blobs["picture"]), Text(item.fields["name"]))
        return self._framing.encode(Document(parts, (False, True), (None, None)))


class Drawn:
    """Document i: item i of a source of a corpus, in an order of its own, presented anew each time."""

    def __init__(self, corpus: Path, name: str):
        self._items, self._framing = Recent(Shards(corpus, name, "train"), RECENT), _framing()

    def __call__(self, index: int) -> Encoded:
        random, at = np.random.default_rng(index), _shuffled(index, len(self._items))
        return self._framing.encode(present(self._items, at, random), random)


def prepare(directory: Path) -> None:
    """Writes the shards."""
    with Writer(directory, "pages", "train") as writer:
        for text in pages():
            writer.write(Item("text", {"text": text}))
    with Writer(directory, "pictures", "train") as writer:
        for name, data in _drawings(200):
            writer.write(Item("picture", {"name": name}, {"picture": data}))


def pages() -> Iterator[str]:
    """Pages of prose of many lengths, from a paragraph to a whole row, in ten languages."""
    random = np.random.default_rng(0)
    for language in sample.languages():
        lines = sample.prose(language).splitlines()
        for start in range(0, len(lines), 2):
            yield "\n".join(lines[start : start + int(random.geometric(1 / PARAGRAPHS))])


def tokens_per_second(
    directory: Path, seconds: float, workers: int, told: Callable[[Batch], None] = lambda batch: None
) -> dict[str, float]:
    """Tokens packed into rows of 8,192, padding not counted, and the share of positions that hold one."""
    count, batches, wall, cpu = _run(Pages(directory), TEXT_ROOM, seconds, workers, _positions, told)
    found = {"tokens_per_s": count / wall, "positions_used": count / (batches * TEXT_ROOM.rows * TEXT_ROOM.tokens)}
    return found | ({} if workers else {"tokens_per_cpu_s": count / cpu})


def sources_per_second(corpus: Path, seconds: float) -> dict[str, float | None]:
    """Tokens that one thread packs in a CPU second, of each source of a corpus; None where no row can hold it.

    Of sources with pictures or sounds the first seconds, in which they are rasterised and decoded, count too.
    """
    found: dict[str, float | None] = {}
    for name, told in ledger.read(corpus)["sources"].items():
        if told["splits"]["train"]["items"]:
            room = MIXED_ROOM if _shows(corpus, name) else TEXT_ROOM
            try:
                count, _, _, cpu = _run(Drawn(corpus, name), room, seconds, 0, _positions)
                found[name] = count / cpu
            except BadInput:
                found[name] = None
    return found


def mixed(corpus: Path) -> Documents:
    """The mixture of a corpus, all its sources and stages: what a run of `mini` trains on."""
    told = ledger.read(corpus)
    stages = within([Stage(**stage) for stage in told["stages"]], told["sources"])
    return Documents(Mixture(corpus, stages, MIXED_ROOM.rows * MIXED_ROOM.tokens), _framing())


def mixture_per_second(
    source: Documents, seconds: float, workers: int, told: Callable[[Batch], None] = lambda batch: None
) -> dict[str, float]:
    """Tokens of a mixture of all modalities packed into rows of 4,096."""
    count, _, wall, cpu = _run(source, MIXED_ROOM, seconds, workers, _positions, told)
    return {"mixture_tokens_per_s": count / wall} | ({} if workers else {"mixture_tokens_per_cpu_s": count / cpu})


def images_per_second(directory: Path, seconds: float, workers: int) -> dict[str, float]:
    """JPEGs of 224 pixels decoded, resized to `mini`'s budget of 64 soft tokens (384 pixels), cut and packed."""
    count, _, wall, cpu = _run(
        Pictures(directory),
        IMAGE_ROOM,
        seconds,
        workers,
        lambda batch: int(batch.inputs.media.patch_images.max(axis=1).sum()),
    )
    return {"images_per_s": count / wall} | ({} if workers else {"images_per_cpu_s": count / cpu})


def duplicates_per_second(seconds: float) -> dict[str, float]:
    """Documents of 225 words from which near-duplicates are removed. Raises BadInput where rensa is not installed."""
    try:
        import rensa  # noqa: F401
    except ImportError as error:
        raise BadInput("near-duplicates want rensa; install it by `pip install 'tejat[data]'`") from error
    from tejat.data.cleaning.duplicates import Near

    near, random = Near(), np.random.default_rng(0)
    words = [word for text in pages() for word in text.split()]
    count, wall, cpu = 0, 0.0, 0.0
    while wall < seconds:
        lengths, starts = random.integers(50, 400, 2_000), random.integers(0, len(words) - 400, 2_000)
        documents = [Item("text", {"text": " ".join(words[s : s + n])}) for s, n in zip(starts, lengths, strict=True)]
        begun, used = time.perf_counter(), time.process_time()
        for _ in near(documents):
            pass
        wall, cpu = wall + time.perf_counter() - begun, cpu + time.process_time() - used
        count += len(documents)
    return {"dedup_documents_per_s": count / wall, "dedup_documents_per_cpu_s": count / cpu}


def slope(seconds: Sequence[float], megabytes: Sequence[float]) -> tuple[float, float]:
    """By how many megabytes an hour memory grows, and how sure that is (95%): least squares of looks at it at these
    times. The first third, in which caches fill, is left out. Looks are like those before them, so the error is that
    of leaving out a sixth of the time after the other (a jackknife of blocks)."""
    first = len(megabytes) // 3
    hours, seen = np.asarray(seconds[first:]) / 3600, np.asarray(megabytes[first:])
    if len(seen) < 2 * _BLOCKS:
        return 0.0, float("inf")
    without = [
        np.polyfit(np.delete(hours, block), np.delete(seen, block), 1)[0]
        for block in np.array_split(np.arange(len(seen)), _BLOCKS)
    ]
    spread = (_BLOCKS - 1) * np.var(without)
    return float(np.polyfit(hours, seen, 1)[0]), float(2.571 * np.sqrt(spread))  # Student's t, five degrees of freedom


def resident(processes: Iterable[int]) -> float:
    """Megabytes of memory that these processes have of their own, shared blocks counted once; 0 where unknown."""
    total = 0
    for process in processes:
        try:
            rows = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return total / 1024


def _run(
    source: Source,
    room: Room,
    seconds: float,
    workers: int,
    counted: Callable[[Batch], int],
    told: Callable[[Batch], None] = lambda batch: None,
) -> tuple[int, int, float, float]:
    """(what was counted, batches, seconds, CPU seconds of this process)."""
    with closing(Loader(source, CONFIG, room, workers=workers, ahead=2)) as loader:
        for _ in range(_WARM + 2 * workers):  # and what the workers made before they were asked
            next(loader)
        count = batches = 0
        begun, used = time.perf_counter(), time.process_time()
        while time.perf_counter() - begun < seconds:
            batch, _ = next(loader)
            count += counted(batch)
            batches += 1
            told(batch)
        return count, batches, time.perf_counter() - begun, time.process_time() - used


def _positions(batch: Batch) -> int:
    return int((batch.inputs.segments > 0).sum())


def _shows(corpus: Path, name: str) -> bool:
    """Have documents of a source more than text?"""
    items = Shards(corpus, name, "train")
    made = (present(items, k % len(items), np.random.default_rng(k)) for k in range(30))
    return any(not isinstance(part, Text) for document in made for part in document.parts)


def _framing() -> Framing:
    codes = CONFIG.picture.codes if CONFIG.picture else 0
    return Framing(CONFIG, Vocabulary.load(TOKENIZER, codes), None, later=True)


def _shuffled(index: int, count: int) -> int:
    return (index * 7_919) % count  # a prime larger than any count here: each once, far from the one before


def _drawings(count: int) -> Iterator[tuple[str, bytes]]:
    from PIL import Image as pillow

    concepts = sample.concepts()
    for k in range(count):
        concept, style = concepts[k % len(concepts)], sample.styles()[k % len(sample.styles())]
        ground = pillow.new("RGB", (SIDE, SIDE), tuple(200 + (k * step) % 56 for step in (3, 5, 7)))
        drawing = sample.picture(style, concept.id).resize((SIDE - 20, SIDE - 20))
        ground.paste(drawing, (10, 10), drawing)
        out = io.BytesIO()
        ground.save(out, "JPEG", quality=90)
        yield concept.names["en"], out.getvalue()
