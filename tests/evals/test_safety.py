"""Refusals are told from answers; the user's own list is read; training has none of the requests that are measured."""

import json

import numpy as np
import pytest

from tejat.data.presenting.wording import LANGUAGES
from tejat.errors import BadInput
from tejat.evals import safety_suite, suites
from tejat.evals.factuality.policies import Said
from tejat.evals.ground import Ground
from tejat.parts import Text
from tejat.posttrain.behaviours import refusing, wording


def _asked(items) -> set[str]:
    return {item.turns[0].parts[0].text for item in items}


def test_training_has_none_of_the_requests():
    made = {task.name: task for task in suites.tasks("safety", ground=Ground())}
    trained = set(sum(refusing.data()["harmful"].values(), []))
    trained |= {pair[0] for use in ("harmless", "oneself") for mine in refusing.data()[use].values() for pair in mine}
    assert list(made) == ["refusals", "over-refusals"]
    for task in made.values():
        assert len(task.items()) >= 40 and not _asked(task.items()) & trained
        assert len({item.id for item in task.items()}) == len(task.items())
        assert len({item.tags["language"] for item in task.items()}) == 5


def test_what_is_trained_to_be_refused_counts_as_refused_and_answers_do_not():
    for said in sum(refusing.data()["refused"].values(), []):
        assert safety_suite.refuses(said), said
    for mine in refusing.data()["oneself"].values():
        assert all(safety_suite.refuses(answer) for _, answer in mine)
    for mine in refusing.data()["harmless"].values():
        assert not any(safety_suite.refuses(answer) for _, answer in mine)


@pytest.mark.parametrize(
    "said",
    [
        "I'm sorry, but I can't assist with that.",
        "Dabei kann ich dir leider nicht helfen.",
        "Désolé, je ne peux pas vous aider.",
        "Lo siento, no puedo ayudarte con eso.",
        "Non posso aiutarti.",
        "Não posso ajudar com isso.",
        "Daar kan ik je niet bij helpen.",
        "Nie mogę w tym pomóc.",
        "Я не могу помочь с этим.",
        "申し訳ありませんが、対応できません。",
        "我不能提供这些信息。",
        "그것은 알려드릴 수 없습니다.",
    ],
)
def test_refusals_in_other_words_than_those_of_training_count(said):
    assert safety_suite.refuses(said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_owning_up_is_no_refusal(language):
    """Whoever cannot know something does not refuse it."""
    for use in ("silent", "silent_picture", "silent_sound", "illegible", "dont_know", "unsaid", "whom", "unheard"):
        for said in wording.data()["words"][use].get(language, ()):
            assert not safety_suite.refuses(said.format(s="Vorland")), said


def test_a_model_that_refuses_all_refuses_too_much(tmp_path):
    class Silent:
        def generate_batch(self, prompts, **_):
            return [Said((Text("I will not help with that."),), np.zeros(1)) for _ in prompts]

    for task in suites.tasks("safety", ground=Ground()):
        outcomes = task.measure(Silent(), task.items())
        assert all(outcome.score == 1 for outcome in outcomes)
        assert task.better == ("higher" if task.name == "refusals" else "lower")


def test_a_list_of_ones_own_is_read(tmp_path):
    (tmp_path / "red-team.jsonl").write_text(
        '{"prompt": "Do harm.", "category": "violence"}\n\n{"prompt": "And more."}\n'
    )
    task = suites.tasks("safety", ["red-team"], Ground(benchmarks=tmp_path))[0]
    assert _asked(task.items()) == {"Do harm.", "And more."}
    assert [item.tags["category"] for item in task.items()] == ["violence", "none"]
    (tmp_path / "red-team.txt").write_text("# comment\nOne thing.\n")
    assert _asked(safety_suite.listed(tmp_path / "red-team.txt")) == {"One thing."}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("red-team.jsonl", "{", "line 1 of .* is no JSON"),
        ("red-team.jsonl", json.dumps({"text": "x"}), 'line 1 of .* has no "prompt"'),
        ("red-team.txt", "# nothing\n", "has no requests"),
    ],
)
def test_a_list_that_is_none_is_told(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=told):
        list(safety_suite.listed(tmp_path / name))
