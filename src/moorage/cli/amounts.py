"""Amounts as commands show them to people: all of them in the same units and words."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_KIBI = 1024


def shown_bytes(count: float) -> str:
    """A number of bytes in binary units: ``1.5 GiB``."""
    for unit in _UNITS:
        if count < _KIBI or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _KIBI
    raise AssertionError


def counted(count: int, noun: str) -> str:
    """``1 blob``, ``2,000 blobs``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
