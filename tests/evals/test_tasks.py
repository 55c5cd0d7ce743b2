"""Items, their blanked controls, and the ways to ask, judged on a model that answers as it is told."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tejat.evals.answering import Answering, Choosing, Drawing
from tejat.evals.tasks import Item, blank, controlled, shuffle
from tejat.parts import Audio, Image, Part, Text, Turn, Video

RANDOM = np.random.default_rng(0)
PICTURE = Image(RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8))
SOUND = Audio(RANDOM.uniform(-1, 1, 800).astype(np.float32))
CLIP = Video(RANDOM.integers(0, 256, (3, 4, 4, 3), dtype=np.uint8), (0.0, 0.5, 1.5), SOUND)
QUESTION = Text("What is this?")


def item(*parts: Part, answers: tuple[str, ...] = ("cat",), **more) -> Item:
    return Item("one", "c", (Turn("user", parts),), answers, **more)


class Says:
    """A model whose answers are given."""

    def __init__(self, *answers: tuple[Part, ...]):
        self.answers = answers

    def generate_batch(self, prompts, *, max_tokens, temperature):
        assert len(prompts) == len(self.answers) and temperature == 0.0
        return [SimpleNamespace(parts=parts) for parts in self.answers]


def test_blanks_keep_size_and_length_and_nothing_else() -> None:
    picture, sound, clip = blank(PICTURE), blank(SOUND), blank(CLIP)
    assert picture.pixels.shape == (6, 8, 3) and set(picture.pixels.ravel()) == {128}
    assert (len(sound.samples), sound.rate) == (800, 16_000) and not sound.samples.any()
    assert clip.frames.shape == CLIP.frames.shape and set(clip.frames.ravel()) == {128}
    assert clip.times == CLIP.times and clip.audio == sound
    assert blank(replace(CLIP, audio=None)).audio is None
    assert blank(QUESTION) is QUESTION


def test_control_blanks_turns_and_what_is_shown() -> None:
    made = controlled(item(PICTURE, QUESTION, shown=(PICTURE,)), "blanked")
    assert made.turns[0].parts == (blank(PICTURE), QUESTION) and made.shown == (blank(PICTURE),)
    assert (made.id, made.answers) == ("one", ("cat",))


def test_a_task_of_words_has_no_control() -> None:
    task = Answering("s", "t", lambda: [item(QUESTION)])
    assert task.controls(task.items()) == {}
    mixed = task.controls([item(QUESTION), item(SOUND, QUESTION)])  # of those that have media alone
    assert [one.turns[0].parts for one in mixed["blanked"]] == [(blank(SOUND), QUESTION)]
    assert [one.turns[0].parts for one in mixed["text-only"]] == [(QUESTION,)]
    assert task.with_(ways=()).controls([item(SOUND)]) == {}


def test_shuffling_keeps_what_there_is_and_loses_its_order() -> None:
    random = np.random.default_rng(1)
    sound, clip = shuffle(SOUND, random), shuffle(CLIP, random)
    assert sound != SOUND and (np.sort(sound.samples) == np.sort(SOUND.samples)).all()
    assert clip.times == CLIP.times and (clip.frames != CLIP.frames).any()
    assert sorted(frame.sum() for frame in clip.frames) == sorted(frame.sum() for frame in CLIP.frames)
    assert shuffle(PICTURE, random) is PICTURE and shuffle(QUESTION, random) is QUESTION
    two = replace(CLIP, frames=CLIP.frames[:2], times=CLIP.times[:2])
    assert all((shuffle(two, np.random.default_rng(n)).frames != two.frames).any() for n in range(8))
    assert controlled(item(SOUND), "shuffled") == controlled(item(SOUND), "shuffled")


@pytest.mark.parametrize(
    "other",
    [
        item(PICTURE, Text("What is that?")),
        item(blank(PICTURE), QUESTION),
        item(PICTURE, QUESTION, answers=("dog",)),
        item(PICTURE, QUESTION, choices=("cat", "dog")),
        item(QUESTION, PICTURE),
        Item("one", "c", (Turn("user", (PICTURE,)), Turn("user", (QUESTION,))), ("cat",)),
        Item("one", "c", (Turn("system", (PICTURE, QUESTION)),), ("cat",)),
        item(Image(PICTURE.pixels.reshape(8, 6, 3)), QUESTION),
    ],
)
def test_digest_sees_every_change(other: Item) -> None:
    assert other.digest() != item(PICTURE, QUESTION).digest()


def test_digest_sees_sound_times_and_rate() -> None:
    clips = [CLIP, replace(CLIP, times=(0.0, 0.5, 1.6)), replace(CLIP, audio=None), blank(CLIP)]
    sounds = [SOUND, replace(SOUND, rate=8000), blank(SOUND)]
    assert len({item(part).digest() for part in (*clips, *sounds)}) == 7
    assert item(PICTURE, QUESTION).digest() == item(Image(PICTURE.pixels.copy()), QUESTION).digest()


def test_answering_judges_words() -> None:
    task = Answering("s", "t", list)
    model = Says((Text("The cat"),), (Text("dog"),), (), (Text("cat"), PICTURE))
    assert [o.score for o in task.measure(model, [item(QUESTION)] * 4)] == [1.0, 0.0, 0.0, 0.0]


def test_the_most_frequent_answer_is_the_baseline() -> None:
    task = Answering("s", "t", list)
    items = [item(QUESTION, answers=answers) for answers in [("dog",), ("A dog", "hound"), ("cat",), ("hound",)]]
    assert task.baseline(items) == (0.5, "always the most frequent answer")


def test_free_answers_are_not_guessed_among_choices_that_nobody_sees() -> None:
    chosen = item(QUESTION, choices=("cat", "dog"), chance=0.5)
    assert Choosing("s", "t", list).chance(chosen) == 0.5 and Answering("s", "t", list).chance(chosen) == 0.0
    assert Answering("s", "t", list).chance(item(QUESTION, chance=0.1)) == 0.1


def test_drawing_judges_whether_it_drew() -> None:
    task = Drawing("s", "t", list)
    asks, asks_not = item(Text("Draw a cat."), answers=()), item(QUESTION)
    model = Says((PICTURE,), (Text("cat"),), (PICTURE,), (Text("cat"),))
    assert [o.score for o in task.measure(model, [asks, asks, asks_not, asks_not])] == [1.0, 0.0, 0.0, 1.0]
    assert task.baseline([asks, asks_not, asks_not, asks_not]) == (0.75, "never draws")


class Likes:
    """A model with likelihoods of its own for every answer."""

    def __init__(self, **totals: float):
        self.totals = totals

    def score_answers(self, prompts, answers):
        assert len(prompts) == len(answers) and all(turns[-1].role == "user" for turns in prompts)
        return [[SimpleNamespace(total=self.totals[text]) for text in mine] for mine in answers]


def test_choosing_takes_the_likeliest_of_each_items_choices() -> None:
    task = Choosing("s", "t", list)
    first = item(QUESTION, choices=("cat", "dog"))
    second = item(QUESTION, choices=("dog", "cow"), answers=("cow",))
    outcomes = task.measure(Likes(cat=-1.0, dog=-2.0, cow=-3.0), [first, second])
    assert [(o.score, o.parts) for o in outcomes] == [(1.0, (Text("cat"),)), (0.0, (Text("dog"),))]


def test_choosing_by_length_is_fair_to_long_answers() -> None:
    long = item(QUESTION, choices=("cat", "elephant"), answers=("elephant",))
    likes = Likes(cat=-2.0, elephant=-3.0)
    assert Choosing("s", "t", list).measure(likes, [long])[0].score == 0
    assert Choosing("s", "t", list, by_length=True).measure(likes, [long])[0].score == 1
