"""Graded answers; instructions that are met; the checks of the suites, on answers that are right and wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from tejat.evals import (
    instructions_suite,
    long_context_suite,
    maths_suite,
    plots_suite,
    reasoning_suite,
    suites,
    summaries_suite,
)
from tejat.evals.grading import Grading, bleu
from tejat.evals.ground import Ground, rng
from tejat.evals.tasks import Item
from tejat.parts import Text, Turn

ASKED = (Turn("user", (Text("?"),)),)


def test_ratios_means_and_the_lazy_answer() -> None:
    items = [Item("a", "a", ASKED, ("one two",)), Item("b", "b", ASKED, ("three",))]
    task = Grading(
        *("s", "t", lambda: items, lambda said, item: (abs(len(said) - len(item.answers[0])), len(item.answers[0]))),
        metric="letters",
        kind="ratio",
        better="lower",
        lazy=(lambda item: "", "nothing"),
        remarks=lambda items, answers: {"said": "/".join(answers)},
    )

    class Says:
        def generate_batch(self, prompts, *, max_tokens, temperature):
            return [SimpleNamespace(parts=(Text(text),)) for text in ("one tw", "three")]

    outcomes = task.measure(Says(), items)
    assert task.estimate(outcomes, ["a", "b"]).value == pytest.approx(1 / 12)
    assert task.baseline(items) == (1.0, "nothing")
    assert task.remarks(items, outcomes) == {"said": "one tw/three"}


def test_every_problem_is_solved_by_its_own_solution_and_not_by_another() -> None:
    for task in suites.tasks("maths", ["sums", "word-problems", "units"], Ground(most=120)):
        items = task.items()
        assert all(task.graded((Text(item.material),), item).score == 1 for item in items)
        others = zip(items, items[7:], strict=False)
        assert sum(task.graded((Text(other.material),), item).score for item, other in others) < 0.2 * len(items)
        assert all(maths_suite._result(item.answers[0], item) for item in items)
        assert not any(
            maths_suite._result(choice, item) for item in items for choice in item.choices if choice not in item.answers
        )


@pytest.mark.parametrize("make", [reasoning_suite.order, reasoning_suite.way, reasoning_suite.state])
def test_reasoning_by_a_reader(make) -> None:
    """The answers, found again from the text alone."""
    for number in range(60):
        asked, answer, wrong = make(2 + number % 4, rng("test", make.__name__, number))
        assert answer not in wrong and len({*wrong}) == len(wrong) >= 2
        told = [sentence for sentence in asked.replace("?", ".").split(". ") if sentence]
        if make is reasoning_suite.state:
            thing = asked.rpartition("Where is the ")[2].rstrip("?")
            last = [s for s in told[:-1] if f" {thing} " in s][-1]
            assert last.rpartition(" the ")[2].rstrip(".") == answer
        elif make is reasoning_suite.way:
            steps = [
                step.split(" steps ") for step in asked.partition("walks ")[2].partition(". In")[0].split(", then ")
            ]
            moved = dict.fromkeys(("north", "south", "east", "west"), 0)
            for count, way in steps:
                moved[way] += int(count)
            back = {"north": moved["south"], "south": moved["north"], "east": moved["west"], "west": moved["east"]}
            net = {way: back[way] - moved[way] for way in back}
            assert max(net, key=net.get) == answer
        else:
            taller = [s.split(" is taller than ") for s in told if "taller than" in s]
            taller += [s.split(" is shorter than ")[::-1] for s in told if "shorter than" in s]
            above = {b.rstrip(".") for _, b in taller}
            below = {a for a, _ in taller}
            ends = (below - above) if "tallest" in asked.rpartition("Who")[2] else (above - below)
            assert ends == {answer}


def test_instructions_are_met_by_their_own_answers_and_not_by_others() -> None:
    (task,) = suites.tasks("instructions", ground=Ground(most=200))
    items = task.items()
    assert all(task.graded((Text(item.answers[0]),), item).score == 1 for item in items), [
        (i.turns, i.answers, instructions_suite.met(i.answers[0], i.material))
        for i in items
        if task.graded((Text(i.answers[0]),), i).score < 1
    ][:3]
    assert not any(task.graded((Text(text),), item).score for item in items for text in ("", "Yes.", "1, 2"))


@pytest.mark.parametrize(
    ("said", "met"),
    [
        ("1. ant\n2. bee", {"count": True, "same": True, "sorted": True, "form": True}),
        ("ant, bee", {"count": True, "same": True, "sorted": True, "form": False}),
        ("1. bee\n2. ant", {"count": True, "same": True, "sorted": False, "form": True}),
        ("1. ant\n2. ant\n3. bee", {"count": False, "same": False, "sorted": True, "form": True}),
    ],
)
def test_each_constraint_by_itself(said: str, met: dict) -> None:
    due = {"count": 2, "same": ["bee", "ant"], "sorted": True, "form": "numbered"}
    assert instructions_suite.met(said, due) == met


def test_bleu_has_an_interval_that_is_wider_where_sentences_come_together() -> None:
    said = ["the cat sat on the mat", "a dog ran off", "it is late now", "we go home at once"] * 10
    due = ["the cat sat on the mat", "the dog ran away", "it is late now", "they went home"] * 10
    alone = [Item(str(n), str(n), ASKED, (text,)) for n, text in enumerate(due)]
    together = [Item(str(n), str(n % 4), ASKED, (text,)) for n, text in enumerate(due)]
    found = [bleu(items, said, "en") for items in (alone, together)]
    assert found[0].value == found[1].value and (found[0].clusters, found[1].clusters) == (40, 4)
    assert all(one.low < one.value < one.high for one in found)
    assert found[1].stderr > 2 * found[0].stderr > 0


def test_a_summary_is_near_its_reference_and_not_another_s() -> None:
    """Vectors of a model that hears the first letter alone."""

    class Hears:
        def generate_batch(self, prompts, *, max_tokens, temperature):
            return [SimpleNamespace(parts=(Text(said),)) for said in ("apples", "best", "")]

        def embed(self, text: str) -> np.ndarray:
            return np.eye(26)[ord(text[0]) - ord("a")]

    references = ("a text", "b text", "c text")
    items = [Item(r, r, ASKED, (r,), tags={"length": "short"}, material=r) for r in references]
    task = summaries_suite.Summing("s", "t", lambda: items, summaries_suite._grade, "ROUGE-L")
    outcomes = task.measure(Hears(), items)
    assert [o.detail["similar"] for o in outcomes] == [1.0, 1.0, 0.0]
    assert outcomes[0].detail["other"] < 0 and outcomes[2].detail["other"] == 0
    told = task.remarks(items, outcomes)
    assert told["similarity"].value == told["similarity, short"].value == pytest.approx(2 / 3)


def test_of_a_text_in_many_languages_one_is_taken_where_there_are_texts_enough() -> None:
    raws = [SimpleNamespace(fields={"group": f"g{n}", "language": tag}) for n in range(8) for tag in ("de", "en", "fr")]
    few = summaries_suite._apart(raws, 8)
    assert [raw.fields["group"] for raw in few] == [f"g{n}" for n in range(8)]
    assert len({raw.fields["language"] for raw in few}) > 1
    assert summaries_suite._apart(raws, 9) == raws


def test_lists_are_cut_to_the_length_and_the_key_lies_at_its_depth(tiny) -> None:
    model = SimpleNamespace(bundle=tiny, name="tiny")
    (task,) = suites.tasks("long-context", ["retrieval-1k"], Ground(most=32))
    for item in task.items()[::5]:
        cut = long_context_suite.fitted(item, model, 400)
        text = cut.turns[0].parts[0].text
        assert 300 < len(tiny.vocabulary.encode(text)) < 400
        lines, key = text.split("\n\n")[0].split("\n"), text.rpartition("value of ")[2].rstrip("?")
        at = next(n for n, line in enumerate(lines) if line == f"{key}: {cut.answers[0]}")
        assert abs(at / len(lines) - item.material) < 0.1
        values = [line.partition(": ")[2] for line in lines]
        assert len({*cut.choices}) == 4 and all(choice in values for choice in cut.choices)


PLOTS = [{"kind": "bar", "values": [1.0, 2.0], "title": "a"}, {"kind": "pie", "values": [3.0, 1.0], "title": "b"}]


@pytest.mark.parametrize(
    ("shown", "score"),
    [
        ([{"kind": "bar", "values": [1.0, 2.0]}, {"kind": "pie", "values": [0.75, 0.25]}], 1.0),
        ([{"kind": "line", "values": [1.0, 2.001]}, {"kind": "pie", "values": [0.75, 0.25]}], 0.75),
        ([{"kind": "bar", "values": [1.0, 2.0]}], 0.5),
        ([{"kind": "bar", "values": [1.0]}, {"kind": "pie", "values": [0.25, 0.75]}], 0.0),
        ([], 0.0),
    ],
)
def test_plots_count_by_place_kind_and_values(shown: list, score: float) -> None:
    assert plots_suite.score(shown, PLOTS) == score
