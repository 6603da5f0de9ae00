"""Texts that others send, of characters that every database keeps."""

import re

_NEVER_KEPT = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL keeps no NUL, and nothing keeps half a character, both of which JSON can hold."""


def storable(text: str) -> str:
    """Return *text* with a sign in the place of each character that not every database keeps."""
    return _NEVER_KEPT.sub("\ufffd", text)
