"""Text and pictures of an answer as its tokens come, in whatever pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.infer.reading import PartReader, TextReader
from tejat.parts import Image, Text


def text_of(parts) -> str:
    return "".join(p.text for p in parts if isinstance(p, Text))


@pytest.fixture(scope="module")
def words(micro_vocabulary):
    """Ids that may appear in running text, bytes that are no UTF-8 by themselves included."""
    return list(range(micro_vocabulary.first_written + 2, micro_vocabulary.text_size))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_pieces_add_up(micro, words, data) -> None:
    tokens = data.draw(st.lists(st.sampled_from(words[:256]) | st.sampled_from(words), max_size=30))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(tokens)), max_size=5)))
    reader = PartReader(micro.framing)
    parts = [p for a, b in zip([0, *cuts], [*cuts, len(tokens)], strict=True) for p in reader.push(tokens[a:b])]
    parts += reader.finish()
    assert text_of(parts) == micro.vocabulary.decode(tokens)


@settings(max_examples=100, deadline=None)
@given(st.text("abé漢", max_size=20), st.lists(st.text("abé漢", min_size=1, max_size=3), max_size=3))
def test_text_ends_before_the_first_stop_string(micro_vocabulary, text: str, stop: list[str]) -> None:
    reader, given_out = TextReader(micro_vocabulary, stop), ""
    for token in micro_vocabulary.encode(text):
        given_out += reader.push(token)
    given_out += reader.finish()
    # What is read a token at a time can stop at a string that ends first, though another begins before it.
    ends = sorted((text.find(s) + len(s), text.find(s), s) for s in stop if s in text)
    if not ends:
        assert (given_out, reader.hit) == (text, None)
    else:
        assert reader.hit in stop
        assert text.startswith(given_out + reader.hit)
        assert all(s not in given_out for s in stop)


def test_nothing_is_given_out_that_may_be_a_stop_string(micro_vocabulary) -> None:
    reader, given_out = TextReader(micro_vocabulary, ["END"]), []
    for token in [t for piece in ("x", "E", "N", "x", "E", "N", "D", "y") for t in micro_vocabulary.encode(piece)]:
        given_out.append(reader.push(token))
    assert given_out == ["x", "", "", "ENx", "", "", "", ""]
    assert (reader.finish(), reader.hit) == ("", "END")


def test_a_picture_comes_when_it_is_whole(micro) -> None:
    grid = np.arange(6, dtype=np.int32).reshape(2, 3)
    tokens = [*micro.vocabulary.encode("before"), *micro.framing.codes(grid), *micro.vocabulary.encode("after")]
    reader, came = PartReader(micro.framing), []
    for place, token in enumerate(tokens):
        came += [(place, part) for part in reader.push([token])]
    came += [(len(tokens), part) for part in reader.finish()]
    ((place, image),) = [(p, part) for p, part in came if isinstance(part, Image)]
    assert tokens[place] == micro.vocabulary["<picture|>"]
    np.testing.assert_array_equal(image.pixels, micro.pictures.decode(grid))
    assert text_of(part for p, part in came if p < place) == "before"
    assert text_of(part for p, part in came if p > place) == "after"


def test_a_stop_string_does_not_reach_across_a_picture(micro) -> None:
    picture = micro.framing.codes(np.zeros((1, 1), np.int32))
    tokens = [*micro.vocabulary.encode("EN"), *picture, *micro.vocabulary.encode("D, END.")]
    reader = PartReader(micro.framing, ["END"])
    parts = [*reader.push(tokens), *reader.finish()]
    assert [p.text if isinstance(p, Text) else "picture" for p in parts] == ["EN", "picture", "D, "]


def test_an_unfinished_picture_is_completed(micro) -> None:
    reader = PartReader(micro.framing)
    assert reader.push(micro.framing.codes(np.full((2, 2), 5, np.int32))[:5]) == ()
    (image,) = reader.finish()
    np.testing.assert_array_equal(image.pixels, micro.pictures.decode(np.full((2, 2), 5, np.int32)))
