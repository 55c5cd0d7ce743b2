"""Parts of prompts begin at fixed places, and are known again by everything that leads to them."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.codecs.framing import Encoded
from tejat.infer.prefix import PrefixCache, chunks

SIZES = (8, 32)
MEDIA = [b"one", b"two", b"three"]


@st.composite
def prompts(draw) -> tuple[Encoded, list[bytes]]:
    """Text and images of 2 to 12 soft tokens."""
    tokens, blocks, items, soft, digests = [], [], [], [], []
    for number in range(draw(st.integers(1, 8))):
        text = draw(st.lists(st.integers(5, 7), min_size=1, max_size=20))
        tokens, blocks, items, soft = (
            tokens + text,
            blocks + [0] * len(text),
            items + [-1] * len(text),
            soft + [0] * len(text),
        )
        if draw(st.booleans()):
            n = draw(st.integers(2, 12))
            tokens, blocks = tokens + [9] * n, blocks + [number + 1] * n
            items, soft = items + [len(digests)] * n, soft + list(range(n))
            digests.append(draw(st.sampled_from(MEDIA)))
    tokens, blocks, items, soft = tokens + [5], blocks + [0], items + [-1], soft + [0]
    columns = [np.asarray(c, np.int32) for c in (tokens, blocks, items, soft)]
    zeros = np.zeros(len(tokens), np.int32)
    return Encoded(columns[0], zeros.astype(bool), zeros, *columns[1:], ()), digests


@settings(max_examples=60, deadline=None)
@given(prompts(), st.booleans())
def test_parts_cover_all_but_the_last_token_from_fixed_places(prompt, whole_images) -> None:
    encoded, digests = prompt
    parts = chunks(encoded, digests, SIZES, whole_images)
    assert [p for part in parts for p in range(part.start, part.start + part.count)] == list(range(len(encoded) - 1))
    for part in parts:
        assert part.count <= part.size and part.size in SIZES
        last = part is parts[-1]
        assert last or part.key is not None
        if whole_images and not last:
            stop = part.start + part.count
            assert encoded.blocks[stop] == 0 or encoded.blocks[stop] != encoded.blocks[stop - 1]
        if not whole_images:
            assert part.start % SIZES[-1] == 0
            assert (part.key is None) == (part.count < SIZES[-1])


@settings(max_examples=60, deadline=None)
@given(prompts(), prompts(), st.booleans(), st.data())
def test_keys_are_equal_where_all_that_leads_there_is(one, other, whole_images, data) -> None:
    """Two prompts that have a beginning in common: up to its end their keys agree, and nowhere else."""
    (a, digests), (b, more) = one, other
    cut = data.draw(st.integers(0, len(a) - 1))
    while cut and a.blocks[cut] and a.blocks[cut] == a.blocks[cut - 1]:
        cut -= 1  # before an image, not in it
    used = int(a.item[:cut].max(initial=-1)) + 1
    columns = [np.concatenate([x[:cut], y]) for x, y in zip(a[:-1], b[:-1], strict=True)]
    columns[3][cut:] += (b.blocks > 0) * 100
    columns[4][cut:] += (b.item >= 0) * used
    joined, joined_digests = Encoded(*columns, ()), digests[:used] + more
    first = {p.key: p for p in chunks(a, digests, SIZES, whole_images) if p.key}
    second = {p.key: p for p in chunks(joined, joined_digests, SIZES, whole_images) if p.key}
    for part in first.values():
        if part.start + part.count <= cut and part.count == SIZES[-1]:
            assert part.key in second
    for key in first.keys() & second.keys():
        stop = first[key].start + first[key].count
        assert stop == second[key].start + second[key].count

        def content(document, hashes, stop=stop):
            media = [hashes[i] if i >= 0 else None for i in document.item[:stop]]
            return document.tokens[:stop].tolist(), media, document.soft[:stop].tolist()

        assert content(a, digests) == content(joined, joined_digests)


def test_a_medium_counts_by_what_it_is() -> None:
    tokens = np.full(40, 9, np.int32)
    zeros = np.zeros(40, np.int32)

    def of(item: np.ndarray) -> Encoded:
        return Encoded(tokens, zeros.astype(bool), zeros, zeros, item, np.arange(40, dtype=np.int32), ())

    one, later = of(zeros), of(zeros + 1)  # the second of its prompt
    keys = {chunks(one, [digest], SIZES, False)[0].key for digest in MEDIA}
    assert len(keys) == len(MEDIA)
    assert chunks(one, [b"one"], SIZES, False) == chunks(later, [b"two", b"one"], SIZES, False)


def test_what_was_not_asked_for_for_longest_makes_room_and_ends_before_beginnings() -> None:
    tokens = np.arange(33 * 4, dtype=np.int32)
    zeros = np.zeros_like(tokens)
    prompt = Encoded(tokens, zeros.astype(bool), zeros, zeros, zeros - 1, zeros, ())
    parts = [part for part in chunks(prompt, [], SIZES, False) if part.key]
    other = [part._replace(key=part.key[::-1]) for part in parts]
    block = ((jnp.zeros((32, 1, 4)), jnp.zeros((32, 1, 4))),)
    size = 2 * 32 * 4 * 4
    kept = PrefixCache(room=5 * size)
    for part in parts:
        kept.add(part.key, block)
    kept.touch(parts)
    assert len(kept.find(parts)) == 4 and kept.bytes == 4 * size
    for part in other[:3]:
        kept.add(part.key, block)
    assert kept.bytes == 5 * size and len(kept) == 5
    assert len(kept.find(parts)) == 2  # its ends went, its beginning is of use
    assert PrefixCache(room=0).find(parts) == []
    kept.clear()
    assert (len(kept), kept.bytes) == (0, 0)
