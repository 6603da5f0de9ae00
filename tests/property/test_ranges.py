"""Ranges against a simple model: Python's ranges."""

from email import message_from_bytes

from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import RangeNotSatisfiable
from moorage.web.ranges import DISTANT_PART_LIMIT, PART_LIMIT, byte_ranges, multipart

NUMBERS = st.integers(0, 130)
ELEMENTS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    NUMBERS.map(lambda number: f"{number}-"),
    NUMBERS.map(lambda number: f"-{number}"),
    st.sampled_from(["", " "]),
)


def wanted_part(element: str, size: int) -> range:
    first, _, last = element.strip().partition("-")
    if not element.strip():
        return range(0)
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(size, int(last) + 1 if last else size))


@given(st.lists(ELEMENTS, min_size=1, max_size=12), st.integers(0, 120))
def test_the_parts_are_what_was_asked_for_in_that_order(elements: list[str], size: int) -> None:
    wanted = [part for part in (wanted_part(element, size) for element in elements) if part]
    try:
        parts = byte_ranges("bytes=" + ",".join(elements), size)
    except RangeNotSatisfiable:
        assert size
        assert not wanted
        return
    if parts is None:
        assert not any(element.strip() for element in elements) or sum(map(len, wanted)) > size or not size
        return
    assert [range(start, end) for start, end in parts] == wanted
    assert sum(map(len, wanted)) <= size
    body = bytes(range(size))
    framed = multipart(parts, size, content_type="application/octet-stream")
    raw = b"".join(piece.lead + body[slice(*piece.part)] for piece in framed.pieces) + framed.tail
    assert len(raw) == framed.size_bytes
    assert raw.count(b"Content-Range: bytes ") == len(parts)


def test_a_mail_parser_reads_the_parts_in_the_order_asked_for() -> None:
    body = b"a" * 50 + b"b" * 50
    parts = byte_ranges("bytes=90-94, ,0-4,5-9,200-", 100)
    assert parts == [(90, 95), (0, 5), (5, 10)]
    framed = multipart(parts, 100, content_type="application/octet-stream")
    raw = b"".join(piece.lead + body[slice(*piece.part)] for piece in framed.pieces) + framed.tail
    message = message_from_bytes(f"Content-Type: {framed.content_type}\r\n\r\n".encode() + raw)
    found = [
        (part["Content-Range"], part.get_payload(decode=True)) for part in message.walk() if not part.is_multipart()
    ]
    assert found == [
        ("bytes 90-94/100", b"b" * 5),
        ("bytes 0-4/100", b"a" * 5),
        ("bytes 5-9/100", b"a" * 5),
    ]


def test_more_parts_than_the_limit_give_the_whole() -> None:
    for limit in (PART_LIMIT, DISTANT_PART_LIMIT):
        asked = ["bytes=" + ",".join(f"{n * 2}-{n * 2}" for n in range(count)) for count in (limit, limit + 1)]
        most, too_many = (byte_ranges(value, 1 << 20, limit=limit) for value in asked)
        assert most is not None
        assert len(most) == limit
        assert too_many is None
