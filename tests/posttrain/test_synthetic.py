"""Cases from facts: the good answer passes the check and the bad one does not, and what is held out stays so."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest

from tejat.parts import Image
from tejat.posttrain import preferences, questions, synthetic, verify

COUNT = 400


@pytest.fixture(scope="module")
def both():
    known = synthetic.facts()
    return [list(itertools.islice(synthetic.cases(known, 0, heldout), COUNT)) for heldout in (False, True)]


def said(case):
    turns = [getattr(part, "text", "") for turn in case.turns for part in turn.parts]
    return " ".join([*turns, case.good, case.bad])


def test_checks_agree_with_how_a_case_is_made(both):
    for case in itertools.chain(*both):
        assert verify.reward(verify.checked(case.check), case.good) == 1, case
        assert verify.reward(case.check, case.bad) < 1, case


def test_every_behaviour_is_there_and_some_see(both):
    for cases in both:
        counts = Counter(case.behaviour for case in cases)
        assert counts.keys() == {"closed-book", "attribution", "hedging", "over-hedging"} and min(counts.values()) > 60
        assert any(isinstance(part, Image) for case in cases for turn in case.turns for part in turn.parts)


def test_held_out_subjects_are_never_spoken_of(both):
    training, heldout = both
    subjects = {fact.subject for fact in synthetic.facts()}
    apart = {subject for subject in subjects if synthetic.is_heldout(subject)}
    assert 0.1 < len(apart) / len(subjects) < 0.3

    def about(cases):
        text = f" {verify.words(' '.join(map(said, cases)))} "
        return {subject for subject in subjects if f" {verify.words(subject)} " in text}

    # Names within others, as Guinea in Equatorial Guinea, are no subjects there.
    inside = {a for a in subjects for b in subjects if a != b and verify.words(a) in verify.words(b)}
    assert not (about(training) & apart) - inside
    assert not (about(heldout) - apart) - inside


def test_neither_length_nor_admissions_tell_good_from_bad(both):
    longer = [len(case.good) > len(case.bad) for case in both[0] if len(case.good) != len(case.bad)]
    assert 0.35 < np.mean(longer) < 0.65
    unsure = [verify.says(case.good, [*synthetic.UNSURE]) for case in both[0]]
    other = [verify.says(case.bad, [*synthetic.UNSURE]) for case in both[0]]
    assert abs(sum(unsure) - sum(other)) < COUNT / 8


def test_the_same_seed_makes_the_same(both):
    again = list(itertools.islice(synthetic.cases(synthetic.facts(), 0), 5))
    assert [said(case) for case in again] == [said(case) for case in both[0][:5]]
    other = list(itertools.islice(synthetic.cases(synthetic.facts(), 1), 5))
    assert [said(case) for case in again] != [said(case) for case in other]


def test_cases_are_read_as_pairs_and_questions(both, tmp_path):
    cases = both[0][:40]
    preferences.write(tmp_path / "pairs.jsonl", (case.pair() for case in cases))
    pairs = preferences.needed(tmp_path / "pairs.jsonl")
    assert [pairs[n].behaviour for n in range(40)] == [case.behaviour for case in cases]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(case.question()) + "\n" for case in cases))
    asked = questions.Asked(tmp_path / "asked.jsonl", seed=0)
    assert sorted(asked(n).kind for n in range(40)) == sorted(case.behaviour for case in cases)
    assert {str(asked(n).check) for n in range(40)} == {str(dict(case.check)) for case in cases}
