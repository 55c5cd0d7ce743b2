"""What a release is held to: numbers beside their aims, and what is found by likelihood at every place."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tejat.data.shards import Item as Raw
from tejat.data.shards import Writer
from tejat.errors import BadInput
from tejat.evals import maths_suite, promised_suite, promises
from tejat.evals.ground import Ground
from tejat.evals.long_context_suite import ByPosition, Preceded, Retrieving
from tejat.evals.promised_suite import Finding
from tejat.evals.statistics import proportion
from tejat.evals.tasks import Item, Outcome
from tejat.infer.likelihood import Likelihood


def result(task: str, scores, details=None, together: int = 1, **row):
    suite, _, name = task.partition(".")
    estimate = proportion(scores)._asdict() if scores else {}
    details = details or [None] * len(scores)
    outcomes = {str(n): Outcome(score, (), 1.0, d) for n, (score, d) in enumerate(zip(scores, details, strict=True))}
    items = [SimpleNamespace(id=str(n), cluster=str(n // together)) for n in range(len(scores))]
    return SimpleNamespace(row=SimpleNamespace(suite=suite, name=name, **estimate), outcomes=outcomes, items=items)


def test_numbers_stand_beside_their_aims_and_what_was_not_measured_is_listed() -> None:
    assert promises.kept([result("maths.sums", [1.0])]) == []
    stretches = [{"2048": [20, 10], "4096": [20, 10], "32768": [n, 10]} for n in (11, 13, 15)]
    found = promises.kept(
        [
            result("promised.name-emojione", [1.0] * 8 + [0.0] * 2),
            result("promised.words", [0.0, 1.0]),
            result("pictures.drawn", [1.0, 1.0, 0.0], [{"real": True}, {"real": True}, {"real": False}]),
            result("long-context.documents", [0.0] * 3, stretches),
        ]
    )
    told = {one.promise.task: one for one in found}
    assert len(found) == len(promises.PROMISES)
    assert told["promised.name-emojione"].reached and told["promised.name-emojione"].found.value == 0.8
    assert told["promised.words"].reached is False  # half of the characters wrong, and a fifth at most promised
    assert told["pictures.drawn"].found.value == 1 and told["promised.facts"].reached is None
    assert told["long-context.documents"].found.value == pytest.approx(1.3 - 2.0)
    rows = promises.table(found).rows
    assert any("not measured" in row for row in rows) and any(row[-1] == "yes" for row in rows)
    assert {one.to_json()["is"] for one in found} == {"at most", "at least"}


def test_pages_in_other_languages_of_one_page_count_once() -> None:
    stretches = [{"2048": [20, 10], "4096": [20, 10], "32768": [n, 10]} for n in (11, 11, 15, 15, 16, 16)]
    each, pairs = (promises.kept([result("long-context.documents", [0.0] * 6, stretches, together=n)]) for n in (1, 2))
    alone, together = (next(one.found for one in found if one.found) for found in (each, pairs))
    assert alone.value == pytest.approx(together.value) and (alone.clusters, together.clusters) == (6, 3)
    assert together.low < alone.low < alone.high < together.high


def test_a_value_is_found_where_it_is_likeliest_at_every_place(tiny, ground: Ground, monkeypatch) -> None:
    task = Finding("1k", ground)
    items = Retrieving._lists("1k", 16)
    model = SimpleNamespace(name="tiny", bundle=tiny, engine=None)
    with pytest.raises(BadInput, match="whose context holds"):
        task.measure(model, items)
    task.length = 400
    asked = []

    def likely(engine, prompts, wanted):
        asked.extend(wanted)
        every = [np.asarray(ids) for (ids,) in wanted]
        for n, ids in enumerate(every):
            ids[-1] += n % 2  # every other one would go on where the answer ends
        return [[Likelihood(np.zeros(len(ids)), ids, np.zeros(len(ids)))] for ids in every]

    monkeypatch.setattr(promised_suite, "continuations", likely)
    outcomes = task.measure(model, items)
    assert [o.score for o in outcomes] == [1.0, 0.0] * 8
    assert outcomes[0].parts[0].text == tiny.vocabulary.decode(asked[0][0][:-1])


def test_solutions_differ_in_their_result_alone(ground: Ground) -> None:
    for task in maths_suite.tasks(Ground(ground.corpus, most=60)):
        if not isinstance(task, maths_suite.Worked):
            continue
        for item in task.items():
            texts = [maths_suite.worked(item, choice) for choice in item.choices]
            assert item.material in texts and len({*texts}) == len(texts)
            for text, choice in zip(texts, item.choices, strict=True):
                assert text.splitlines()[-1].endswith(choice)


def test_of_several_currencies_any_is_right(tmp_path) -> None:
    with Writer(tmp_path, "world", "train") as writer:
        for answer, asked in (("Balboa", True), ("US dollar", True), ("Peso", False)):
            fields = {"relation": "currency", "subject": {"en": "Panama"}, "answer": {"en": answer}, "asked": asked}
            writer.write(Raw("fact", fields))
    (tmp_path / "corpus.json").write_text(json.dumps({"name": "one", "sources": {"world": {}}}))
    for unseen in (False, True):
        (item,) = promised_suite.facts(Ground(tmp_path), unseen)
        assert item.answers == ("Balboa", "US dollar") and "Panama" in item.turns[0].parts[0].text


@pytest.mark.parametrize(("tokens", "stretches"), [(190, ["128"]), (200, ["128", "256"])])
def test_a_stretch_of_a_document_counts_from_half_of_it_on(tiny, tokens: int, stretches: list[str]) -> None:
    task = ByPosition("long-context", "documents", list)
    (ids,) = (tiny.vocabulary.encode("word " * tokens)[:tokens],)
    scored = SimpleNamespace(tokens=ids, logprobs=np.full(tokens, -np.log(2)))
    model = SimpleNamespace(bundle=tiny, score=lambda document: scored)
    (outcome,) = task.measure(model, [Item("a", "a", (), (tiny.vocabulary.decode(ids),))])
    assert list(outcome.detail) == stretches and outcome.detail["128"][0] == pytest.approx(128)


@pytest.mark.parametrize(("context", "before"), [(6_000, [256, 1_024, 4_096]), (2_000, [256]), (700, [0])])
def test_the_same_end_of_a_document_with_more_and_more_before_it(tiny, context: int, before: list[int]) -> None:
    """A model that loses half a bit a token by what it does not see, and that is asked for the same end each time."""
    task, text = Preceded("long-context", "preceded", list), "".join(f"word {n} " for n in range(4_000))
    vocabulary, seen = tiny.vocabulary, []

    def score(document) -> SimpleNamespace:
        (part,) = document.parts
        ids = vocabulary.encode(part.text)
        seen.append(part.text)
        return SimpleNamespace(tokens=ids, logprobs=np.full(len(ids), -np.log(2) * 1_000 / len(ids)))

    config = SimpleNamespace(config=SimpleNamespace(context=context), vocabulary=vocabulary)
    items = [Item("a", "a", (), (text,)), Item("b", "b", (), (text,))]
    outcomes = task.measure(SimpleNamespace(bundle=config, score=score), items)
    assert [*map(int, outcomes[0].detail)] == before
    ends = {said[-100:] for said in seen}
    assert len(ends) == 1 and len({*seen}) == len(before)
    if len(before) > 1:
        found = task.remarks(items, outcomes)
        assert len(found) == len(before) - 1 and all(one.value < 0 for one in found.values())
