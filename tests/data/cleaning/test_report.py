"""Reports: they add up, merge, and survive JSON; records are read and rewritten without loss."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.cleaning import clean
from tejat.data.cleaning.captions import Captions
from tejat.data.cleaning.contamination import Contamination
from tejat.data.cleaning.duplicates import Exact, Near
from tejat.data.cleaning.language import Language
from tejat.data.cleaning.learned_quality import Quality
from tejat.data.cleaning.private import Private
from tejat.data.cleaning.quality import Heuristics
from tejat.data.cleaning.records import group, pictures, rewritten, text, texts, without
from tejat.data.cleaning.report import EXAMPLES, Report
from tejat.data.cleaning.safety import Safety
from tejat.data.presenting.text import stored
from tejat.data.shards import Item
from tejat.parts import Audio, Document, Image, Text, Turn

doings = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["en", "de", ""]), st.sampled_from(["", "x", "y"])))


def reported(done) -> Report:
    report = Report("step")
    for source, language, reason in done:
        report.see((source, language), 10)
        if reason:
            report.drop(reason, (source, language), f"{reason} of {source}", 10)
        else:
            report.change("marked", (source, language))
            report.notes["marks"] += 2
    return report


@settings(max_examples=50, deadline=None)
@given(doings, doings)
def test_two_reports_merge_into_that_of_both(one, other):
    merged, whole = reported(one), reported([*one, *other])
    merged.merge(reported(other))
    assert merged == whole
    assert Report.from_json(json.loads(json.dumps(merged.to_json()))) == whole


@settings(max_examples=50, deadline=None)
@given(doings)
def test_what_is_seen_is_kept_or_dropped_in_every_group(done):
    report = reported(done)
    seen, dropped = report.counts
    assert (seen, dropped) == (len(done), sum(bool(reason) for *_, reason in done))
    for by in ("source", "language"):
        assert tuple(map(sum, zip(*report.shares(by).values(), strict=True))) in {(seen, dropped), ()}
    assert report.characters == Counter(seen=10 * seen, dropped=10 * dropped)


def test_reports_of_different_steps_do_not_merge():
    with pytest.raises(ValueError, match="'other' does not add"):
        Report("step").merge(Report("other"))


def test_examples_are_few_and_short():
    report = Report("step")
    for k in range(20):
        report.drop("long", ("source", ""), f"{k} " + "word " * 500)
    assert len(report.examples["long"]) == EXAMPLES
    assert all(len(example) < 350 for example in report.examples["long"])
    assert report.lines()[0] == "step: 0 seen, 20 dropped (2000.00%)"


def test_steps_in_a_row_see_what_the_one_before_left():
    records = [Item("text", {"text": t}) for t in "abab"] + [Item("drawing", {}, {"png": b"1"})]
    steps = [Exact(), Captions()]
    assert [r.fields["text"] for r in clean(iter(records), steps, "tests")] == ["a", "b"]
    assert [step.report.counts for step in steps] == [(5, 2), (1, 1)]
    assert steps[1].report.notes == {"without media, passed": 2}


def odd(text: str) -> str:
    """Of few letters many: long runs, marks on marks, writing that turns round."""
    return text * (1 + 3_000 // max(len(text), 1))


odds = st.text(st.sampled_from("aÅ\u0300\u200b\u202e\ufb01\uff10٣漢\x00\n @.+-:%(7fe"), max_size=12).map(odd)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=200), odds), max_size=4), st.sampled_from(["", "en", "ja", "zxx", "xx"]))
def test_no_text_ends_a_step_and_none_vanishes_uncounted(contents, language):
    for package in ("py3langid", "rensa"):
        pytest.importorskip(package, reason="needs `pip install tejat[data]`")
    steps = [
        *(Language(), Private(), Safety(), Heuristics(), Quality(), Captions(), Exact(), Near()),
        Contamination({"set": [["Which of the two rivers that meet in the old town is the longer one, and why?"]]}),
    ]
    records = [Item("text", {"text": content} | ({"language": language} if language else {})) for content in contents]
    left = list(clean(records, steps, "tests"))
    assert len(records) == len(left) + sum(step.report.counts[1] for step in steps)
    assert [*clean(left, [Private()], "tests")] == left


SHOWN = Image(np.full((3, 4, 3), 9, np.uint8))
DOCUMENT = Document.from_turns([Turn("user", (SHOWN, Text("What?"))), Turn("model", (Text("A dot."),))], "here")


def test_a_stored_document_has_the_texts_of_the_document():
    item = stored(DOCUMENT, language="en")
    assert texts(item) == texts(DOCUMENT) == ["What?", "A dot."]
    assert len(pictures(item)) == len(pictures(DOCUMENT)) == 1
    assert group(item) == ("", "en") and group(DOCUMENT) == ("here", "")
    assert text(rewritten(item, str.upper)) == text(rewritten(DOCUMENT, str.upper)) == "WHAT?\n\nA DOT."
    assert rewritten(item, str.upper).fields["document"]["roles"] == ["user", "user", "model"]


def test_what_tells_of_an_item_is_no_text():
    item = Item("pair", {"id": "x", "source": "s", "language": "pt-BR", "texts": {"de": "Haus", "en": "house"}, "n": 3})
    assert texts(item) == ["Haus", "house"] and group(item) == ("s", "pt")
    assert rewritten(item, lambda content: content) is item
    # A medium is an object in a document; that an item itself has a field of such a name hides nothing.
    named = Item("pair", {"file": "x@y.org", "texts": {"image": {"data": "AAAA"}, "de": "Haus"}})
    assert texts(named) == ["x@y.org", "Haus"]
    assert rewritten(named, str.upper).fields == {"file": "X@Y.ORG", "texts": {"image": {"data": "AAAA"}, "de": "HAUS"}}


def test_an_item_may_lose_a_blob_and_a_document_none():
    item = Item("drawing", {"name": "dot"}, {"a.png": b"1", "b.png": b"2"})
    assert without(item, []) is item
    assert without(item, ["a.png"]).blobs == {"b.png": b"2"}
    assert without(item, ["a.png", "b.png"]) is None
    assert without(DOCUMENT, ["0"]) is None and without(stored(DOCUMENT), pictures(stored(DOCUMENT))) is None


@pytest.mark.parametrize("said", ["", " \n"])
def test_media_without_a_word_go(said):
    step = Captions()
    good = [Item("drawing", {"name": "dot"}, {"png": b"1"}), Item("text", {"text": ""}), DOCUMENT]
    bad = [Item("drawing", {"name": said}, {"png": b"1"}), Document.of([Audio(np.ones(9, np.float32)), Text(said)])]
    assert list(step([*good, *bad])) == good
    assert step.report.dropped["no caption"].total() == 2
