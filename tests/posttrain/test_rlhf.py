"""Reinforcement learning asks every question once and goes on to the same weights; it stops where it should."""

import json
import math
import signal
from dataclasses import replace

import jax
import numpy as np
import pytest

from tejat import bundle, cli, sample
from tejat.codecs import vocabulary
from tejat.codecs.vocabulary import Vocabulary
from tejat.errors import BadInput
from tejat.model.params import initialise
from tejat.parts import Text, Turn, to_json
from tejat.posttrain import alarms, loop, reward_model, verify
from tejat.posttrain.loop import Collapsed
from tejat.posttrain.lora import Lora
from tejat.posttrain.questions import Question
from tejat.posttrain.recipe import Rlhf
from tejat.posttrain.reward_model import RewardModel
from tejat.posttrain.rlhf import RlhfWork
from tejat.train.optimizer import Schedule

LETTERS = [*"abcdefghijklmnopqrstuvwxyz0123456789"]


class Letters:
    """Asks for a single letter, of which an untrained model gives one now and then."""

    def __init__(self, seed):
        self.asked = []

    def __call__(self, index):
        self.asked.append(index)
        check = {"kind": "unknown", "says": LETTERS}
        return Question((Turn("user", (Text(f"letter {index}"),)),), check, ("even", "odd")[index % 2])


@pytest.fixture(scope="module")
def grpo(talker_at):
    return Rlhf(
        name="letters",
        model=talker_at,
        method="grpo",
        questions=Letters,
        heldout_questions=Letters,
        heldout_count=16,
        schedule=Schedule(steps=6, peak=3e-3, warmup=1, floor=1.0),
        rows=1,
        tokens=128,
        prompts=4,
        answers=4,
        max_tokens=3,
        minibatches=2,
        entropy=0.01,
        lora=Lora(rank=4),
        log_every=2,
        save_every=2,
    )


@pytest.fixture(scope="module")
def ppo(grpo):
    """All weights, and a value head; the price of divergence changes from one iteration to the next."""
    return replace(grpo, name="letters-ppo", method="ppo", kl_target=1.0, lora=None)


@pytest.fixture(scope="module")
def compiled():
    return {}


def made(recipe, compiled):
    """New work, with programs that are compiled already where there are some."""
    work = RlhfWork(recipe)
    mine = compiled.setdefault(recipe.method, (work._update, work._measure, work._weights))
    work._update, work._measure, work._weights = mine
    return work


def lines(directory):
    found = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    timed = {"seconds", "sampling_s", "updating_s", "preparing_s", "sampled_tokens_per_s"}
    return [{name: value for name, value in line.items() if name not in timed} for line in found]


@pytest.fixture(scope="module")
def whole(ppo, compiled, tmp_path_factory):
    directory, work = tmp_path_factory.mktemp("whole"), made(ppo, compiled)
    return directory, loop.run(work, directory), work


@pytest.mark.parametrize("method", ["ppo", pytest.param("grpo", marks=pytest.mark.slow)])
def test_stopped_and_resumed_it_is_the_same_and_no_question_is_passed_over(
    method, grpo, ppo, whole, compiled, tmp_path
):
    recipe = grpo if method == "grpo" else ppo
    directory = whole[0]
    if method == "grpo":
        directory = tmp_path / "whole"
        loop.run(made(grpo, compiled), directory)
    first = made(recipe, compiled)
    stop = Stopping(first, 3)
    with pytest.raises(loop.Stopped, match="stopped at step 3"):
        loop.run(stop, tmp_path / "run", until=None)
    second = made(recipe, compiled)
    second._questions.asked.clear()
    loop.run(second, tmp_path / "run", resume=True)
    assert lines(tmp_path / "run") == lines(directory)
    name = "model/model.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (directory / name).read_bytes()
    # The last are asked to see whether the last state is worth keeping.
    assert stop.learnt_from + second._questions.asked == list(range(7 * recipe.prompts))


class Stopping:
    """Work that is interrupted, as by Ctrl-C, after so many steps; it notes which questions were learnt from."""

    def __init__(self, work, steps):
        self.work, self.steps, self.learnt_from, self._asked = work, steps, [], []

    def __getattr__(self, name):
        return getattr(self.work, name)

    def prepare(self, state, step):
        self.work._questions.asked.clear()
        found = self.work.prepare(state, step)
        self._asked = [*self.work._questions.asked]
        if step == self.steps:
            signal.raise_signal(signal.SIGINT)
        return found

    def advance(self, state, prepared):
        self.learnt_from += self._asked
        return self.work.advance(state, prepared)


def test_what_is_told(whole, talker, ppo):
    directory, told, _ = whole
    first, *_, last = lines(directory)
    assert first["divergence"] != last["divergence"] and last["value_loss"] > 0 and last["kl_weight"] != ppo.kl
    assert last["off_policy_most"] < 1e-3 and last["effective_share"] > 0.999 and last["off_policy_cut"] == 0
    assert last["divergence"] != 0 and last["entropy"] > 0 and {"reward_even", "reward_odd", "checked"} <= last.keys()
    assert last["samples"][0]["prompt"].startswith("letter ")
    assert told["heldout"]["after"]["all"]["n"] == 16 and told["heldout"]["after"].keys() == {"all", "even", "odd"}
    trained = bundle.load(directory / "model").params["decoder"]
    assert not np.array_equal(trained["embedding"], talker.params["decoder"]["embedding"])
    assert json.loads((directory / "report.json").read_text())["step"] == 6


def test_a_report_is_json_whatever_was_measured(tmp_path):
    """The mean of one answer has an interval without ends."""
    loop._report(tmp_path, {"heldout": [{"reward": 0.5, "low": -math.inf, "high": math.inf}], "n": 1})

    def refuse(name: str):
        raise AssertionError(name)

    told = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    assert told == {"heldout": [{"reward": 0.5, "low": None, "high": None}], "n": 1}


def test_a_sampler_of_other_weights_is_measured_and_corrected(whole, ppo):
    """As one that computes in another precision would be, but coarser."""
    _, _, work = whole
    state, use = work.initial(), work._sampler.use
    honest = work.prepare(state, 0)
    changed = jax.tree.map(lambda a: a * 1.02, state.params)
    work._sampler.use = lambda weights, dtype: use(changed["model"], dtype)
    try:
        found = work.prepare(state, 0)
    finally:
        work._sampler.use = use
    assert honest.told["off_policy"] < 1e-4 < found.told["off_policy"]
    assert found.told["effective_share"] < honest.told["effective_share"]
    for part in found.parts:
        there = part.packed.batch.weights > 0
        assert (part.importance[there] <= ppo.correction).all() and np.ptp(part.importance[there]) > 1e-3
        assert np.allclose(honest.parts[0].importance[honest.parts[0].packed.batch.weights > 0], 1, atol=1e-3)


@pytest.mark.parametrize("step", [5, 6])  # 6: there is none after the last, and it is looked at all the same
def test_a_reward_that_is_no_number_stops_it_and_the_last_good_state_is_kept(
    step, ppo, compiled, tmp_path, monkeypatch
):
    work, asked = made(ppo, compiled), []
    right = verify.reward

    def failing(check, answer):
        asked.append(answer)
        return float("nan") if len(asked) > step * 16 else right(check, answer)

    monkeypatch.setattr(verify, "reward", failing)
    work._heldout = None
    told = rf"16 of 16 rewards of step {step} are no numbers \(nan\); the last good state, of step 4, is in"
    with pytest.raises(Collapsed, match=told):
        loop.run(work, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["step"] == 4
    kept = bundle.load(tmp_path / "model").params["decoder"]["embedding"]
    monkeypatch.undo()
    other = made(ppo, compiled)
    other._heldout = None
    with pytest.raises(loop.Stopped):  # the same run up to there
        loop.run(Stopping(other, 4), tmp_path / "other")
    assert np.array_equal(kept, bundle.load(tmp_path / "other" / "model").params["decoder"]["embedding"])
    assert np.isfinite(kept).all()


def test_the_last_good_state_may_be_that_of_a_chain(ppo, compiled, tmp_path, monkeypatch):
    work = made(ppo, compiled)
    work._heldout = None
    with pytest.raises(loop.Stopped):
        loop.run(Stopping(work, 4), tmp_path / "first", to_chain=tmp_path / "chain")
    monkeypatch.setattr(verify, "reward", lambda check, answer: float("nan"))
    with pytest.raises(Collapsed, match="rewards of step 4 are no numbers .* the last good state, of step 4, is in"):
        loop.run(work, tmp_path / "second", from_chain=tmp_path / "chain")


@pytest.mark.slow
def test_a_picture_in_the_prompt_is_seen_by_sampler_and_trainer(grpo, painter_at, speckled, tmp_path):
    record = {"prompt": {"parts": [to_json(speckled), "A letter?"], "roles": ["user", "user"]}}
    record |= {"check": {"kind": "unknown", "says": LETTERS}}
    (tmp_path / "asked.jsonl").write_text(json.dumps(record) + "\n" + json.dumps(record | {"prompt": "No?"}) + "\n")
    changes = {"model": painter_at, "questions": None, "heldout_questions": None, "data": tmp_path / "asked.jsonl"}
    work = RlhfWork(replace(grpo, **changes, schedule=replace(grpo.schedule, steps=1), lora=None))
    state = work.initial()
    prepared = work.prepare(state, 0)
    assert any(part.packed.batch.inputs.media.patches.any() for part in prepared.parts)
    assert prepared.told["off_policy"] < 1e-4  # the trainer sees what the sampler saw
    _, told = work.advance(state, prepared)
    assert np.isfinite(told["policy_loss"])


@pytest.mark.parametrize(
    ("divergence", "entropy", "told"),
    [
        (7.0, 1.0, "step 3 is 7 nats a token from the first model, and 5 are the most"),
        (0.1, 1e-5, "an entropy of 1e-05 nats a token, and 0.001 are the least"),
        (0.1, 9.0, "an entropy of 9 nats a token, and 6 are the most"),
        (float("nan"), 1.0, "computes no numbers"),
    ],
)
def test_alarms(grpo, divergence, entropy, told):
    with pytest.raises(Collapsed, match=told):
        alarms.look(grpo, [1.0, 0.0], divergence, entropy, 3)
    alarms.look(grpo, [1.0, 0.0], 0.1, 1.0, 3)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tokens": 12}, "rows of 12 tokens do not hold a prompt of"),
        ({"questions": None}, "give one of them"),
    ],
)
def test_what_cannot_be(grpo, changes, told):
    with pytest.raises(BadInput, match=told):
        RlhfWork(replace(grpo, **changes))


ASKED = [{"prompt": f"{n} + 2 = ?", "check": {"kind": "number", "answer": n + 2}} for n in range(40)]


@pytest.mark.parametrize("which", ["data", "heldout"])
@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"prompt": "Why?", "kind": "open"}, "a question of kind 'open' has no check and there is no reward_model"),
        (ASKED[0] | {"prompt": "word " * 80}, "rows of 128 tokens do not hold a prompt of"),
        (ASKED[0] | {"chek": 1}, 'it has an unknown "chek"'),
        ("picture", "the model 'talker' sees no images"),
    ],
)
def test_every_question_of_a_file_is_looked_at_before_it_begins(grpo, tmp_path, speckled, record, told, which):
    """Not when it comes up: a file that is mended then is another, and the run could not go on."""
    if record == "picture":
        record = ASKED[0] | {"prompt": {"parts": [to_json(speckled), "How many?"], "roles": ["user", "user"]}}
    for name, last in (("data", ASKED[0]), ("heldout", ASKED[0]), (which, record)):
        (tmp_path / name).write_text("".join(json.dumps(each) + "\n" for each in (*ASKED, last)))
    recipe = replace(grpo, questions=None, heldout_questions=None, data=tmp_path / "data", heldout=tmp_path / "heldout")
    with pytest.raises(BadInput) as raised:
        RlhfWork(recipe)
    assert told in str(raised.value) and "line 41" in str(raised.value) and str(tmp_path / which) in str(raised.value)


def test_a_reward_model_of_another_tokenizer_is_told(grpo, talker, tmp_path):
    pieces = vocabulary.train(sample.prose("en").splitlines()[100:], talker.config.text_vocabulary)
    judge = replace(talker, vocabulary=Vocabulary(pieces, 0), config=replace(talker.config, name="judge"))
    heads = initialise(reward_model.params(talker.config.decoder.width, 1), 0)
    reward_model.save(tmp_path, RewardModel(judge, heads, {"helpfulness": 1.0}))
    with pytest.raises(BadInput, match="the reward model 'judge' and the policy 'talker' have different tokenizers"):
        RlhfWork(replace(grpo, reward_model=tmp_path))


def test_a_collapse_ends_the_command_with_1_and_the_last_good_model(ppo, compiled, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "tejat.train.recipe.read", lambda path, kind: replace(ppo, most_kl=1e-9, heldout_questions=None)
    )
    monkeypatch.setattr("tejat.posttrain.rlhf.RlhfWork", lambda recipe: made(recipe, compiled))
    assert cli.main(["tune", "rlhf", "letters.py", "--out", str(tmp_path / "run"), "--json"]) == 1
    out, err = capsys.readouterr()
    told = err.splitlines()[-1]
    assert out == "" and told.startswith("tejat: error: the policy of step ")
    assert "and 1e-09 are the most; raise kl, or lower schedule.peak; the last good state, of step" in told
    assert bundle.load(tmp_path / "run" / "model").config.name == "talker"
