"""Buffers that threads borrow."""

from moorage.work.buffers import LARGE_BYTES, Buffers


def test_a_buffer_that_was_given_back_is_lent_again_the_last_one_first() -> None:
    buffers = Buffers(limit=2)
    with buffers.borrowed(LARGE_BYTES) as one:
        one[0] = 1
        with buffers.borrowed(LARGE_BYTES) as other:
            other[0] = 2
            assert one[0] == 1
        with buffers.borrowed(LARGE_BYTES) as again:
            assert again[0] == 2
    with buffers.borrowed(10) as part:
        assert (len(part), part[0]) == (10, 1)


def test_who_comes_when_all_are_lent_has_a_small_one() -> None:
    buffers = Buffers(limit=1)
    with buffers.borrowed(LARGE_BYTES) as large, buffers.borrowed(LARGE_BYTES) as small:
        assert len(large) == LARGE_BYTES
        assert 0 < len(small) < LARGE_BYTES
    with buffers.borrowed(LARGE_BYTES) as large:
        assert len(large) == LARGE_BYTES
