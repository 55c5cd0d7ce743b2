"""Which document is number i: a pure function of i, the seed, the stages and the corpus.

A corpus has streams: the items of one source in one language. A stage says how much of the tokens each source is; a
source's share is parted among its languages by their tokens to the power `alpha`. Shares of tokens become shares of
documents by the mean length of a stream's items, as the ledger estimates it.

Documents come in blocks of `BLOCK`. Of every block each stream has its share to the document, what is left of a whole
one being carried over, in an order drawn for the block. Within a stream, items come in an order drawn for each epoch,
none a second time before all have come once. The stages of a run follow each other at exact steps (`begins`), and the
documents of stage k are numbered from k x STAGE, as `tejat.data.filling` has it.
"""

import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from tejat.data.quotas import Quotas
from tejat.errors import BadInput
from tejat.parts import Document, Image

if TYPE_CHECKING:
    from tejat.codecs.framing import Encoded, Framing
    from tejat.data.corpus import ledger
    from tejat.data.filling import Place
    from tejat.data.splits import HeldOut

STAGE = 1 << 40  # as in `tejat.data.filling`, which loads JAX: a build, which reads recipes with stages, needs none
BLOCK = 4_096  # documents
RECENT = 24 << 20  # bytes of the items of a source that are kept at hand
_KEPT = 8  # blocks kept at hand
_SAMPLE, _PAGES = 60, 12  # items of a source, to see how long they are when joined, and on pages
_COUNTED = 300  # documents of a stage, to see how many tokens they have


@dataclass(frozen=True)
class Stage:
    """A stretch of training with one mixture.

    Attributes:
      name: for ledgers.
      tokens: how long it is; of the last stage, how long its ramp is: it goes on for ever.
      weights: the share of each source in the tokens; they need not sum to one. Sources left out are not drawn.
      final: weights at the end of the stage, where they differ from those at its begin: it goes there evenly.
      alpha: of a source's languages, each is drawn in proportion to its tokens to this power; 1: as they are.
      join: bytes up to which pieces of a page that follow each other are one document; 0: each is one by itself.
      plain: documents as they are, in a mixture of dialogues too (`tejat.data.conversations`).
      pages: the share of documents of what is seen, heard or plotted that are pages of many
        (`tejat.data.presenting.galleries`).
    """

    name: str
    tokens: float
    weights: Mapping[str, float]
    final: Mapping[str, float] = field(default_factory=dict)
    alpha: float = 1.0
    join: int = 0
    plain: bool = False
    pages: float = 0.0

    def __post_init__(self) -> None:
        if not self.tokens > 0:
            raise BadInput(f"the stage {self.name!r} is {self.tokens} tokens long; give more than none")
        for weights in (self.weights, self.final):
            for source, weight in weights.items():
                if not 0 <= weight < float("inf"):
                    raise BadInput(f"the stage {self.name!r} weighs {source!r} with {weight}; give 0 or more")
        if not 0 <= self.pages <= 1:
            raise BadInput(f"the stage {self.name!r} has pages={self.pages}; give a share from 0 to 1")
        if not any(self.weights.values()) or (self.final and not any({**self.weights, **self.final}.values())):
            raise BadInput(f"the stage {self.name!r} weighs no source; give one a weight")


class Drawn(NamedTuple):
    """Where a document comes from: item number `item` of a source, in its `epoch`-th time, counted from 0."""

    stage: str
    source: str
    language: str
    item: int
    epoch: int


@dataclass(frozen=True)
class _Stream:
    source: str
    language: str
    rows: Int64[np.ndarray, " n"]
    tokens: float  # of all its items, estimated
    length: float  # of a document, in tokens, estimated


class Documents:
    """A mixture's documents as the trainer takes them: encoded, with the steps at which its stages begin."""

    def __init__(self, mixture: "Mixture", framing: "Framing"):
        self.mixture, self.framing, self.begins = mixture, framing, mixture.begins

    def __call__(self, index: int) -> "Encoded":
        document = self.mixture.document(index)
        if not any(isinstance(part, Image) for part in document.parts):
            return self.framing.encode(document)  # nothing is to be drawn by lot
        return self.framing.encode(document, np.random.default_rng([self.mixture.seed, 3, index]))

    def seen(self, places: Mapping[int, "Place"]) -> dict[str, dict[str, Any]]:
        """As `Mixture.seen`, of the places of all rows. Tokens agree with a sample of each stage's documents, framed
        for this model: joined dialogues, pages of many, and another tokenizer than the corpus was counted with count
        as they are."""
        stages = max((place.stage for place in places.values()), default=0) + 1
        rows = [places[row] for row in sorted(places)]
        drawn = [[[*place.ended, place.drawn][stage] for place in rows] for stage in range(stages)]
        return self.mixture.seen(drawn, [self._longer(stage, sum(counts)) for stage, counts in enumerate(drawn)])

    def _longer(self, stage: int, drawn: int) -> Float64[np.ndarray, " M"]:
        """How much more tokens the documents of a stage have than the ledger of the corpus expects, by modality."""
        from tejat.data.corpus import counting, ledger

        expected, found = np.zeros(len(ledger.MODALITIES)), np.zeros(len(ledger.MODALITIES))
        for number in range(min(drawn, _COUNTED)):
            try:
                encoded = self(stage * STAGE + number)
            except BadInput:  # a damaged one, which the loader counts
                continue
            found += counting.by_modality(encoded)
            expected += self.mixture.expected(stage * STAGE + number)
        return np.divide(found, expected, out=np.ones_like(found), where=expected > 0)


class Mixture:
    """Documents of a corpus by number. It can be pickled; what it keeps at hand is made again.

    Of the split for training every item is checked against what the corpus holds out (`tejat.data.splits`).

    Args:
      directory: of the corpus.
      stages: of the run.
      tokens_per_step: of all rows of a batch: with it, the lengths of stages become steps.
      seed: of the order and of the wordings.
      split: "train" or "heldout".

    Raises BadInput for a stage whose sources are not in the corpus.
    """

    def __init__(
        self, directory: Path, stages: Sequence[Stage], tokens_per_step: float, seed: int = 0, split: str = "train"
    ):
        if not stages:
            raise BadInput("a mixture needs at least one stage; give it one")
        self.directory, self.stages, self.seed, self.split = Path(directory), tuple(stages), seed, split
        self.tokens_per_step = tokens_per_step
        self.begins = begins(stages, tokens_per_step)
        self._streams, self._lengths = _streams(self.directory, self.stages, split)
        self._heldout = _heldout(self.directory) if split == "train" else None
        self._forget()
        self._tables = [_quotas(stage, self._streams, self._stretched(stage)) for stage in self.stages]
        # The counts of a stage begin where those of the stages before it end, were they as long as planned.
        self._bases = [np.zeros(len(self._streams), np.int64)]
        for number, (begin, end) in enumerate(zip(self.begins, self.begins[1:], strict=False)):
            length = self._tables[number].documents * (end - begin) * tokens_per_step / stages[number].tokens
            self._bases.append(self._counts(number, round(length)))

    def where(self, index: int) -> Drawn:
        """Where document `index` comes from. Raises BadInput for a number of no stage."""
        stage, number = divmod(index, STAGE)
        if not 0 <= stage < len(self.stages):
            raise BadInput(f"document {index} is of stage {stage}; the mixture has {len(self.stages)} stages")
        block, place = divmod(number, BLOCK)
        streams, draws = self._block(stage, block)
        stream, draw = self._streams[streams[place]], int(draws[place])
        epoch, at = divmod(draw, len(stream.rows))
        order = self._order(int(streams[place]), epoch)
        return Drawn(self.stages[stage].name, stream.source, stream.language, int(stream.rows[order[at]]), epoch)

    def document(self, index: int) -> Document:
        """Document `index`. Raises BadInput for a damaged item, which it names."""
        from tejat.data.presenting import pages, present  # presenters of media load much

        drawn, stage = self.where(index), self.stages[index // STAGE]
        items, place = self._items(drawn.source), drawn.item
        if (page := self.page(index)) is not None:
            return page
        if stage.join and "piece" in items[place].fields:
            items, place = [pages.joined(items, place, stage.join)], 0
        random = np.random.default_rng([self.seed, index // STAGE, index % STAGE])
        return replace(present(items, place, random), source=drawn.source)

    def page(self, index: int) -> Document | None:
        """Document `index` where it is one of its stage's `pages`. The ledger (`seen`) counts each as the item that its
        number stands for, not those beside it."""
        stage, number = divmod(index, STAGE)
        if not self.stages[stage].pages:  # a generator takes 20 µs, and short documents are made in 200
            return None
        random = np.random.default_rng([self.seed, 5, stage, number])
        if random.random() >= self.stages[stage].pages:
            return None
        from tejat.data.presenting.galleries import gallery

        drawn = self.where(index)
        made = gallery(self._items(drawn.source), drawn.item, random)
        return made and replace(made, source=drawn.source)

    def expected(self, index: int) -> Float64[np.ndarray, " M"]:
        """Tokens of document `index` by modality, as the ledger of the corpus estimates them."""
        drawn = self.where(index)
        known = self._index(drawn.source)
        return known.tokens[drawn.item] / max(int(known.documents[drawn.item]), 1)

    def seen(
        self, drawn: Sequence[Sequence[int]], longer: Sequence[Float64[np.ndarray, " M"]] = ()
    ) -> dict[str, dict[str, Any]]:
        """The ledger of a run: by source, documents, epochs, and estimates of tokens and bytes by modality.

        Args:
          drawn: for each stage begun, the documents drawn by each row (`tejat.data.filling.Place`), all rows in order.
          longer: for each of them, how much more tokens its documents have than the ledger of the corpus expects, by
            modality; not at all, where it is left out.
        """
        from tejat.data.corpus import ledger

        whole = {stream.source: np.zeros(self._lengths[stream.source], np.int64) for stream in self._streams}
        tokens = {source: np.zeros(len(ledger.MODALITIES)) for source in whole}
        for stage, rows in enumerate(drawn):
            times = {source: np.zeros_like(counts) for source, counts in whole.items()}
            even = min(rows, default=0) * len(rows)
            before, after = self._bases[stage], self._counts(stage, even)
            for number, stream in enumerate(self._streams):
                self._add(times[stream.source], number, int(before[number]), int(after[number]))
            # Rows are not all equally far.
            for n in range(even, max(rows, default=0) * len(rows)):
                if n // len(rows) < rows[n % len(rows)]:
                    found = self.where(stage * STAGE + n)
                    times[found.source][found.item] += 1
            for source, counts in times.items():
                if counts.any():
                    index = self._index(source)
                    whole[source] += counts
                    tokens[source] += (
                        counts / np.maximum(index.documents, 1) @ index.tokens * (longer[stage] if longer else 1.0)
                    )
        told: dict[str, dict[str, Any]] = {}
        for source in sorted(source for source, counts in whole.items() if counts.any()):
            index, counts = self._index(source), whole[source]
            sizes = counts / np.maximum(index.documents, 1) @ index.bytes
            told[source] = {
                "documents": int(counts.sum()),
                "epochs": float(counts.sum() / len(index)),
                "tokens": dict(zip(ledger.MODALITIES, tokens[source].round().tolist(), strict=True)),
                "bytes": dict(zip(ledger.MODALITIES, sizes.round().tolist(), strict=True)),
            }
        return told

    def _add(self, times: Int64[np.ndarray, " n"], number: int, first: int, last: int) -> None:
        """Counts the items of a stream's draws from `first` up to `last`."""
        rows = self._streams[number].rows
        whole = last // len(rows) - first // len(rows)
        times[rows] += whole
        for draw, sign in ((first, -1), (last, 1)):
            epoch, at = divmod(draw, len(rows))
            times[rows[self._order(number, epoch)[:at]]] += sign

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_blocks", "_orders", "_shards", "_indices")
        return {name: value for name, value in vars(self).items() if name not in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def _forget(self) -> None:
        self._blocks: OrderedDict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._orders: dict[int, OrderedDict[int, np.ndarray]] = {}
        self._shards: dict[str, Any] = {}
        self._indices: dict[str, ledger.Index] = {}

    def _index(self, source: str) -> "ledger.Index":
        if source not in self._indices:
            from tejat.data.corpus import ledger

            self._indices[source] = ledger.Index.load(self.directory, source, self.split)
        return self._indices[source]

    def _items(self, source: str) -> Any:
        if source not in self._shards:
            from tejat.data.recent import Recent
            from tejat.data.shards import Shards
            from tejat.data.splits import Training

            items = Shards(self.directory, source, self.split)
            known = Training(items, self._heldout, source) if self._heldout else items
            self._shards[source] = Recent(known, RECENT)
        return self._shards[source]

    def _stretched(self, stage: Stage) -> dict[str, float]:
        """How much longer the documents of each source are for being joined, or pages, by a sample of them."""
        found: dict[str, float] = {}
        if stage.pages:
            for source in {stream.source for stream in self._streams}:
                alone = np.mean([stream.length for stream in self._streams if stream.source == source])
                if (page := _of_a_page(self._items(source))) is not None:
                    found[source] = float(1 + stage.pages * (page / alone - 1))
        if not stage.join:
            return found
        from tejat.data.presenting import pages

        for source in {stream.source for stream in self._streams}:
            items, sums = self._items(source), [0, 0]
            for place in np.unique(np.linspace(0, len(items) - 1, _SAMPLE).astype(int)).tolist():
                item = items[place]
                if "piece" not in item.fields:
                    continue
                sums[0] += len(item.fields["text"])
                sums[1] += len(pages.joined(items, place, stage.join).fields["text"])
            if sums[0]:
                found[source] = found.get(source, 1.0) * sums[1] / sums[0]
        return found

    def _counts(self, stage: int, documents: int) -> Int64[np.ndarray, " S"]:
        """Of each stream, how many are drawn once a stage has drawn so many, those of earlier stages included."""
        counts = self._bases[stage] + self._tables[stage].counts(documents // BLOCK)
        part = self._block(stage, documents // BLOCK)[0][: documents % BLOCK]
        return counts + np.bincount(part, minlength=len(counts))

    def _block(self, stage: int, block: int) -> tuple[Int64[np.ndarray, " B"], Int64[np.ndarray, " B"]]:
        """The stream of each document of a block, and how many of it came before."""
        known = self._blocks.get((stage, block))
        if known is None:
            before, after = self._tables[stage].counts(block), self._tables[stage].counts(block + 1)
            streams = np.repeat(np.arange(len(before)), after - before)
            random = np.random.default_rng([self.seed, 1, stage, block])
            streams = random.permutation(streams)
            order = np.argsort(streams, kind="stable")
            rank = np.empty(len(streams), np.int64)
            ends = np.cumsum(after - before)
            rank[order] = np.arange(len(streams)) - np.repeat(ends - (after - before), after - before)
            known = self._blocks[stage, block] = streams, (self._bases[stage] + before)[streams] + rank
            if len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        return known

    def _order(self, number: int, epoch: int) -> np.ndarray:
        orders = self._orders.setdefault(number, OrderedDict())
        if epoch not in orders:
            stream = self._streams[number]
            name = zlib.crc32(f"{stream.source}/{stream.language}".encode())
            orders[epoch] = (
                np.random.default_rng([self.seed, 2, name, epoch]).permutation(len(stream.rows)).astype(np.int32)
            )
            if len(orders) > 2:
                orders.popitem(last=False)
        return orders[epoch]


def within(stages: Sequence[Stage], sources: Iterable[str]) -> tuple[Stage, ...]:
    """The stages without the sources that are not there, as where a client was missing when the corpus was built.

    Raises BadInput for a stage of which nothing is left.
    """
    there = {*sources}

    def cut(weights: Mapping[str, float]) -> dict[str, float]:
        return {source: weight for source, weight in weights.items() if source in there}

    return tuple(replace(stage, weights=cut(stage.weights), final=cut(stage.final)) for stage in stages)


def begins(stages: Sequence[Stage], tokens_per_step: float) -> tuple[int, ...]:
    """The step at which each stage begins."""
    ends = np.cumsum([stage.tokens for stage in stages])
    return (0, *(round(float(end) / tokens_per_step) for end in ends[:-1]))


def changed(stages: Sequence[Stage], step: int, tokens_per_step: float, new: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages of a run whose mixture changes at exactly `step`: those that began before stay as they are, the last
    of them cut there; then the new ones follow. What was drawn before the step is drawn as before.

    Raises BadInput for a step at which nothing has begun.
    """
    if step < 1:
        raise BadInput(f"the mixture cannot change at step {step}; give 1 or more, or other stages from the start")
    kept = [stage for stage, begin in zip(stages, begins(stages, tokens_per_step), strict=True) if begin < step]
    due = step * tokens_per_step - sum(stage.tokens for stage in kept[:-1])
    return (*kept[:-1], _Cut.of(kept[-1], due), *new)


@dataclass(frozen=True)
class _Cut(Stage):
    """A stage that ends before its time; its ramp goes as if it went on."""

    ramp: float = 0.0

    @classmethod
    def of(cls, stage: Stage, tokens: float) -> "_Cut":
        ramp = stage.ramp if isinstance(stage, _Cut) else stage.tokens
        return cls(**{**vars(stage), "tokens": tokens, "ramp": ramp})


def _quotas(stage: Stage, streams: Sequence[_Stream], stretched: Mapping[str, float]) -> Quotas:
    first = _densities(stage, stage.weights, streams, stretched)
    last = _densities(stage, {**stage.weights, **stage.final}, streams, stretched)
    return Quotas(first, last, stage.tokens, stage.ramp if isinstance(stage, _Cut) else stage.tokens, BLOCK)


def _densities(
    stage: Stage, weights: Mapping[str, float], streams: Sequence[_Stream], stretched: Mapping[str, float]
) -> Float64[np.ndarray, " S"]:
    """Documents of each stream for one token of the mixture."""
    sums: dict[str, float] = {}
    for stream in streams:
        sums[stream.source] = sums.get(stream.source, 0.0) + stream.tokens**stage.alpha
    whole = sum(weight for source, weight in weights.items() if source in sums)

    def density(s: _Stream) -> float:
        share = weights.get(s.source, 0.0) / whole * s.tokens**stage.alpha / sums[s.source]
        return share / (s.length * stretched.get(s.source, 1.0))

    return np.array([density(stream) for stream in streams])


def _heldout(directory: Path) -> "HeldOut":
    from tejat.data.splits import HeldOut

    return HeldOut.of_corpus(directory)


def _of_a_page(items: Any) -> float | None:
    """Estimated tokens of a page of these items, by a sample; None where they make none."""
    from tejat.data.corpus import counting
    from tejat.data.presenting.galleries import gallery

    places = np.unique(np.linspace(0, len(items) - 1, _PAGES).astype(int)).tolist()
    made = [gallery(items, place, np.random.default_rng(place)) for place in places]
    sums = [float(counting.tokens(page).sum()) for page in made if page is not None]
    return sum(sums) / len(sums) if sums else None


def _streams(directory: Path, stages: Sequence[Stage], split: str) -> tuple[list[_Stream], dict[str, int]]:
    """The streams of a mixture, and how many items each source has."""
    from tejat.data.corpus import ledger

    known = ledger.read(directory)["sources"]
    wanted = {name for stage in stages for weights in (stage.weights, stage.final) for name, w in weights.items() if w}
    found: list[_Stream] = []
    lengths: dict[str, int] = {}
    for name in sorted(wanted):
        if name not in known:
            raise BadInput(f"the mixture weighs {name!r}, which {directory} has not; build it, or leave it out")
        index = ledger.Index.load(directory, name, split)
        lengths[name] = len(index)
        if not lengths[name]:  # of a split that it has nothing in
            continue
        tokens = np.maximum(index.tokens.sum(1), 1.0)
        # One document is drawn of an item at a time, however many it can make; the ledger knows how long they are.
        each = tokens / np.maximum(index.documents, 1)
        length = known[name]["splits"][split]["document_tokens"] or each.mean()
        for place, language in enumerate(index.languages):
            rows = np.flatnonzero(index.language == place)
            if len(rows):
                mean = each[rows].mean() * length / each.mean()
                found.append(_Stream(name, language, rows, float(tokens[rows].sum()), float(max(mean, 1.0))))
    for stage in stages:
        if not any(stream.source in stage.weights and stage.weights[stream.source] for stream in found):
            raise BadInput(f"the sources of the stage {stage.name!r} have no items in {directory}; build them")
    return found, lengths
