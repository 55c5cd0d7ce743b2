"""A model's directory: what is saved is loaded, and what is damaged is refused by name with nothing half-written."""

import dataclasses
import json
import shutil

import jax
import ml_dtypes
import numpy as np
import pytest

from tejat import bundle
from tejat.errors import BadInput
from tejat.model import family, weights
from tejat.model.params import walk

FILES = ["config.json", "model.safetensors", "picture.safetensors", "tokenizer.model"]


@pytest.fixture(scope="module")
def saved(micro, tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved") / "new" / "micro"
    bundle.save(directory, micro)
    return directory


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "micro")


def arrays(found: bundle.Bundle) -> dict[str, np.ndarray]:
    both = {"model": found.params, "picture": found.pictures.params} if found.pictures else {"model": found.params}
    return {name: np.asarray(array) for name, array in walk(both)}


def test_what_is_saved_is_loaded(micro, saved):
    assert sorted(p.name for p in saved.iterdir()) == FILES
    again = bundle.load(saved)
    assert again.config == micro.config and again.vocabulary.model == micro.vocabulary.model
    assert again.vocabulary.size == micro.vocabulary.size and again.pictures.config == micro.pictures.config
    expected, found = arrays(micro), arrays(again)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].tobytes() == array.tobytes(), name


def test_half_precision_is_the_rounded_same(micro, tmp_path):
    bundle.save(tmp_path, micro, dtype="bfloat16")
    found, expected = arrays(bundle.load(tmp_path)), arrays(micro)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array.astype(ml_dtypes.bfloat16).astype(np.float32))
    assert (tmp_path / "model.safetensors").stat().st_size < 2.2 * sum(a.size for a in expected.values())


def test_a_model_without_pictures_has_no_file_for_them(micro, tmp_path):
    mute = dataclasses.replace(micro, config=dataclasses.replace(micro.config, picture=None), pictures=None)
    bundle.save(tmp_path, mute)
    assert sorted(p.name for p in tmp_path.iterdir()) == [n for n in FILES if not n.startswith("picture")]
    assert bundle.load(tmp_path).pictures is None


@pytest.mark.parametrize("name", family.FAMILY)
def test_every_configuration_survives_json(name, tmp_path):
    config = family.preset(name)
    (tmp_path / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    assert bundle.read_config(tmp_path / "config.json") == config


def edited(path, edit):
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda c: c.update(colour=1), "config.json has an unknown field 'colour'"),
        (lambda c: c["decoder"].update(depth=1), "config.json: decoder has an unknown field 'depth'"),
        (lambda c: c["decoder"].pop("width"), "config.json: decoder lacks a field .*'width'"),
        (lambda c: c.update(context="long"), "config.json: context is 'long'"),
        (lambda c: c.update(context=2.5), "config.json: context is 2.5"),
        (lambda c: c.update(context=True), "config.json: context is True"),
        (lambda c: c["decoder"].update(layers=None), "config.json: decoder: layers is None"),
        (lambda c: c["decoder"].update(pattern=["sliding", "half"]), "config.json: decoder: pattern is 'half'"),
        (lambda c: c["vision"].update(budgets=16), "config.json: vision: budgets is 16"),
        (lambda c: c["audio"].update(channels=[1, 2, 3]), r"config.json: audio: channels is \[1, 2, 3\]"),
        (lambda c: c.update(decoder=[]), r"config.json: decoder is \[\]"),
    ],
)
def test_a_wrong_configuration_is_refused_by_field(copied, edit, words):
    edited(copied / "config.json", edit)
    with pytest.raises(BadInput, match=words):
        bundle.load(copied)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe{}", b"[1]", b"null"])
def test_what_is_no_configuration_is_refused(copied, text):
    (copied / "config.json").write_bytes(text)
    with pytest.raises(BadInput, match="config.json"):
        bundle.load(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(BadInput, match=name):
        bundle.load(copied)


@pytest.mark.parametrize("name", [n for n in FILES if n != "config.json"])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_named(copied, name, share):
    whole = (copied / name).read_bytes()
    (copied / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadInput, match="tokenizer" if name == "tokenizer.model" else name):
        bundle.load(copied)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("decoder.final_norm"), "model.safetensors lacks decoder.final_norm"),
        (lambda a: a.update(more=a["decoder.final_norm"]), "model.safetensors has unknown more"),
        (
            lambda a: a.update({"decoder.final_norm": np.ones(3, np.float32)}),
            r"has decoder.final_norm of shape \(3,\) where \(128,\) belongs",
        ),
        (
            lambda a: [a.pop(n) for n in list(a) if n.startswith("vision")],
            r"lacks vision\S*, vision\S*, vision\S* and \d+ more",
        ),
    ],
)
def test_a_wrong_tensor_is_named(micro, copied, change, words):
    flat = dict(walk(micro.params))
    change(flat)
    weights.write(copied / "model.safetensors", flat)
    with pytest.raises(BadInput, match=words):
        bundle.load(copied)


def test_weights_of_another_size_are_refused(micro, copied):
    edited(copied / "config.json", lambda c: c["decoder"].update(layers=3))
    with pytest.raises(BadInput, match="it is of another model"):
        bundle.load(copied)


@pytest.mark.parametrize("call", [1, 2])
def test_a_save_that_fails_leaves_nothing_that_looks_whole(micro, saved, copied, monkeypatch, call):
    """The disk fills while the first or the second file of weights is written, over a model that was there."""
    import safetensors.numpy

    real, calls = safetensors.numpy.save_file, []

    def full(tensors, path):
        calls.append(path)
        real(tensors, path)
        if len(calls) == call:
            raise OSError("no space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    other = dataclasses.replace(micro, params=jax.tree.map(lambda a: a + 1, micro.params))
    with pytest.raises(OSError, match="no space"):
        bundle.save(copied, other)
    assert set(p.name for p in copied.iterdir()) < set(FILES)
    with pytest.raises(BadInput, match="config.json"):
        bundle.load(copied)


def test_find(saved, tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")  # or a model beside this clone would be found
    assert bundle.find(saved) == saved and bundle.find(str(saved)) == saved
    for name in ("nothing", tmp_path, "../micro", ""):
        with pytest.raises(BadInput, match="there is no model"):
            bundle.find(name)
