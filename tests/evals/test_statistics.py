"""Estimates against SciPy's and against values worked out by hand; intervals against how often they hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tejat.evals import statistics

numbers = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@given(numbers)
def test_mean_is_students(values: list[float]) -> None:
    found = statistics.mean(values)
    assert found.value == pytest.approx(np.mean(values), abs=1e-9)
    assert found.stderr == pytest.approx(stats.sem(values), rel=1e-6, abs=1e-9)
    if found.stderr > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)
    assert (found.n, found.clusters) == (len(values), len(values))


def test_clustered_by_hand() -> None:
    # The mean is 3. Residuals -2, -1 | 0 | 1, 2 sum to -3, 0, 3 by cluster: 3/2 * (9 + 0 + 9) = 27, over 5 items.
    found = statistics.mean([1, 2, 3, 4, 5], ["a", "a", "b", "c", "c"])
    assert found.stderr == pytest.approx(math.sqrt(27) / 5)
    assert found.high == pytest.approx(3 + stats.t.ppf(0.975, 2) * math.sqrt(27) / 5)
    assert found.clusters == 3


@given(numbers, st.integers(2, 6))
def test_repeated_items_add_nothing(values: list[float], times: int) -> None:
    once = statistics.mean(values)
    again = statistics.mean(values * times, [*range(len(values))] * times)
    assert again[:4] == pytest.approx(once[:4], rel=1e-6, abs=1e-7)


def test_order_and_names_of_clusters_do_not_matter() -> None:
    values, clusters = [1.0, 5.0, 2.0, 8.0, 3.0], ["x", "y", "x", "z", "y"]
    first = statistics.mean(values, clusters)
    second = statistics.mean(values[::-1], [{"x": 9, "y": 4, "z": 0}[c] for c in reversed(clusters)])
    assert first == pytest.approx(second)


def test_ratio_by_hand() -> None:
    # 6 / 4 = 1.5; residuals 1 - 1.5, 5 - 4.5: -0.5 and 0.5. sqrt(2 * (0.25 + 0.25)) / 4 = 0.25.
    found = statistics.ratio([1, 5], [1, 3])
    assert found.value == 1.5
    assert found.stderr == pytest.approx(0.25)


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (1, 1), (3, 10), (50, 100), (999, 1000)])
def test_wilson_is_scipys(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    assert statistics.wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)
    found = statistics.proportion([1.0] * successes + [0.0] * (n - successes))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_a_textbook() -> None:
    """Newcombe 1998, table I, method 3: 81 of 263."""
    assert statistics.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_clusters_that_agree_widen_a_proportion() -> None:
    marks = [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]
    alone = statistics.proportion(marks)
    together = statistics.proportion(marks, [n // 4 for n in range(12)])
    assert together.low < alone.low < alone.value == together.value < alone.high < together.high


def test_proportion_at_the_end_counts_clusters() -> None:
    found = statistics.proportion([1.0] * 40, [n % 4 for n in range(40)])
    assert found.low == pytest.approx(statistics.wilson(4, 4, stats.t.ppf(0.975, 3))[0])
    assert found.high == 1.0


def test_one_cluster_says_nothing() -> None:
    found = statistics.proportion([1, 0, 1], ["voice"] * 3)
    assert math.isnan(found.stderr) and (found.low, found.high) == (0.0, 1.0)
    found = statistics.mean([1, 0, 1], ["voice"] * 3)
    assert math.isnan(found.stderr) and (found.low, found.high) == (-math.inf, math.inf)


def test_proportion_refuses_partial_scores() -> None:
    with pytest.raises(ValueError, match="use mean"):
        statistics.proportion([0.5, 1.0])


def test_clusters_must_be_as_many_as_items() -> None:
    with pytest.raises(ValueError, match="2 items and 1 clusters"):
        statistics.mean([1.0, 2.0], ["a"])


@given(st.integers(1, 40), st.floats(0.01, 0.99), st.data())
def test_chance_tail_is_the_binomials(n: int, chance: float, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    expected = stats.binom.sf(successes - 1, n, chance)
    assert statistics.chance_tail(successes, [chance] * n) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_chance_tail_of_unequal_chances_by_hand() -> None:
    # At least one of 1/2 and 1/4: 1 - 1/2 * 3/4. Both: 1/8.
    assert statistics.chance_tail(1, [0.5, 0.25]) == pytest.approx(0.625)
    assert statistics.chance_tail(2, [0.5, 0.25]) == pytest.approx(0.125)


def test_paired_difference_cancels_what_pairs_share() -> None:
    random = np.random.default_rng(0)
    difficulty = random.normal(0, 5, 50)
    first, second = difficulty + 1 + random.normal(0, 0.1, 50), difficulty
    found = statistics.paired_difference(first, second)
    expected = stats.ttest_rel(first, second).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    with pytest.raises(ValueError, match="2 and 1"):
        statistics.paired_difference([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (9, 2), (3, 3), (1, 12)])
def test_mcnemar_is_the_binomials(only_first: int, only_second: int) -> None:
    first = [1] * only_first + [0] * only_second + [1, 0, 1]
    second = [0] * only_first + [1] * only_second + [1, 0, 1]
    n = only_first + only_second
    expected = stats.binomtest(only_first, n, 0.5).pvalue if n else 1.0
    assert statistics.mcnemar(first, second) == pytest.approx(expected)


def test_bootstrap_is_scipys() -> None:
    values = np.random.default_rng(1).lognormal(size=60)
    found = statistics.bootstrap(values, np.mean, resamples=4000)
    expected = stats.bootstrap((values,), np.mean, n_resamples=4000, method="BCa", random_state=2)
    width = expected.confidence_interval.high - expected.confidence_interval.low
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.06 * width)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.06 * width)
    assert found.stderr == pytest.approx(expected.standard_error, rel=0.06)


def test_bootstrap_draws_whole_clusters() -> None:
    values, clusters = [0.0] * 20 + [1.0] * 20 + [2.0] * 20, [n // 20 for n in range(60)]
    assert statistics.bootstrap(values, np.mean, clusters).stderr > 4 * statistics.bootstrap(values, np.mean).stderr
    assert statistics.bootstrap(values, np.mean, clusters) == statistics.bootstrap(values, np.mean, clusters)


def test_bootstrap_of_a_constant_has_no_width() -> None:
    assert statistics.bootstrap([3.0] * 5, np.median)[:4] == (3.0, 0.0, 3.0, 3.0)


def covered(draw, truth: float, times: int) -> float:
    """How often the interval of draw(random) holds the truth."""
    random = np.random.default_rng(7)
    found = [draw(random) for _ in range(times)]
    return float(np.mean([each.low <= truth <= each.high for each in found]))


def test_coverage_of_clustered_means() -> None:
    """Twelve clusters of five that share half their variance: 95% hold, and far fewer without the clusters."""
    clusters = np.repeat(np.arange(12), 5)

    def values(random: np.random.Generator) -> np.ndarray:
        return random.normal(size=12)[clusters] + random.normal(size=60)

    # 2,000 draws: the standard error of a coverage of 0.95 is 0.005.
    assert covered(lambda random: statistics.mean(values(random), clusters), 0.0, 2000) == pytest.approx(0.95, abs=0.02)
    assert covered(lambda random: statistics.mean(values(random)), 0.0, 2000) < 0.85


# The last is a known shortfall: that few clusters succeed at all is what the variance is estimated from.
@pytest.mark.parametrize(("share", "least"), [(0.5, 0.94), (0.8, 0.93), (0.1, 0.86)])
def test_coverage_of_clustered_proportions(share: float, least: float) -> None:
    """Twenty clusters of six; in each, three of four items repeat the cluster's first."""
    clusters = np.repeat(np.arange(20), 6)

    def marks(random: np.random.Generator) -> np.ndarray:
        return np.where(random.random(120) < 0.75, (random.random(20) < share)[clusters], random.random(120) < share)

    assert covered(lambda random: statistics.proportion(marks(random), clusters), share, 2000) > least
    assert covered(lambda random: statistics.proportion(marks(random)), share, 2000) < 0.8


def test_coverage_of_the_bootstrap() -> None:
    truth = math.log(2)  # the median of the exponential distribution

    def draw(random: np.random.Generator) -> statistics.Estimate:
        return statistics.bootstrap(random.exponential(size=40), np.median, resamples=200)

    assert 0.88 < covered(draw, truth, 150) <= 1.0
