"""What code a function reaches: all that it names, to the end, and nothing beside it."""

from pathlib import Path

import pytest

from tejat.data.cleaning import quality, wordlists
from tejat.data.corpus import media_voices, reach, text_catalogs

CODE = '''
"""About it."""
from tejat.data.cleaning.words import words

LEAST = 3
TABLE = {"a": 1}
TABLE["b"] = 2
OTHER = 4


class Kept:
    """What is kept."""

    size = LEAST

    def put(self, x):
        return helper(x)


def helper(x):
    """What it does."""
    return lines("quality.txt"), x + 1  # why


def step(x):
    if x:
        return Kept().put(words([x]))
    return TABLE


def unused(x):
    return OTHER + x
'''


@pytest.fixture
def hashed(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/quality.txt").write_text("good: words")

    def hashed(text: str, name: str = "step") -> str:
        (tmp_path / "code.py").write_text(text)
        reach.forget()
        return reach.reached(tmp_path / "code.py", name)

    return hashed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + 1", "x + 2"),  # a function that a method of a class calls that the function makes
        ("LEAST = 3", "LEAST = 4"),  # a number that the class is made with
        ('TABLE["b"] = 2', 'TABLE["b"] = 3'),  # a table that is added to below its definition
        ("if x:", "if not x:"),
        ("words([x])", "words([x, x])"),
    ],
)
def test_what_is_reached_counts(hashed, old, new):
    assert old in CODE and hashed(CODE) != hashed(CODE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("OTHER + x", "OTHER - x"),
        ("OTHER = 4", "OTHER = 5"),
        ("# why", "# therefore"),
        ("does", "did"),
        ("is kept", "stays"),
    ],
)
def test_what_is_not_reached_and_what_is_only_said_do_not(hashed, old, new):
    assert old in CODE and hashed(CODE) == hashed(CODE.replace(old, new))


def test_lists_that_the_code_names_count(hashed, tmp_path):
    first = hashed(CODE), hashed(CODE, "unused")
    (tmp_path / "lists/quality.txt").write_text("good: other words")
    assert hashed(CODE) != first[0] and hashed(CODE, "unused") == first[1]


def test_a_name_that_is_not_at_the_top_stands_for_the_whole_file(hashed):
    assert hashed(CODE, "<lambda>") != hashed(CODE.replace("OTHER = 4", "OTHER = 5"), "<lambda>")


def test_imports_are_followed_name_by_name():
    def names(of) -> set[str]:
        seen, waiting = set(), [(Path(of.__code__.co_filename), of.__name__)]
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen.add(here)
                waiting += reach._named(*here)
        return {f"{path.stem}.{name}" for path, name in seen}

    rules = names(quality.faults)
    assert {"quality.repetition", "words.runs", "words._table", "wordlists.stopwords", "wordlists.lines"} <= rules
    assert "words.Words" in rules and not any(name.startswith("learned_quality.") for name in rules)
    # A module that is imported whole; and of it only what is used.
    spoken = names(media_voices.voices)
    assert {"media_concepts.read", "media_sound.opus", "text_dialogues.lines_of", "media_voices.TONES"} <= spoken
    assert "media_concepts.is_held_out" not in spoken and "media_voices.heldout" not in spoken
    assert not names(text_catalogs.places) & {"text_catalogs.tales", "text_catalogs.names"}
    # What stands under it is not followed.
    assert not any(name.partition(".")[0] in ("shards", "report", "source", "media") for name in rules | spoken)


def test_the_lists_of_this_project_are_among_it(monkeypatch):
    reach.forget()
    before = reach.reached(Path(quality.__file__), "faults")
    reach.forget()
    monkeypatch.setattr(reach, "LISTS", "nowhere")
    assert reach.reached(Path(quality.__file__), "faults") != before
    assert (Path(wordlists.__file__).parent / "lists/stopwords.txt").is_file()
    reach.forget()
