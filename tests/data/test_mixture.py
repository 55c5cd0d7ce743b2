"""The mixture: document i is a function of i; shares, epochs and changes are what the stages say."""

import hashlib
import json
import pickle
import shutil
from collections import Counter

import numpy as np
import pytest

from tejat.codecs.framing import Framing
from tejat.data import filling, mixture
from tejat.data.conversations import Conversations
from tejat.data.corpus import counting, ledger
from tejat.data.corpus.ledger import Index
from tejat.data.loading import Loader
from tejat.data.mixture import STAGE, Documents, Mixture, Stage, begins, changed, within
from tejat.data.packing import Room
from tejat.data.presenting import present
from tejat.data.shards import Item, Writer
from tejat.errors import BadInput
from tejat.parts import Document, Image, Text

SOURCES = {"long": ("en", 600), "short": ("en", 30), "many": ("de", 90)}
COUNTS = {"long": 50, "short": 400, "many": 120}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three sources of pages as long as they say; "many" is in three languages, one of which is large."""
    directory = tmp_path_factory.mktemp("corpus")
    told = {}
    for name, (language, length) in SOURCES.items():
        languages = [("de", "fr", "ja")[0 if n < 100 else 1 if n < 110 else 2] if name == "many" else language
                     for n in range(COUNTS[name])]  # fmt: skip
        with Writer(directory, name, "train") as writer:
            for n, language in enumerate(languages):
                text = f"{name} {n} ".ljust(length, "x")
                writer.write(Item("text", {"text": text, "language": language}))
        names = tuple(dict.fromkeys(languages))
        sizes = np.zeros((COUNTS[name], 4))
        sizes[:, 0] = length
        index = Index(
            names, np.array([names.index(c) for c in languages]), np.ones(COUNTS[name], int), sizes / 3.6, sizes
        )
        index.save(directory / name / "train-index.npz")
        held = json.dumps(["g-held"] if name == "long" else []).encode()
        (directory / name / "heldout.json").write_bytes(held)
        told[name] = {
            "splits": {"train": {"document_tokens": round(length / 3.6, 1)}},
            "heldout_sha256": hashlib.sha256(held).hexdigest(),
        }
    (directory / "corpus.json").write_text(json.dumps({"sources": told}))
    return directory


def tokens(documents: list[Document]) -> Counter:
    found = Counter()
    for document in documents:
        found[document.source] += len(document.parts[0].text) / 3.6
    return found


def test_the_number_is_that_of_the_trainer():
    assert STAGE == filling.STAGE


def test_shares_are_of_tokens(corpus):
    made = Mixture(corpus, [Stage("a", 1e6, {"long": 5, "short": 3, "many": 2})], 1000)
    sums = tokens([made.document(i) for i in range(mixture.BLOCK)])
    whole = sum(sums.values())
    for source, share in (("long", 0.5), ("short", 0.3), ("many", 0.2)):
        assert sums[source] / whole == pytest.approx(share, abs=0.01)


def test_a_document_is_a_function_of_its_number(corpus):
    stages = [Stage("a", 1e5, {"long": 1, "short": 1}), Stage("b", 1e5, {"many": 1})]
    one, other = (
        Mixture(corpus, stages, 1000, seed=3),
        pickle.loads(pickle.dumps(Mixture(corpus, stages, 1000, seed=3))),
    )
    numbers = [*range(200), *range(9_000, 9_050), *range(STAGE, STAGE + 50)]
    expected = [one.document(i) for i in numbers]
    order = np.random.default_rng(0).permutation(len(numbers))
    found = {int(at): other.document(numbers[at]) for at in order}
    assert [found[at] for at in range(len(numbers))] == expected
    assert [Mixture(corpus, stages, 1000, seed=4).document(i) for i in numbers] != expected


def test_no_item_comes_again_before_all_have_come(corpus):
    made = Mixture(corpus, [Stage("a", 1e6, {"short": 1, "many": 1}, alpha=0.3)], 1000)
    drawn = [made.where(i) for i in range(mixture.BLOCK)]
    for source, language, size in (("many", "de", 100), ("many", "fr", 10), ("short", "en", 400)):
        items: dict[int, list[int]] = {}
        for d in drawn:
            if (d.source, d.language) == (source, language):
                items.setdefault(d.epoch, []).append(d.item)
        assert len(items) > 2 and [*sorted(items)] == [*range(len(items))]
        for epoch, found in items.items():
            assert len(found) == len({*found}) == size or epoch == len(items) - 1
        assert items[0] != items[1]


@pytest.mark.parametrize(("alpha", "share"), [(1.0, 100 / 120), (0.0, 1 / 3)])
def test_the_temperature_of_languages(corpus, alpha, share):
    made = Mixture(corpus, [Stage("a", 1e6, {"many": 1}, alpha=alpha)], 1000)
    languages = Counter(made.where(i).language for i in range(mixture.BLOCK))
    assert languages["de"] / mixture.BLOCK == pytest.approx(share, abs=0.01)


def test_a_ramp_goes_from_one_mixture_to_the_other(corpus):
    made = Mixture(corpus, [Stage("a", 4e6, {"long": 1, "short": 0}, {"long": 0, "short": 1})], 1000)
    blocks = int(made._tables[0].documents / mixture.BLOCK)
    shares = []
    for block in range(0, blocks, blocks // 6):
        counts = Counter(made.where(block * mixture.BLOCK + i).source for i in range(mixture.BLOCK))
        sums = {source: count * SOURCES[source][1] for source, count in counts.items()}
        shares.append(sums.get("short", 0) / sum(sums.values()))
    assert shares == sorted(shares) and shares[0] < 0.15 and shares[-1] > 0.8
    # Past the end it stays at the last mixture, for ever.
    assert {made.where((blocks + 5) * mixture.BLOCK + i).source for i in range(500)} == {"short"}


def test_stages_begin_at_their_steps():
    stages = [Stage("a", 10_000, {"x": 1}), Stage("b", 5_500, {"x": 1}), Stage("c", 1, {"x": 1})]
    assert begins(stages, 1000) == (0, 10, 16)


def test_a_change_of_the_mixture_leaves_what_was_drawn(corpus):
    """Also where the new mixture draws from a source that was not there before."""
    old = [Stage("a", 50_000, {"long": 1}, {"long": 0.5}), Stage("b", 1e5, {"long": 1, "short": 1}, {"short": 3})]
    new = changed(old, 70, 1000, [Stage("c", 1e5, {"many": 1})])
    assert begins(new, 1000) == (0, 50, 70)
    before, after = Mixture(corpus, old, 1000), Mixture(corpus, new, 1000)
    for numbers in (range(500), range(STAGE, STAGE + 6_000)):
        assert [before.where(i) for i in numbers] == [after.where(i) for i in numbers]
    assert {after.where(2 * STAGE + i).source for i in range(100)} == {"many"}
    # Changed again: the stage that was cut stays as it was.
    again = Mixture(corpus, changed(new, 90, 1000, [Stage("d", 1e5, {"short": 1})]), 1000)
    assert again.begins == (0, 50, 70, 90)
    assert [again.where(STAGE + i) for i in range(3_000)] == [before.where(STAGE + i) for i in range(3_000)]
    with pytest.raises(BadInput, match="step 0"):
        changed(old, 0, 1000, new)


def test_epochs_go_on_from_stage_to_stage(corpus):
    made = Mixture(corpus, [Stage("a", 60_000, {"long": 1}), Stage("b", 1e5, {"long": 1})], 1000)
    documents = round(made._tables[0].documents)
    assert documents > 300  # six times each of 50
    last, first = made.where(documents - 1), made.where(STAGE)
    assert 0 <= first.epoch - last.epoch <= 1
    assert first.epoch == documents // 50


def test_the_ledger_of_a_run(corpus):
    made = Mixture(corpus, [Stage("a", 60_000, {"long": 1, "short": 1}), Stage("b", 1e5, {"many": 1})], 1000)
    seen = made.seen([[100, 101, 99], [40, 40, 41]])
    numbers = [i for i in range(303) if i // 3 < [100, 101, 99][i % 3]]
    sources = Counter(made.where(i).source for i in numbers)
    assert sum(sources.values()) == 300
    assert {name: told["documents"] for name, told in seen.items()} == {**sources, "many": 121}
    assert seen["many"]["epochs"] == pytest.approx(121 / 120)
    assert seen["long"]["bytes"] == {"text": sources["long"] * 600, "image": 0, "audio": 0, "video": 0}
    assert seen["long"]["tokens"]["text"] == pytest.approx(sources["long"] * 600 / 3.6, abs=1)


def test_what_cannot_be_mixed_is_refused(corpus):
    with pytest.raises(BadInput, match="weighs 'other'"):
        Mixture(corpus, [Stage("a", 1, {"other": 1})], 1)
    with pytest.raises(BadInput, match="stage 1; the mixture has 1"):
        Mixture(corpus, [Stage("a", 1, {"long": 1})], 1).document(STAGE)
    for weights in ({"long": -1}, {"long": 0}, {"long": float("nan")}, {}):
        with pytest.raises(BadInput, match="'a'"):
            Stage("a", 1, weights)
    with pytest.raises(BadInput, match="0 tokens long"):
        Stage("a", 0, {"long": 1})


def test_documents_keep_their_text_and_name_their_source(corpus):
    made = Mixture(corpus, [Stage("a", 1e6, {"long": 1})], 1000)
    document = made.document(0)
    assert document == Document.of([Text(f"long {made.where(0).item} ".ljust(600, "x"))], source="long")


def test_what_is_held_out_is_not_trained_on(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "leaky")
    with Writer(tmp_path / "leaky", "long", "train") as writer:
        for n in range(50):
            fields = {"text": f"long {n}", "language": "en", "group": "g-held" if n == 7 else "g"}
            writer.write(Item("text", fields))
    made = Mixture(tmp_path / "leaky", [Stage("a", 1e6, {"long": 1})], 1000)
    bad = next(i for i in range(100) if made.where(i).item == 7)
    with pytest.raises(BadInput, match="g-held"):
        made.document(bad)
    assert made.document(bad + 1)
    (tmp_path / "leaky/long/heldout.json").write_text("[]")
    with pytest.raises(BadInput, match="was changed since the build"):
        Mixture(tmp_path / "leaky", [Stage("a", 1e6, {"long": 1})], 1000)


@pytest.mark.filterwarnings("error")
def test_a_source_with_nothing_in_a_split_leaves_its_share_to_the_others(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "held")
    for name, count in (("long", 0), ("short", 20)):
        (tmp_path / "held" / name / "train-index.npz").rename(tmp_path / "held" / name / "heldout-index.npz")
        sizes = np.full((count, 4), 9.0)
        Index(("en",), np.zeros(count, int), np.ones(count, int), sizes, sizes).save(
            tmp_path / "held" / name / "heldout-index.npz"
        )
    told = json.loads((tmp_path / "held/corpus.json").read_text())
    for each in told["sources"].values():
        each["splits"]["heldout"] = {"document_tokens": None}
    (tmp_path / "held/corpus.json").write_text(json.dumps(told))
    made = Mixture(tmp_path / "held", [Stage("a", 1e6, {"long": 1, "short": 1})], 1000, split="heldout")
    assert {made.where(i).source for i in range(50)} == {"short"}


def test_sources_that_are_not_there_can_be_left_out():
    stage = Stage("a", 10, {"x": 1, "y": 2}, {"y": 3})
    assert within([stage], ["x"]) == (Stage("a", 10, {"x": 1}, {}),)
    with pytest.raises(BadInput, match="'a' weighs no source"):
        within([stage], ["z"])


def test_the_loader_trains_on_a_mixture_and_its_ledger_is_known(corpus, micro):
    """Stages change at their step, and what was seen follows from the loader's position."""
    stages = [Stage("a", 3 * 2 * 256, {"short": 1}), Stage("b", 1e4, {"many": 1})]
    made = Mixture(corpus, stages, 2 * 256)
    documents = Documents(made, Framing(micro.config, micro.vocabulary, None))
    room = Room(rows=2, tokens=256, targets=256, patches=0, sounds=0, frames=0)
    loader = Loader(documents, micro.config, room)
    try:
        batches = [next(loader) for _ in range(5)]
    finally:
        loader.close()
    texts = [micro.vocabulary.decode([int(t) for t in batch.inputs.tokens.ravel() if t]) for batch, _ in batches]
    assert all("short" in text and "many" not in text for text in texts[:3])
    assert all("many" in text and "short" not in text for text in texts[3:])
    places = [place for _, place in sorted(batches[-1][1].rows.items())]
    drawn = [[place.ended[0] for place in places], [place.drawn for place in places]]
    seen = made.seen(drawn)
    assert seen["short"]["documents"] == sum(drawn[0]) and seen["many"]["documents"] == sum(drawn[1])
    assert seen["short"]["epochs"] == pytest.approx(sum(drawn[0]) / 400)


def test_a_stage_of_long_documents_keeps_its_shares(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "paged")
    with Writer(tmp_path / "paged", "long", "train") as writer:
        for n in range(50):
            fields = {"text": f"long {n} ".ljust(600, "x"), "language": "en", "group": "g", "piece": [n % 10, 10]}
            writer.write(Item("text", fields))
    made = Mixture(tmp_path / "paged", [Stage("a", 1e6, {"long": 1, "short": 1}, join=6_018)], 1000)
    documents = [made.document(i) for i in range(mixture.BLOCK)]
    assert {len(d.parts[0].text) for d in documents if d.source == "long"} == {
        600 * n + 2 * (n - 1) for n in range(1, 11)
    }
    sums = tokens(documents)
    assert sums["long"] / sum(sums.values()) == pytest.approx(0.5, abs=0.06)


def test_a_share_of_what_is_seen_is_pages_and_the_shares_of_tokens_stay(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "drawn")
    circle = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7"/></svg>'
    named = [{"names": {"en": f"thing {n}", "de": f"Ding {n}"}, "group": "g"} for n in range(40)]
    items = [Item("concept", fields, {"noto.svg": circle.encode()}) for fields in named]
    with Writer(tmp_path / "drawn", "things", "train") as writer:
        for item in items:
            writer.write(item)
    alone = np.mean([counting.tokens(present(items, n, np.random.default_rng(n))).sum() for n in range(40)])
    sizes = np.full((40, 4), alone / 4)
    Index(("en",), np.zeros(40, int), np.ones(40, int), sizes, sizes).save(tmp_path / "drawn/things/train-index.npz")
    (tmp_path / "drawn/things/heldout.json").write_bytes(b"[]")
    told = ledger.read(corpus)["sources"]
    told["things"] = {
        "splits": {"train": {"document_tokens": float(alone)}},
        "heldout_sha256": hashlib.sha256(b"[]").hexdigest(),
    }
    short = Document.of([Text("short 100 ".ljust(30, "x"))])
    told["short"]["splits"]["train"]["document_tokens"] = float(counting.tokens(short).sum())
    (tmp_path / "drawn/corpus.json").write_text(json.dumps({"sources": told}))
    weights, source = {"things": 3, "short": 1}, {}
    for pages in (0.0, 0.5):
        made = Mixture(tmp_path / "drawn", [Stage("a", 1e6, weights, pages=pages)], 1000)
        documents = [made.document(i) for i in range(1_200)]
        sums = Counter()
        for document in documents:
            sums[document.source] += counting.tokens(document).sum()
        assert sums["things"] / sum(sums.values()) == pytest.approx(0.75, abs=0.09)
        source[pages] = [sum(isinstance(p, Image) for p in d.parts) > 5 for d in documents if d.source == "things"]
        assert documents[7].parts == made.document(7).parts
    assert np.mean(source[0.0]) < 0.1 and np.mean(source[0.5]) == pytest.approx(0.5, abs=0.15)
    talking = Conversations(tmp_path / "drawn", [Stage("a", 1e6, weights, pages=1.0)], 1000)
    assert all(None in d.roles for d in map(talking.document, range(60)) if d.source == "things")
    with pytest.raises(BadInput, match="the stage 'a' has pages=2; give a share from 0 to 1"):
        Stage("a", 1, weights, pages=2)
