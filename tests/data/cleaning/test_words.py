"""Words: the same in any letter case and batch, and nothing of one text in another's."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.cleaning.table import Table
from tejat.data.cleaning.words import all_runs, runs, words

texts = st.lists(st.text(st.sampled_from("abCÉ é1 .\n北京งาน'"), max_size=30), min_size=1, max_size=6)


def hashes(text: str) -> list[int]:
    return words([text]).hashes.tolist()


@settings(max_examples=50, deadline=None)
@given(texts)
def test_a_batch_is_its_texts_one_after_the_other(batch):
    found = words(batch)
    assert found.hashes.tolist() == [value for text in batch for value in hashes(text)]
    assert found.counts.tolist() == [len(hashes(text)) for text in batch]


@settings(max_examples=50, deadline=None)
@given(texts, st.integers(1, 4))
def test_runs_are_of_one_text(batch, n):
    found, at = runs(words(batch), n)
    alone = [value for text in batch for value in runs(words([text]), n)[0].tolist()]
    assert found.tolist() == alone and len(at) == len(found)


@settings(max_examples=50, deadline=None)
@given(texts)
def test_runs_of_many_sizes_are_those_of_each(batch):
    many = {n: (found.tolist(), at.tolist()) for n, found, at in all_runs(words(batch), {1, 3, 4})}
    for n, (found, at) in many.items():
        assert (found, at) == tuple(part.tolist() for part in runs(words(batch), n))


def test_what_is_a_word():
    assert len(hashes("Don't panic, 42 times.")) == 5
    assert hashes("GRÜN e\u0301tude") == hashes("grün, étude!")
    assert len(hashes("北京大学")) == 4 and words(["北京大学"]).alone.all()
    assert len(hashes("हिन्दी में लिखा")) == 3
    assert hashes("ab c") != hashes("a bc") and hashes("ab") != hashes("ba")
    assert words(["x 12 of 3a"]).telling.tolist() == [False, False, True, False]
    assert hashes("") == hashes(" .\n") == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=3_000), st.integers(0, 50))
def test_a_table_is_a_dict_whose_first_value_stays(keys, spread):
    keys = [key % (spread or 2**64) for key in keys]
    table, plain = Table(), {}
    for first in range(0, len(keys), 700):
        some = np.asarray(keys[first : first + 700], np.uint64)
        table.add(some, np.arange(first, first + len(some)))
        for number, key in enumerate(some.tolist(), first):
            plain.setdefault(max(key, 1), number)
    assert len(table) == len(plain)
    asked = np.asarray([*plain, 2**63 + 12345], np.uint64)
    assert table.find(asked).tolist() == [plain[key] for key in plain] + [plain.get(2**63 + 12345, -1)]
