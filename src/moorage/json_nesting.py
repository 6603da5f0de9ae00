"""JSON of strangers, whose nesting is looked at before it is read.

Python's parser goes as deep as its stack has room, so the same document would be read in one place and not in another.
And where it is near the end of that room, whatever Python tidies up at that moment has none: what was to be closed
stays open.
"""

import json
import re
from itertools import accumulate
from typing import Any

NESTING_LIMIT = 100
"""Lists and objects in each other. Nothing that is known has more than a dozen; the stack has room for 1,000."""

_NO_BRACKETS = re.compile(r'(?:[^\[\]{}"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?+)++', re.DOTALL)
"""Texts, whatever is in them, and all else between two brackets. It takes nothing back, so its time is linear."""
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""As signed bytes: one deeper, or one less."""


class NestedTooDeep(ValueError):
    """Lists and objects in each other, more than :data:`NESTING_LIMIT` deep."""

    def __init__(self) -> None:
        super().__init__(f"it is nested too deep: {NESTING_LIMIT} lists and objects in each other are read")


def parse_json(content: str | bytes) -> Any:  # noqa: ANN401 - as json.loads
    """Read a document as :func:`json.loads` does.

    Raises:
        NestedTooDeep: nobody means it.
        ValueError: it is no JSON.
    """
    text = content if isinstance(content, str) else json_text(content)
    see_nesting(text)
    return json.loads(text)


def json_text(content: bytes) -> str:
    """Decode a document as :func:`json.loads` does: it may be in UTF-16 or UTF-32.

    Raises:
        UnicodeDecodeError: it is no text.
    """
    return content.decode(json.detect_encoding(content), "surrogatepass")


def see_nesting(text: str) -> None:
    """See that a document is not nested too deep. It need not be right.

    Raises:
        NestedTooDeep: it is.
    """
    # Most have so few that they cannot be.
    if text.count("[") + text.count("{") <= NESTING_LIMIT:
        return
    brackets = _NO_BRACKETS.sub("", text).encode("ascii").translate(_STEPS)
    if max(accumulate(memoryview(brackets).cast("b")), default=0) > NESTING_LIMIT:
        raise NestedTooDeep
