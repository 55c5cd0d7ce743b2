"""Languages: real prose of ten is read as what it is; a translation that is half English loses that half."""

import pytest

from tejat import sample
from tejat.data.cleaning.language import Language, identify, translated
from tejat.data.shards import Item
from tejat.parts import Document, Text

pytest.importorskip("py3langid")


def page(language: str, first: int = 0, count: int = 6) -> str:
    return "\n\n".join(sample.prose(language).splitlines()[first : first + count])


@pytest.mark.parametrize("language", sample.languages())
def test_prose_is_of_its_language_and_stays_as_it_is(language):
    step = Language()
    records = [Item("text", {"text": page(language, k), "language": language}) for k in range(0, 60, 12)]
    assert list(step(records)) == records and not step.report.changed


def test_what_is_surely_another_language_is_told():
    step = Language()
    out = list(step([Item("text", {"text": page("ru"), "language": "de"}), Item("text", {"text": page("en", 8)})]))
    assert [item.fields["language"] for item in out] == ["ru", "en"]
    assert [item.fields["text"] for item in out] == [page("ru"), page("en", 8)]
    assert set(step.report.changed) == {"is ru, as it did not say", "language given"}


def test_untranslated_paragraphs_are_taken_out():
    step = Language()
    mixed = "\n\n".join([page("de", 0, 3), page("en", 20, 2), page("de", 3, 3)])
    (out,) = step([Item("text", {"text": mixed, "language": "de"})])
    assert out.fields == {"text": "\n\n".join([page("de", 0, 3), page("de", 3, 3)]), "language": "de"}
    assert step.report.changed["untranslated paragraphs taken out"].total() == 1


def test_what_is_english_but_for_its_title_is_english():
    step = Language()
    text = "मुखपृष्ठ\n\n" + page("en", 30, 4)
    (out,) = step([Item("text", {"text": text, "language": "hi"})])
    assert out.fields == {"text": text, "language": "en"}


def test_commands_and_names_are_not_taken_for_english():
    listing = "apt-get install grub-efi\n\ndpkg --configure -a\n\nLinus Torvalds, Helsinki"
    assert translated(listing) == (listing, [])


def test_what_cannot_be_told_stays():
    step = Language()
    records = [
        Item("text", {"text": "Hm."}),
        Item("text", {"text": page("en"), "language": "zxx"}),
        Item("drawing", {"name": page("en"), "language": "de"}, {"svg": b"<svg/>"}),
        Document.of([Text(page("en"))]),
    ]
    assert list(step(records)) == records
    assert identify("too short") == ("", 0.0)
