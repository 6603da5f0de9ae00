"""Which bytes become which part when objects are copied together."""

from hypothesis import given
from hypothesis import strategies as st

from moorage.storage.s3.copying import MOST_COPY_BYTES, ObjectSlice, plan
from moorage.storage.s3.multipart import LEAST_PART_BYTES, MOST_PARTS

MIB = 1 << 20
SIZES = st.one_of(
    st.integers(1, 3 * LEAST_PART_BYTES), st.sampled_from([LEAST_PART_BYTES, 16 * MIB, 6 << 30, LEAST_PART_BYTES - 1])
)


@given(sizes=st.lists(SIZES, min_size=1, max_size=12), chunk=st.sampled_from([LEAST_PART_BYTES, 32 * MIB, 5 << 30]))
def test_every_byte_is_in_one_part_and_every_part_is_of_a_size_that_is_taken(sizes: list[int], chunk: int) -> None:
    sources = [ObjectSlice(f"k{number}", 0, size) for number, size in enumerate(sizes)]
    parts = plan(sources, chunk)
    flat = [slice_ for part in parts for slice_ in part]
    for source in sources:
        at = 0
        for slice_ in flat:
            if slice_.key == source.key:
                assert slice_.start == at
                at = slice_.end
        assert at == source.end
    assert [slice_.key for slice_ in flat] == sorted((slice_.key for slice_ in flat), key=lambda key: int(key[1:]))
    for number, part in enumerate(parts, 1):
        size = sum(slice_.size_bytes for slice_ in part)
        assert size >= LEAST_PART_BYTES or number == len(parts)
        assert size <= MOST_COPY_BYTES
        assert len(part) == 1 or size <= 2 * LEAST_PART_BYTES


def test_ten_thousand_parts_are_enough_for_five_tebibytes() -> None:
    pieces = [ObjectSlice(f"k{number}", 0, 64 * MIB) for number in range(4000)]
    assert len(plan(pieces, LEAST_PART_BYTES)) <= MOST_PARTS
    assert len(plan([ObjectSlice("k", 0, 5 << 40)], LEAST_PART_BYTES)) <= MOST_PARTS


def test_pieces_of_one_size_are_copied_one_by_one() -> None:
    pieces = [ObjectSlice(f"k{number}", 0, 16 * MIB) for number in range(5)]
    assert plan(pieces, 32 * MIB) == [[piece] for piece in pieces]
