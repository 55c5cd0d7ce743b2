"""Pairs of models: the difference of what both answered, and for sure only where its interval leaves zero."""

import json

import pytest

from tejat.evals.answering import Answering
from tejat.evals.comparing import compare, means
from tejat.evals.grading import Grading
from tejat.evals.harness import Result, _row
from tejat.evals.tasks import Item, Outcome


def result(
    scores: list[float], kind: str = "proportion", better: str = "higher", ids: range | None = None, weights=None
):
    numbers = ids or range(len(scores))
    items = tuple(Item(f"i{n}", f"c{n}", (), ("a",)) for n in numbers)
    task = Answering("s", "t", lambda: items)
    if (kind, better) != ("proportion", "higher"):
        task = Grading("s", "t", lambda: items, lambda said, item: 0.0, "m", kind=kind, better=better)
    weights = weights or [1.0] * len(scores)
    outcomes = {i.id: Outcome(s, (), w) for i, s, w in zip(items, scores, weights, strict=True)}
    return Result(task, _row(task, items, outcomes, {}), items, outcomes, {})


def test_by_hand() -> None:
    first, second = result([1.0] * 30 + [0.0] * 10), result([1.0] * 15 + [0.0] * 25)
    (found,) = compare([first], [second])
    assert (found.first, found.second, found.difference.value) == (0.75, 0.375, 0.375)
    assert found.p == pytest.approx(2 * 0.5**15) and found.better == "first"
    (turned,) = compare([second], [first])
    assert turned.better == "second" and turned.difference.value == -0.375
    json.dumps(found.to_json(), allow_nan=False)


def test_pairs_are_narrower_than_two_numbers() -> None:
    hard = [float(n % 2) for n in range(200)]
    first = list(hard)
    first[0] = first[2] = first[4] = first[6] = first[8] = first[10] = 1.0
    (found,) = compare([result(first)], [result(hard)])
    assert found.better == "first"  # 6 of 200, and always the same way
    assert found.difference.stderr < 0.4 * (0.25 / 200 * 2) ** 0.5


def test_less_is_better_for_bits_and_errors() -> None:
    few, many = result([10.0, 11.0, 12.0] * 9, "ratio", "lower", weights=[9.0, 10.0, 11.0] * 9), None
    many = result([15.0, 16.5, 18.0] * 9, "ratio", "lower", weights=[9.0, 10.0, 11.0] * 9)
    (found,) = compare([few], [many])
    assert found.better == "first" and found.difference.value == pytest.approx((33 - 49.5) / 30) and found.p is None


def test_only_what_both_answered_counts() -> None:
    (found,) = compare([result([1.0] * 10)], [result([1.0, 0.0] * 2, ids=range(8, 12))])
    assert found.difference.n == 2 and found.second == 0.5
    assert compare([result([1.0])], []) == []


def test_equal_models_differ_by_nothing() -> None:
    (found,) = compare([result([1.0, 0.0] * 9)], [result([1.0, 0.0] * 9)])
    assert found.difference.value == 0 and found.better == "neither" and found.p == 1.0


def test_a_suite_is_better_in_the_mean_of_its_tasks() -> None:
    """One of which more is better, one of which less is; what is not right or wrong has no part in it."""
    half, most = [1.0, 0.0] * 20, [1.0] * 30 + [0.0] * 10
    more = result(most), result(half)
    less = result(half, better="lower"), result(most, better="lower")
    bits = (result([1.0, 2.0] * 9, "ratio", "lower"), result([9.0, 8.0] * 9, "ratio", "lower"))
    found = [compare([first], [second])[0] for first, second in (more, less, bits)]
    (mean,) = means(found).values()
    assert mean.value == pytest.approx(0.25) and mean.n == 80
    assert mean.stderr == pytest.approx(found[0].difference.stderr / 2**0.5)  # of two that are equally sure
    assert mean.low < 0.25 < mean.high and means([found[2]]) == {}
    (worse,) = means([compare([less[1]], [less[0]])[0]]).values()
    assert worse.value == -0.25
