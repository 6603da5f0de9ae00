"""Durations as Go writes them: CFP-011."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.config import format_duration
from moorage.config.durations import parse_duration

LONGEST_NS = 2**63 - 1
MICROSECOND = timedelta(microseconds=1)
durations = st.timedeltas(min_value=timedelta(days=-106_000), max_value=timedelta(days=106_000))
units = st.sampled_from(["ns", "us", "µs", "μs", "ms", "s", "m", "h"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("0s", 0),
        ("5s", 5),
        ("+5s", 5),
        ("-5s", -5),
        ("1h30m", 5400),
        ("-1h30m", -5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("100ms", 0.1),
        ("10us", 0.00001),
        ("10µs", 0.00001),
        ("10μs", 0.00001),
        ("2000ns", 0.000002),
        ("1m1m", 120),
        ("168h", 604800),
    ],
)
def test_what_go_reads_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "s", ".s", "5", "-1", "5 s", "5d", "5S", "1h-5m", "--5s", "5s5", "1,5s", "1e3s", "٣s", "7 days", "NaN", "∞"],
)
def test_what_go_does_not_read_is_refused_and_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration; write it as 30s, 1h30m or 500ms"):
        parse_duration(text)


@pytest.mark.parametrize("value", [None, True, False, 1.5, [], {}, ["5s"], b"5s"])
def test_what_is_neither_text_nor_a_whole_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a duration such as 30s"):
        parse_duration(value)


@pytest.mark.parametrize(("nanoseconds", "microseconds"), [(0, 0), (5_000_000_000, 5_000_000), (-3000, -3)])
def test_a_bare_number_is_nanoseconds(nanoseconds: int, microseconds: int) -> None:
    assert parse_duration(nanoseconds) == microseconds * MICROSECOND


@pytest.mark.parametrize(("value", "sign"), [(1, 1), ("1ns", 1), ("0.5us", 1), (-1, -1), ("-1ns", -1)])
def test_the_shortest_duration_is_not_none_at_all(value: object, sign: int) -> None:
    # 0 means "no deadline" to many keys, and gc.reviewafter: -1 "no delay".
    assert parse_duration(value) == sign * MICROSECOND


@pytest.mark.parametrize("value", [LONGEST_NS, -(2**63), "9223372036854775807ns", "-9223372036854775808ns", "2562047h"])
def test_292_years_are_read(value: object) -> None:
    assert abs(parse_duration(value)) > timedelta(days=290 * 365)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**100, "9223372036854775808ns", "2562048h", "9999999999999h"])
def test_more_than_292_years_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="at most 292 years"):
        parse_duration(value)


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(ValueError, match="is no duration") as raised:
        parse_duration("x" * 10_000)
    assert len(str(raised.value)) < 150


@given(durations)
def test_what_is_printed_is_read_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(st.lists(st.tuples(st.integers(0, 600_000), units), min_size=1, max_size=4))
def test_the_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    sizes = {
        "ns": 1,
        "us": 10**3,
        "µs": 10**3,
        "μs": 10**3,
        "ms": 10**6,
        "s": 10**9,
        "m": 60 * 10**9,
        "h": 3600 * 10**9,
    }
    total = sum(count * sizes[unit] for count, unit in parts)
    read = parse_duration("".join(f"{count}{unit}" for count, unit in parts))
    assert read == -(-total // 1000) * MICROSECOND


@given(st.integers(-LONGEST_NS, LONGEST_NS))
def test_a_bare_number_is_never_more_than_a_microsecond_off(nanoseconds: int) -> None:
    found = parse_duration(nanoseconds) // MICROSECOND * 1000
    assert abs(found) - abs(nanoseconds) in range(1000)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_duration(text), timedelta)
    except ValueError as exc:
        assert "duration" in str(exc)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(hours=168), "168h"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(milliseconds=500), "500ms"),
        (timedelta(microseconds=1), "1us"),
        (timedelta(seconds=-90), "-1m30s"),
        (timedelta(days=104_249, microseconds=1), "2501976h1us"),
    ],
)
def test_a_duration_is_printed_as_go_reads_it(value: timedelta, text: str) -> None:
    assert format_duration(value) == text
