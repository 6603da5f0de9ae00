"""Amounts for people."""

import pytest

from moorage.cli.amounts import counted, shown_bytes


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB"), (1 << 62, "4096.0 PiB")]
)
def test_bytes_are_told_in_their_unit(count: int, text: str) -> None:
    assert shown_bytes(count) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 blobs"), (1, "1 blob"), (2, "2 blobs"), (2000, "2,000 blobs")])
def test_numbers_of_things_are_told_with_their_noun(count: int, text: str) -> None:
    assert counted(count, "blob") == text
