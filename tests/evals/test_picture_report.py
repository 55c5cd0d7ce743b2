"""The report on image tokenizers: measures by hand, rivals within their bytes, text that can be read, tables."""

import numpy as np
import pytest
from PIL import Image as pillow
from PIL import ImageDraw, ImageFont

from tejat.codecs.picture import PictureCodec
from tejat.evals import legibility, picture_classifier, picture_quality, picture_report, picture_rivals, picture_sheets
from tejat.evals.picture_classifier import Classifier, ClassifierConfig
from tejat.evals.picture_report import Subject
from tejat.model import picture
from tejat.model.params import initialise
from tejat.model.picture import PictureConfig

CONFIG = PictureConfig(
    width=8,
    encoder_layers=1,
    decoder_layers=1,
    heads=1,
    head_width=8,
    mlp=8,
    patch=8,
    levels=(8, 8),
    table=16,
    budget=16,
)


@pytest.fixture(scope="module")
def gradient():
    """A smooth picture with a circle in it."""
    y, x = np.mgrid[:64, :64]
    found = np.stack([x * 3, y * 3, 255 - x - y], -1).astype(np.uint8)
    found[np.hypot(y - 32, x - 32) < 12] = (200, 30, 30)
    return found


def test_psnr_is_of_all_pixels_and_of_those_inside():
    shown = [np.full((4, 4, 3), 100, np.uint8)]
    drawn = [shown[0].copy()]
    drawn[0][0] += 51  # a fifth of the range, in a quarter of the picture
    inside = [np.zeros((4, 4), bool)]
    inside[0][:2] = True
    found = picture_quality.quality(shown, drawn, inside)
    assert found.psnr == pytest.approx(-10 * np.log10(0.04 / 4)) and found.inside == pytest.approx(-10 * np.log10(0.02))
    assert picture_quality.decibels(0.0) == 99.0


def test_ssim_is_that_of_another_implementation(gradient):
    assert picture_quality.ssim(gradient, gradient) == pytest.approx(1.0)
    noisy = np.clip(gradient + np.random.default_rng(0).normal(0, 20, gradient.shape), 0, 255).astype(np.uint8)
    # scikit-image 0.26: structural_similarity(one @ luma, other @ luma, gaussian_weights=True, sigma=1.5,
    # use_sample_covariance=False, data_range=255), averaged over the whole picture with full=True
    assert picture_quality.ssim(gradient, noisy) == pytest.approx(0.354105, abs=1e-4)


def test_use_of_a_codebook():
    assert picture_quality.use(np.arange(16), 64) == (0.25, 16, pytest.approx(16.0))
    assert picture_quality.use(np.zeros(5, int), 64) == (1 / 64, 5, 1.0)


@pytest.mark.parametrize("name", list(picture_rivals.codecs()))
def test_rivals_stay_within_their_bytes_and_use_them(name, gradient):
    encode = picture_rivals.codecs()[name]
    few, many = (picture_rivals.at_bytes(gradient, most, encode) for most in (150, 600))
    assert few.bytes <= 150 < many.bytes <= 600 and few.pixels.shape == gradient.shape
    errors = [np.square(found.pixels.astype(float) - gradient).mean() for found in (few, many)]
    assert errors[1] < errors[0] < 3_000
    data, count = encode(pillow.fromarray(gradient), 50)
    assert 20 < len(data) - count < 600  # containers and headers
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert picture_rivals.at_bytes(noise, 5, encode) is None


@pytest.mark.skipif(legibility.tesseract() is None, reason="Tesseract is not installed")
def test_what_is_written_is_read():
    page = pillow.new("RGB", (128, 64), (255, 255, 255))
    ImageDraw.Draw(page).text((4, 20), "horses 1836", fill=0, font=ImageFont.load_default(20))
    pages = [np.asarray(page), np.full((64, 128, 3), 255, np.uint8)]
    assert legibility.read(pages) == ["horses 1836", ""]
    assert legibility.error_rate(["horses", ""], ["houses", ""]) == pytest.approx(1 / 6)


def test_rivals_are_read_as_ours_is(gradient, drawn, monkeypatch):
    """Pages and charts through every codec."""
    monkeypatch.setattr(picture_report, "bytes_of", lambda codec: 300)
    codec = PictureCodec(drawn(picture.params(CONFIG), seed=0), CONFIG)
    monkeypatch.setattr(legibility, "tesseract", lambda: "there")
    seen = []

    def read(pictures, sparse=False):
        seen.append(pictures)
        return ["a b"] * len(pictures)

    monkeypatch.setattr(legibility, "read", read)
    squares = np.dstack([gradient, np.full((64, 64), 255, np.uint8)])[None]
    pages = [(squares[0], {"text": "a c", "size": 10})]
    found = picture_report.report({"ours": codec}, [Subject.of("charts", squares, 1)], pages, rivals=1)
    assert set(found["legibility"]) == {"ours", *picture_rivals.codecs()} and len(seen) == 4 * len(found["legibility"])
    assert all(len(rows) == 2 for rows in found["legibility"].values())
    assert " | ".join(found["legibility"]) in picture_report.tables(found)
    assert len({np.asarray(pictures[0]).tobytes() for pictures in seen[1::4]}) == len(found["legibility"])


def test_a_report_has_every_row(gradient, drawn, tmp_path):
    params = drawn(picture.params(CONFIG), seed=0)
    codecs = {"ours": PictureCodec(params, CONFIG), "other": PictureCodec(params, CONFIG)}
    drawings = np.concatenate([np.dstack([gradient, np.full((64, 64), 255, np.uint8)])[None]] * 5)
    drawings[:, :20, :, 3] = 0
    subjects = [Subject.of("circles", drawings, 3), Subject.of("more", drawings[:1], 3)]
    assert [len(subject.pictures) for subject in subjects] == [3, 1]
    shape = ClassifierConfig((8,), blocks=1)
    judge = Classifier(initialise(picture_classifier.params(shape, 2), 0), shape, ("a", "b"))
    found = picture_report.report(codecs, subjects[:1], rivals=0, judge=judge)
    assert found["tokenizers"]["ours"]["kinds"]["circles"]["frechet"] >= 0 and not found["rivals"]
    assert "Fréchet distance" in picture_report.tables(found)
    rivals = picture_report.report({"ours": codecs["ours"]}, subjects[:1], rivals=2, judge=judge)["rivals"]
    assert all(row["circles"]["frechet"] >= 0 and row["circles"]["pictures"] == 2 for row in rivals.values())
    found = picture_report.report(codecs, subjects, rivals=1)
    ours = found["tokenizers"]["ours"]
    assert ours["bytes"] == 12 and ours["use"]["codes"] == 4 * 16 and ours["kinds"]["circles"]["pictures"] == 3
    assert found["tokenizers"]["other"] == ours and set(found["budgets"]["ours"]) == {"64", "256"}
    assert found["budgets"]["ours"]["256"]["more"]["size"] == "128x128"
    assert set(found["rivals"]) == set(picture_rivals.codecs())
    told = picture_report.tables(found)
    assert "| circles | 3 | " in told and "Legibility was not measured" in told
    picture_report.sheet(codecs, subjects, tmp_path / "sheet.png")
    with pillow.open(tmp_path / "sheet.png") as sheet:
        line = picture_sheets.LETTERS + picture_sheets.GAP
        side = 128 + 1  # room for the largest; these are smaller
        assert sheet.size == (4 + picture_report.SHOWN * (3 * side + 4), 2 * (line + 128 + 4))
