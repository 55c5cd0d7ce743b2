"""Settings from the command line reach their fields, typed; what a run may not change is told by its name."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tejat.codecs.framing import Encoded
from tejat.errors import BadInput
from tejat.train import identity, recipe
from tejat.train.recipe import changed
from tejat.train.tour import RECIPE


def test_the_recipes_are_read():
    folder = Path(__file__).parents[2] / "recipes"
    assert recipe.read(folder / "micro.py").name == RECIPE.name == "micro"
    with pytest.raises(BadInput, match="defines no RECIPE of type Recipe"):
        recipe.read(folder / "pictures_micro.py")


@pytest.mark.parametrize(
    ("setting", "found", "value"),
    [
        ("seed=7", lambda r: r.seed, 7),
        ("schedule.peak=2e-3", lambda r: r.schedule.peak, 0.002),
        ("schedule.peak=1", lambda r: r.schedule.peak, 1.0),
        ("bfloat16=true", lambda r: r.bfloat16, True),
        ("how.keep=products", lambda r: r.how.keep, "products"),
        ("name=a=b", lambda r: r.name, "a=b"),
        ("pictures=None", lambda r: r.pictures, None),
        ("pictures=a/b", lambda r: r.pictures, Path("a/b")),
        ("config.decoder.width=64", lambda r: r.config.decoder.width, 64),
        ("config.decoder.soft_cap=30", lambda r: r.config.decoder.soft_cap, 30.0),
    ],
)
def test_a_setting_reaches_its_field_alone(setting, found, value):
    after = changed(RECIPE, [setting])
    assert found(after) == value and type(found(after)) is type(value)
    name = setting.split(".")[0].split("=")[0]
    assert dataclasses.replace(after, **{name: getattr(RECIPE, name)}) == RECIPE


def test_the_last_of_two_settings_holds():
    assert changed(RECIPE, ["seed=1", "schedule.steps=5", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("seed", "has no value"),
        ("sead=1", "names 'sead', which is no field here; there are accumulate, audit_every, bfloat16, config"),
        ("seed.low=1", "names 'low', which is no field here; it has no fields"),
        ("seed=1.5", "gives '1.5' where a whole number belongs"),
        ("bfloat16=yes", "gives 'yes' where true or false belongs"),
        ("documents=x", "only the recipe's file can set"),
        ("schedule=x", "only the recipe's file can set"),
    ],
)
def test_a_setting_that_cannot_be_is_told(setting, told):
    with pytest.raises(BadInput, match="^the setting") as caught:
        changed(RECIPE, [setting])
    assert told in str(caught.value)


@dataclass
class Vocabulary:
    """All that `identity` asks of one."""

    model: bytes = b"pieces"
    text_size: int = 20


@pytest.fixture
def source():
    """Documents number 0, 1, ... each of one piece of text and one code of a picture."""

    def make(first: int = 0, code: int = 30):
        def document(index: int) -> Encoded:
            tokens = np.asarray([first + index, code], np.int32)
            zeros = np.zeros(2, np.int32)
            return Encoded(tokens, zeros.astype(bool), zeros.astype(np.int8), zeros, zeros, zeros, ())

        return document

    return make


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("seed=1", "seed"),
        ("name=other", "name"),
        ("schedule.peak=0.5", "schedule.peak"),
        ("room.rows=2", "room.rows"),
        ("config.decoder.width=64", "config.decoder.width"),
        ("picture_weight=0.5", "picture_weight"),
        ("bfloat16=true", "bfloat16"),
        ("how.unrolled=true", "how.unrolled"),
    ],
)
def test_a_run_goes_on_with_its_own_recipe_alone(setting, name, source, tmp_path):
    identity.begin(tmp_path, identity.identity(RECIPE, source(), Vocabulary()))
    with pytest.raises(BadInput, match=f"was begun with {name} = ") as caught:
        identity.check(tmp_path, identity.identity(changed(RECIPE, [setting]), source(), Vocabulary()))
    assert str(tmp_path) in str(caught.value)


def test_other_documents_and_another_tokenizer_are_told(source, tmp_path):
    identity.begin(tmp_path, identity.identity(RECIPE, source(), Vocabulary()))
    with pytest.raises(BadInput, match="was begun with documents = "):
        identity.check(tmp_path, identity.identity(RECIPE, source(first=1), Vocabulary()))
    with pytest.raises(BadInput, match="was begun with tokenizer = "):
        identity.check(tmp_path, identity.identity(RECIPE, source(), Vocabulary(model=b"others")))


def test_how_often_to_log_and_save_may_change_and_codes_may_round_elsewise(source, tmp_path):
    identity.begin(tmp_path, identity.identity(RECIPE, source(), Vocabulary()))
    other = changed(RECIPE, ["log_every=3", "save_every=4", "keep=9"])
    identity.check(tmp_path, identity.identity(other, source(code=31), Vocabulary()))


def test_a_damaged_mark_is_told(source, tmp_path):
    (tmp_path / identity.NAME).write_text("{")
    with pytest.raises(BadInput, match=r"run\.json cannot be read"):
        identity.check(tmp_path, identity.identity(RECIPE, source(), Vocabulary()))
