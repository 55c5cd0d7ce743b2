"""Routing: thresholds by hand, and a sweep on a model whose chains are right when they agree."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from tejat.errors import BadInput
from tejat.evals import harness, routing
from tejat.evals.answering import Answering, Choosing
from tejat.evals.grading import Grading
from tejat.evals.routing import Thought, best_threshold, curve, final, key, sections, sweeps, thinking
from tejat.evals.tasks import Item
from tejat.parts import Image, Text, Turn


def thought(consensus: float, greedy: bool, majority: bool) -> Thought:
    return Thought(consensus, greedy, majority, "", {})


def test_the_curve_and_the_best_threshold_by_hand() -> None:
    # Sure and right; unsure and wrong where greedy is right; unsure and right where greedy is wrong.
    thoughts = [
        thought(0.9, False, True),
        thought(0.3, True, False),
        thought(0.5, False, True),
        thought(0.3, True, False),
    ]
    assert curve(thoughts) == [(0.0, 0.5), (0.3, 0.5), (0.5, 1.0), (0.9, 0.75), (1.01, 0.5)]
    assert best_threshold(thoughts) == 0.5
    # Where nothing is gained by the majority it is not trusted.
    assert best_threshold([thought(0.5, True, True)]) == 1.01


@pytest.mark.parametrize(
    ("said", "answer", "counted"),
    [
        ("3 + 4 = 7\nso 7 × 2 = 14", "14", "14"),
        ("First …\nThe answer is the cat.", "the cat.", "cat"),
        ("Answer: 1,000", "1,000", "1000"),
        ("Paris", "Paris", "paris"),
        ("", "", ""),
    ],
)
def test_what_a_chain_ends_in(said: str, answer: str, counted: str) -> None:
    assert final(said) == answer and key(final(said)) == counted


def test_the_wish_to_think_stands_last() -> None:
    picture = Image(np.zeros((2, 2, 3), np.uint8))
    asked, shown = thinking((Turn("user", (Text("What?"),)),)), thinking((Turn("user", (Text("See"), picture)),))
    assert asked[0].parts == (Text(f"What?\n{routing.THINK}"),)
    assert shown[0].parts == (Text("See"), picture, Text(routing.THINK))


class Thinks:
    """Greedily right on odd numbers; eight chains agree on the right answer on multiples of three, else all differ."""

    def __init__(self):
        self.chains = 0

    def generate_batch(self, prompts, *, max_tokens, temperature, seeds=None):
        answers = []
        for at, turns in enumerate(prompts):
            text = turns[0].parts[0].text
            number = int(text.split()[0])
            if temperature == 0:
                said = str(number) if number % 2 else "none"
            else:
                assert text.endswith(routing.THINK)
                self.chains += 1
                said = f"Let me see.\n{number if number % 3 == 0 else 1000 + seeds[at]}"
            answers.append(SimpleNamespace(parts=(Text(said),)))
        return answers


def task(count: int = 120) -> Answering:
    items = [Item(f"i{n}", f"c{n}", (Turn("user", (Text(f"{n} ?"),)),), (str(n),)) for n in range(count)]
    return Answering("s", "numbers", lambda: items)


def test_three_ways(tmp_path) -> None:
    model = Thinks()
    results = harness.run(model, sweeps([task()], 8), tmp_path, fingerprint="f", stream=io.StringIO())
    rows = {result.task.way: result.row for result in results}
    numbers = [int(id[1:]) for id in results[0].outcomes]
    assert rows["greedy"].value == pytest.approx(sum(n % 2 for n in numbers) / len(numbers))
    assert rows["majority"].value == pytest.approx(sum(n % 3 == 0 for n in numbers) / len(numbers))
    assert rows["routed"].value == pytest.approx(sum(n % 2 or n % 3 == 0 for n in numbers) / len(numbers))
    assert rows["routed"].baseline == rows["greedy"].baseline == pytest.approx(1 / len(numbers))
    assert rows["routed"].remarks["threshold 0.00"].value == rows["majority"].value
    assert rows["routed"].remarks["threshold tuned on validation"] == "1.00"
    assert rows["routed"].name == "numbers-routed-8" and "8 chains of thought" in rows["routed"].asked
    assert model.chains == 8 * 120  # once for each item, validation and test, whatever the ways
    (section,) = sections(results)
    assert section.blocks[1].values[0] == pytest.approx(rows["majority"].value)
    # The threshold was tuned on items that no number is of.
    tuned_on = {item.id for item in results[2].task.thoughts.items(validation=True)}
    assert tuned_on.isdisjoint(results[2].outcomes) and len(tuned_on) > 30
    again = Thinks()
    (_, _, same) = harness.run(again, sweeps([task()], 8), tmp_path, fingerprint="f", stream=io.StringIO())
    assert again.chains == 0 and same.row == results[2].row


def test_tasks_that_nothing_is_right_in_are_refused() -> None:
    with pytest.raises(BadInput, match="--route needs one that has"):
        sweeps([Grading("s", "t", list, lambda said, item: 0.5, "chrF")], 8)


def test_of_choices_the_likeliest_is_greedy_and_chains_end_in_one_of_them() -> None:
    choices = ("at 7:30", "at 8:30", "at 9:00")
    items = [Item(f"i{n}", f"c{n}", (Turn("user", (Text("When?"),)),), choices[1:2], choices=choices) for n in range(2)]
    asked: list[str] = []

    class Chooses:
        def score_answers(self, prompts, choices):
            return [[SimpleNamespace(total=-float(n)) for n in range(3)] for _ in prompts]

        def generate_batch(self, prompts, *, max_tokens, temperature, seeds=None):
            asked.extend(turns[0].parts[0].text for turns in prompts)
            said = ["Well.\nSo it is at 8:30.", "Hm.\nat 8:30", "Hm.\nat 7:30", "no idea"]
            return [SimpleNamespace(parts=(Text(said[seed]),)) for seed in seeds]

    found = routing.Thoughts(Choosing("s", "times", lambda: items), 4).of(Chooses(), items)
    assert [(t.greedy, t.majority, t.consensus, t.said) for t in found] == [(False, True, 0.5, "at 8:30")] * 2
    assert found[0].votes == {"at 8 30": 2, "at 7 30": 1, "no idea": 1}
    assert asked[0] == f"When?\nat 7:30, at 8:30, at 9:00\n{routing.THINK}"
    listed = (Turn("user", (Text("At 7:30 or at 8:30?"),)),)
    assert thinking(listed, ("7:30", "8:30"))[0].parts[0].text == f"At 7:30 or at 8:30?\n{routing.THINK}"


def test_who_answers_in_steps_anyway_is_not_asked_to_think() -> None:
    item = Item("a", "a", (Turn("user", (Text("2 + 2"),)),), ("4",))
    asked: list = []

    class Steps:
        def generate_batch(self, prompts, *, max_tokens, temperature, seeds=None):
            asked.extend(prompts)
            return [SimpleNamespace(parts=(Text("1 + 1 + 2 = 4"),)) for _ in prompts]

    task = Answering("s", "sums", lambda: [item]).with_(in_steps=True)
    (found,) = routing.Thoughts(task, 3).of(Steps(), [item])
    assert found.majority and found.consensus == 1 and asked == [item.turns] * 4
