"""The tour's documents: what they are drawn from, that they fit, and that clips show what their words say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat import sample
from tejat.codecs.framing import Framing
from tejat.codecs.vocabulary import Vocabulary
from tejat.data import tour
from tejat.data.packing import fits
from tejat.parts import Text, Video
from tejat.train.tour import RECIPE


class NoPictures:
    """Stands for the image tokenizer where only the number of codes matters."""

    def encode(self, pixels) -> np.ndarray:
        return np.zeros((8, 8), int)


@pytest.fixture(scope="module")
def documents() -> tour.Tour:
    config = RECIPE.config
    return tour.Tour(Framing(config, Vocabulary(RECIPE.tokenizer(), config.picture.codes), NoPictures()))


def test_a_document_is_a_function_of_its_number_and_the_seed(documents):
    again, other = tour.Tour(documents.framing), tour.Tour(documents.framing, seed=1)
    for index in (0, 7, 10**9):
        assert documents.document(index) == again.document(index)
    assert [documents.document(i) for i in range(9)] != [other.document(i) for i in range(9)]


def test_every_task_comes_as_often_as_the_mixture_says(documents):
    count = 1_500
    found = [documents.document(index).source for index in range(count)]
    for task, share in tour.MIXTURE.items():
        expected = count * share / sum(tour.MIXTURE.values())
        assert abs(found.count(task) - expected) < 5 * expected**0.5, task


def test_documents_fit_the_rows_of_the_recipe(documents):
    found = map(documents.document, range(600))
    dropped = [each.source for each in found if not fits(documents.framing.encode(each), RECIPE.room)]
    assert len(dropped) <= 3, f"documents that no row has room for: {dropped}"


def test_nothing_held_out_is_trained_on(documents, monkeypatch):
    drawn, heard, apart = set(), set(), sample.heldout()
    drawing, speech = tour._drawing, tour._speech
    monkeypatch.setattr(tour, "_drawing", lambda style, id: drawn.add(style) or drawing(style, id))
    monkeypatch.setattr(tour, "_speech", lambda voice, id: heard.add(voice) or speech(voice, id))
    ids = {concept.names["en"]: concept.id for concept in sample.concepts()}
    told = 0
    for index in range(800):
        document = documents.document(index)
        if document.source in ("clips", "motion"):
            for part, learnt in zip(document.parts, document.loss, strict=True):
                if learnt and isinstance(part, Text):
                    motion = next(motion for motion in tour.MOTIONS if part.text.endswith(motion))
                    assert not tour.motion_held_out(ids[part.text[4 : -len(motion) - 1]], motion)
                    told += 1
    assert told > 100
    assert drawn == set(sample.styles()) - set(apart["styles"])
    assert heard == set(sample.voices()) - set(apart["voices"])


def test_questions_afterwards_are_about_what_was_held_out(monkeypatch):
    drawn, heard = set(), set()
    drawing, speech = tour._drawing, tour._speech
    monkeypatch.setattr(tour, "_drawing", lambda style, id: drawn.add(style) or drawing(style, id))
    monkeypatch.setattr(tour, "_speech", lambda voice, id: heard.add(voice) or speech(voice, id))
    assert len(tour.heldout("caption")) >= 150 and drawn == set(sample.heldout()["styles"])
    assert len(tour.heldout("spoken")) >= 100 and heard == set(sample.heldout()["voices"])
    ids = {concept.names["en"]: concept.id for concept in sample.concepts()}
    motions = tour.heldout("motion", 60)
    for example in motions:
        name = example.answer[0].text[4 : -len(example.scored) - 1]
        assert tour.motion_held_out(ids[name], example.scored)
    assert len({example.scored for example in motions}) == len(tour.MOTIONS)
    with pytest.raises(KeyError, match="caption, spoken, motion"):
        tour.heldout("smell")


def ink(clip: Video) -> np.ndarray:
    """How far each pixel of each frame is from the ground, which the corners show."""
    frames = np.asarray(clip.frames, float)
    corners = np.stack([frames[:, y, x] for y in (0, -1) for x in (0, -1)])
    return np.abs(frames - np.median(corners.reshape(-1, 3), axis=0)).sum(-1)


def middle(shown: np.ndarray) -> np.ndarray:
    """(x, y) of the ink of one frame."""
    y, x = np.mgrid[: shown.shape[0], : shown.shape[1]]
    return np.array([(x * shown).sum(), (y * shown).sum()]) / shown.sum()


@settings(max_examples=60, deadline=None)
@given(motion=st.sampled_from(tour.MOTIONS), which=st.integers(0, 10**6), seed=st.integers(0, 10**6))
def test_a_clip_does_what_its_words_say(motion, which, seed):
    concept = sample.concepts()[which % len(sample.concepts())]
    shown = ink(tour.clip(concept.id, motion, np.random.default_rng(seed)))
    first, last = shown[0], shown[-1]
    if motion == "fades":
        assert last.sum() < 0.05 * first.sum()
        return
    area = [(frame > 40).sum() for frame in (first, last)]
    right, down = middle(last) - middle(first)
    match motion:
        case "moves left" | "moves right":
            assert abs(right) > 25 and (right > 0) == (motion == "moves right") and abs(down) < 10
        case "moves up" | "moves down":
            assert abs(down) > 25 and (down > 0) == (motion == "moves down") and abs(right) < 10
        case "grows":
            assert area[1] > 4 * area[0] and abs(right) < 12 and abs(down) < 12
        case "shrinks":
            assert area[0] > 4 * area[1] and abs(right) < 12 and abs(down) < 12
        case "spins":
            assert 0.5 < area[1] / area[0] < 2 and max(abs(right), abs(down)) < 24  # its middle need not be its axis
            # Rays of the sun come round to one another: of 167 drawings, forty times each, it alone can look unturned.
            assert np.abs(last - first).sum() > 0.1 * first.sum() or concept.names["en"] == "sun"
