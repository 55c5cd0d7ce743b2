"""A reward model learns what pairs show, and is measured by what it has not seen."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from tejat.cli import tune
from tejat.errors import BadInput
from tejat.infer.engine import Generation
from tejat.parts import Image, Text, Turn
from tejat.posttrain import loop, pairing, preferences, reward_model, reward_report, rollouts
from tejat.posttrain.dpo import DpoWork
from tejat.posttrain.lora import Lora
from tejat.posttrain.preferences import Pair
from tejat.posttrain.questions import Question
from tejat.posttrain.recipe import HEADS, Dpo, Reward
from tejat.posttrain.reward import RewardWork
from tejat.posttrain.reward_report import Scored
from tejat.train.optimizer import Schedule


def pair(asked: int, behaviour: str) -> Pair:
    """Polite answers are better, whatever they say; of the other behaviour, curt ones."""
    polite, curt = f"{asked} please", f"{asked} no"
    chosen, rejected = (polite, curt) if behaviour == "helpful" else (curt, polite)
    return Pair((Turn("user", (Text(f"say {asked}"),)),), (Text(chosen),), (Text(rejected),), 0.5, behaviour)


@pytest.fixture(scope="module")
def recipe(talker_at, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    both = ("helpful", "refusal")
    preferences.write(folder / "train.jsonl", [pair(n, b) for n in range(30) for b in both])
    preferences.write(folder / "heldout.jsonl", [pair(n, b) for n in range(30, 60) for b in both])
    return Reward(
        name="manners",
        model=talker_at,
        data=folder / "train.jsonl",
        heldout=folder / "heldout.jsonl",
        heads={"helpfulness": ("helpful",), "safety": ("refusal",)},
        weights={"helpfulness": 1.0, "safety": 0.5},
        schedule=Schedule(steps=30, peak=1e-2, warmup=4),
        rows=2,
        tokens=128,
        pairs=8,
        log_every=10,
        save_every=15,
    )


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory):
    work, directory = RewardWork(recipe), tmp_path_factory.mktemp("manners")
    return work, directory, loop.run(work, directory)


def test_each_head_learns_its_own_pairs(trained):
    _, _, told = trained
    rows = {row["name"]: row for row in told["pairs"]}
    assert rows.keys() == {"all", "head helpfulness", "head safety", "helpful", "refusal"}
    assert rows["head helpfulness"]["accuracy"] > 0.9 and rows["head safety"]["accuracy"] > 0.9
    assert rows["helpful"]["low"] < rows["helpful"]["accuracy"] <= rows["helpful"]["high"]
    # Each head is right on its own pairs; together they like the same of two answers, whatever a pair is about.
    assert abs(rows["helpful"]["together"] + rows["refusal"]["together"] - 1) < 0.2
    assert told["dress"].keys() == reward_report.DRESSES.keys()


def test_what_was_measured_is_a_table(trained, capsys):
    told = trained[2]
    tune.show({"name": "manners", **told})
    lines = capsys.readouterr().out.splitlines()
    row = next(row for row in told["pairs"] if row["name"] == "helpful")
    shown = next(line.split() for line in lines if line.startswith("helpful"))
    assert "all heads" in lines[1]
    assert shown[2] == f"{row['accuracy']:.3f}" and shown[-2:] == [
        f"{row[name]:.3f}" for name in ("together", "calibration_error")
    ]


def test_opposites_are_learnt_by_one_head():
    for one, other in (("hedging", "over-hedging"), ("refusal", "over-refusal")):
        assert all((one in taught) == (other in taught) for taught in HEADS.values())


def test_read_again_it_scores_the_same(trained, recipe):
    work, directory, _ = trained
    model = reward_model.load(directory / "model")
    assert model.weights == recipe.weights
    encoded = [work._batches.encoded(pair(n, "helpful"))[side] for n in range(30, 37) for side in (0, 1)]
    scores = model.scores(encoded)
    assert (scores[::2, 0] > scores[1::2, 0]).mean() > 0.9
    one = model.scores(encoded[3:4])  # an answer's score does not depend on its company
    np.testing.assert_allclose(one[0], scores[3], atol=1e-4)
    combined = (scores @ np.asarray([1.0, 0.5]) - model.scale[0]) / model.scale[1]
    np.testing.assert_allclose(model.combined(scores), combined, rtol=1e-4, atol=1e-5)


def test_it_judges_answers_as_they_were_written(trained, recipe, talker):
    """What the engine wrote is read as in training, and earns its score in deviations."""
    model, turns = reward_model.load(trained[1] / "model"), pair(40, "helpful").prompt
    prompt = talker.framing.prompt(turns)
    documents, answers = [], []
    for side in pair(40, "helpful").documents():
        whole = talker.framing.encode(side)
        tokens = whole.tokens[whole.loss]
        assert tokens[-1] == talker.vocabulary["<turn|>"]
        for ended in (tokens, tokens[:-1]):  # by itself, and at its limit
            assert rollouts.closed(talker, prompt, ended).tokens.tolist() == whole.tokens.tolist()
        answers.append(Generation(tokens, np.zeros(len(tokens)), "stop"))
        documents.append(pairing.at_the_end(whole))
    question = Question(turns, None, "manners")
    found = rollouts.graded(talker, [question] * 2, [prompt] * 2, answers, model, 1.0, 0.3)
    wanted = 0.3 * model.combined(model.scores(documents))
    np.testing.assert_allclose([rollout.reward for rollout in found], wanted, rtol=1e-4)
    assert [one.text for one in found] == ["40 please", "40 no"]
    with pytest.raises(BadInput, match="'manners' has no check and there is no reward_model"):
        rollouts.graded(talker, [question], [prompt], answers[:1], None, 1.0, 1.0)


def test_pairs_come_in_the_same_order_from_any_place(trained):
    batches = trained[0]._batches
    made = batches.forever(0)
    first = [next(made) for _ in range(9)]
    made.close()
    counts = [int(pairs.real.sum()) for pairs, _ in first]
    assert [read for _, read in first] == np.cumsum(counts).tolist() and max(counts) <= 8
    again = batches.forever(first[4][1])
    for (wanted, read), (found, place) in zip(first[5:], again, strict=False):
        assert read == place and np.array_equal(wanted.packed.batch.inputs.tokens, found.packed.batch.inputs.tokens)
        assert np.array_equal(wanted.groups, found.groups)
    again.close()


@pytest.mark.slow
def test_stopped_and_resumed_it_is_the_same(trained, recipe, tmp_path):
    done, directory, _ = trained
    works = [RewardWork(recipe) for _ in range(2)]
    for work in works:
        work._update = done._update
    with pytest.raises(loop.Stopped):
        loop.run(works[0], tmp_path, until=0.0)
    loop.run(works[1], tmp_path, resume=True)
    for name in ("model.safetensors", "reward.safetensors"):
        assert (tmp_path / "model" / name).read_bytes() == (directory / "model" / name).read_bytes()


def test_what_cannot_be(recipe, tmp_path):
    with pytest.raises(BadInput, match="pairs of .*train.jsonl are in .*train.jsonl too"):
        RewardWork(replace(recipe, heldout=recipe.data))
    with pytest.raises(BadInput, match="'refusal', which no head learns"):
        RewardWork(replace(recipe, heads={"helpfulness": ("helpful",)}, weights={"helpfulness": 1.0}))
    with pytest.raises(BadInput, match="is no reward model"):
        reward_model.load(recipe.model)
    tied = json.loads(recipe.data.read_text().splitlines()[0])
    tied["rejected"] = tied["chosen"]
    (tmp_path / "tied.jsonl").write_text(recipe.data.read_text() + json.dumps(tied) + "\n")
    with pytest.raises(BadInput, match=r"lines that are no preferences \(that tie: 1\), the first of them line 61"):
        RewardWork(replace(recipe, data=tmp_path / "tied.jsonl"))


def test_a_pair_that_no_row_holds_is_left_out(recipe, talker):
    long = Pair((Turn("user", (Text("word " * 200),)),), (Text("a"),), (Text("b"),))
    groups = {"helpful": 0, "refusal": 1}
    batches = pairing.Batches(recipe, talker.framing, groups, ends=True)
    made = list(batches.of((each, batches.encoded(each)) for each in (pair(1, "helpful"), long, pair(2, "refusal"))))
    assert [(read, len(held)) for _, read, held in made] == [(3, 2)]
    found = made[0][0]
    assert found.real.tolist() == [1, 1] + [0] * 6 and found.groups.tolist()[:2] == [0, 1]
    with pytest.raises(BadInput, match="hold no pair"):
        list(batches.of((each, batches.encoded(each)) for each in [long] * 100))


def test_calibration_error_by_hand():
    sure = np.asarray([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.asarray([True, True, True, False, True, False])
    wanted = 4 / 6 * abs(0.95 - 0.75) + 2 / 6 * abs(0.55 - 0.5)
    assert reward_report.calibration_error(sure, right) == pytest.approx(wanted)
    assert reward_report.calibration_error(np.asarray([1.0, 0.5]), np.asarray([True, False])) == pytest.approx(0.25)


def test_biases_are_seen():
    def scored(chosen, rejected, more):
        return Scored("helpful", "helpfulness", chosen, rejected, 10 + more, 10, chosen - rejected)

    longest = [scored(2.0, 1.0, 5), scored(1.0, 2.0, -5), scored(3.0, 1.0, 1), scored(1.0, 1.5, -2)]
    found = reward_report.by_length(longest)
    assert found["longer_preferred"] == 1 and found["chosen_longer"] == 0.5
    assert found["accuracy_chosen_longer"] == 1 and found["accuracy_chosen_shorter"] == 0
    fair = reward_report.by_length([scored(2.0, 1.0, 5), scored(2.0, 1.0, -5)])
    assert fair["longer_preferred"] == 0.5 and fair["accuracy_as_long"] is None
    dressed = reward_report.by_dress(np.asarray([0.0, 1.0]), np.asarray([1.0, 0.5]), 0.5)
    assert dressed == {"preferred": 0.5, "shift": 0.5}
    shown = reward_report.dressed(pair(1, "helpful"), "list")
    assert shown.chosen == (Text("- 1 please"),) and shown.rejected == (Text("1 please"),)


@pytest.fixture(scope="module")
def of_pictures(recipe, painter_at, tmp_path_factory) -> Reward:
    """A recipe whose prompts show a picture, dark or bright, of which the answers speak."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, numbers in (("train.jsonl", range(12)), ("heldout.jsonl", range(12, 16))):
        preferences.write(folder / name, map(_shown, numbers))
    data, heldout = folder / "train.jsonl", folder / "heldout.jsonl"
    schedule = replace(recipe.schedule, steps=2)
    return replace(recipe, model=painter_at, data=data, heldout=heldout, schedule=schedule, tokens=192, pairs=4)


def _shown(number: int) -> Pair:
    bright = number % 2
    picture = Image(np.full((16, 16 + 8 * (number % 3), 3), 40 + 170 * bright + number, np.uint8))
    said = Text("dark"), Text("bright")
    return Pair((Turn("user", (picture, Text("What is this like?"))),), (said[bright],), (said[1 - bright],))


def test_pairs_bring_the_pictures_of_their_prompts(of_pictures, painter, talker):
    batches = pairing.Batches(of_pictures, painter.framing, {"helpful": 0}, ends=True)
    made = batches.forever(0)
    found = next(made)[0]
    packed = found.packed
    made.close()
    assert packed.batch.inputs.media.patches.any() and (packed.batch.weights > 0).sum() == 2 * int(found.real.sum()) > 0
    with pytest.raises(BadInput, match="line 1 of .*train.jsonl: the model 'talker' sees no images; mend or remove it"):
        pairing.Batches(of_pictures, talker.framing, {"helpful": 0}, ends=True)


@pytest.mark.slow
def test_a_reward_model_and_dpo_learn_from_what_they_see(of_pictures, painter, tmp_path):
    told = loop.run(RewardWork(of_pictures), tmp_path / "reward")
    assert {row["name"]: row["pairs"] for row in told["pairs"]}["helpful"] == 4
    trained = reward_model.load(tmp_path / "reward" / "model")
    vision = trained.bundle.params["vision"], painter.params["vision"]
    assert not all(map(np.array_equal, *map(jax.tree.leaves, vision)))  # gradients come through the eye
    kept = ("name", "model", "schedule", "data", "heldout", "rows", "tokens", "pairs", "log_every")
    dpo = Dpo(**{name: getattr(of_pictures, name) for name in kept})
    told = loop.run(DpoWork(dpo), tmp_path / "dpo")
    assert told["heldout_pairs"] == 4 and np.isfinite(told["heldout_pair_loss"])


@pytest.mark.slow
def test_dpo_moves_towards_what_is_chosen(recipe, talker_at, tmp_path):
    mine = [pair(n, "helpful") for n in range(60)]
    preferences.write(tmp_path / "train.jsonl", mine[:40])
    preferences.write(tmp_path / "heldout.jsonl", mine[40:])
    dpo = Dpo(
        name="dpo",
        model=talker_at,
        data=tmp_path / "train.jsonl",
        heldout=tmp_path / "heldout.jsonl",
        schedule=Schedule(steps=15, peak=1e-2, warmup=2),
        lora=Lora(rank=8),
        rows=2,
        tokens=128,
        pairs=8,
        log_every=1,
    )
    told = loop.run(DpoWork(dpo), tmp_path / "run")
    first, *_, last = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert told["heldout_accuracy"] > 0.9 and told["heldout_pairs"] == 20
    assert last["pair_loss"] < first["pair_loss"] and abs(first["pair_loss"] - np.log(2)) < 1e-5
