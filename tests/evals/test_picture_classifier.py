"""The judge of pictures: learns four shapes, is read again as it was, and compares sets of pictures."""

import jax
import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.evals import picture_classifier
from tejat.evals.picture_classifier import Classifier, ClassifierConfig, Training
from tejat.model.params import initialise
from tejat.train.optimizer import Schedule
from tejat.train.pictures import on_white
from tejat.train.scenes import Laying

CONFIG = ClassifierConfig((8, 16), blocks=1)


def drawings(count: int, seed: int):
    """Squares, bars and crosses of random colours, and what each is."""
    random, found, names = np.random.default_rng(seed), [], []
    for number in range(count):
        name = ("square", "bar", "cross")[number % 3]
        picture = np.zeros((32, 32, 4), np.uint8)
        mask = np.zeros((32, 32), bool)
        if name == "square":
            mask[6:26, 6:26] = True
        else:
            mask[4:28, 12:20] = True
        if name == "cross":
            mask[12:20, 4:28] = True
        picture[mask] = [*random.integers(0, 200, 3), 255]
        found.append(picture)
        names.append(name)
    return np.stack(found), names


@pytest.fixture(scope="module")
def judge():
    """Not trained."""
    names = ("bar", "cross", "square")
    return Classifier(initialise(picture_classifier.params(CONFIG, len(names)), 0), CONFIG, names)


@pytest.mark.slow
def test_it_recognises_what_it_never_saw():
    # Of a dozen pictures it would learn the colours: all right in training, 0.4 of others.
    laying, lines = Laying((0.8, 1.1), mirrored=False, recoloured=0.5, white=1.0), []
    training = Training(Schedule(steps=200, peak=1e-2, warmup=5, decay=0.01), batch=32, laying=laying)
    found = picture_classifier.train(ClassifierConfig((8, 16, 32), 1), training, *drawings(120, 0), lines.append)
    assert lines[-1]["step"] == 200 and found.classes == ("bar", "cross", "square")
    shown, names = drawings(90, 1)
    assert picture_classifier.recognised(found, [on_white(drawing) for drawing in shown], names) > 0.9


def test_a_loss_that_is_no_number_ends_the_training():
    training = Training(Schedule(steps=4, peak=1e30, warmup=1), batch=4)
    with pytest.raises(FloatingPointError, match="the loss is not a number before step 4 of 4; train with a lower"):
        picture_classifier.train(CONFIG, training, *drawings(3, 0))


def test_a_thing_that_is_no_class_is_told(judge):
    shown, _ = drawings(1, 1)
    with pytest.raises(ValueError):
        picture_classifier.recognised(judge, [on_white(shown[0])], ["circle"])


def test_it_is_read_as_it_was_written(judge, tmp_path):
    picture_classifier.save(judge, tmp_path)
    again = picture_classifier.load(tmp_path)
    assert again.classes == judge.classes and again.config == judge.config
    pictures = [on_white(drawing) for drawing in drawings(5, 2)[0]]
    (mine, _), (due, _) = picture_classifier.look(again, pictures), picture_classifier.look(judge, pictures)
    np.testing.assert_allclose(mine, due, rtol=0, atol=2e-2)
    with pytest.raises(BadInput, match="holds no judge of pictures"):
        picture_classifier.load(tmp_path / "none")


def test_the_frechet_distance_is_that_of_normal_distributions():
    random = np.random.default_rng(0)
    one = random.normal(0, 1, (4_000, 3))
    assert picture_classifier.frechet(one, one) == pytest.approx(0, abs=1e-6)
    # Means apart by (3, 0, 0), deviations 1 and 2: 9 + three times (1 - 2)².
    other = random.normal(0, 2, (4_000, 3)) + [3, 0, 0]
    assert picture_classifier.frechet(one, other) == pytest.approx(12, rel=0.05)
    assert picture_classifier.frechet(one, other) == pytest.approx(picture_classifier.frechet(other, one))


@pytest.mark.slow
def test_pictures_of_other_things_are_far_away(judge):
    def seen(kind: int, seed: int):
        shown, _ = drawings(90, seed)
        return picture_classifier.look(judge, [on_white(drawing) for drawing in shown[kind::3]])[0]

    near, far = picture_classifier.frechet(seen(0, 3), seen(0, 4)), picture_classifier.frechet(seen(0, 3), seen(1, 4))
    assert far > 3 * near


def test_noise_is_of_many_strengths_and_stays_within_black_and_white():
    pixels = np.full((64, 9, 8, 3), 0.5, np.float32)
    found = np.asarray(picture_classifier.noisy(pixels, 0.1, jax.random.key(0)))
    spread = found.std((1, 2, 3))
    assert found.mean() == pytest.approx(0.5, abs=5e-3) and spread.min() < 0.02 and 0.08 < spread.max() < 0.13
    blocks = (found[:, 0, ::2] == found[:, 1, 1::2]).all((1, 2))
    assert 16 < blocks.sum() < 48
    extreme = np.asarray(picture_classifier.noisy(np.ones_like(pixels), 0.5, jax.random.key(1)))
    assert extreme.max() == 1 and extreme.min() >= 0
    np.testing.assert_array_equal(picture_classifier.noisy(pixels, 0.0, jax.random.key(2)), pixels)
