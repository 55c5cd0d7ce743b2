"""Documents of a batch in rows: all or none of a group, and numbers that find their way back to their documents."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tejat.codecs.framing import Encoded
from tejat.data.packing import Room, sizes
from tejat.posttrain import packed
from tejat.posttrain.packed import Rows

ROOM = Room(rows=3, tokens=24, targets=16, patches=0, sounds=0, frames=0)


def document(length: int, answer: int) -> Encoded:
    none = np.zeros(length, np.int32)
    loss = np.arange(length) >= length - answer
    return Encoded(np.arange(length, dtype=np.int32), loss, none, none, none - 1, none, ())


DOCUMENTS = st.lists(
    st.integers(2, 20).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=40)
@given(DOCUMENTS, st.integers(1, 3))
@example([(18, 17)], 1)  # too much for a row: none is taken
def test_numbers_find_their_documents(talker, shapes, together):
    rows, taken = Rows(talker.config, ROOM), []
    documents = [document(*shape) for shape in shapes]
    for at in range(0, len(documents), together):
        group = documents[at : at + together]
        before = rows.used()
        if rows.take(group):
            taken += group
        else:
            assert rows.used() == before
    assert rows.count == len(taken)
    held = rows.finish(12)
    batch = held.batch
    assert ((held.owner < len(taken)) == (batch.weights > 0)).all() and (held.owner[batch.weights == 0] == 12).all()
    for number, mine in enumerate(taken):
        here = held.owner == number
        assert batch.targets[here].tolist() == mine.tokens[1:][mine.loss[1:]].tolist()
        assert len(set(np.nonzero(here)[0])) == 1  # one row
    columns = [np.arange(sizes(mine).targets) + 100.0 * n for n, mine in enumerate(taken)]
    laid = packed.beside(held.owner, columns)
    assert (laid[batch.weights == 0] == 0).all()
    for found, wanted in zip(packed.apart(held.owner, laid, len(taken)), columns, strict=True):
        assert found.tolist() == wanted.tolist()


def test_a_group_goes_in_whole_or_not_at_all(talker):
    rows = Rows(talker.config, ROOM)
    assert rows.take([document(20, 2), document(20, 2)])
    assert not rows.take([document(20, 2), document(20, 2)])  # one would fit
    assert rows.take([document(20, 2)]) and rows.count == 3
    assert not rows.take([document(25, 2)])
