"""Text that a locale cannot show, and words of a caller that are no text: both are met by every command."""

import os
import sys

_FIRST_BYTE, _LAST_BYTE = "\udc80", "\udcff"
"""Characters that Python makes of bytes outside of UTF-8, in arguments and the environment."""


def print_any_text() -> None:
    """Have standard output show what its encoding lacks by escapes, as standard error does."""
    # It has no such method where it is closed or something of the caller's own.
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")


def told_as_mistake(fault: UnicodeEncodeError) -> str:
    """Return what to tell a caller whose words are no text.

    Raises:
        UnicodeEncodeError: it is none of theirs.
    """
    word = next(filter(_has_bytes, sys.argv), None)
    if not _has_bytes(fault.object) or (word is None and not any(map(_has_bytes, os.environ.values()))):
        raise fault
    # A variable's text is not shown: it may be a secret.
    return f"{repr(os.fsencode(word))[1:] if word else 'the text of a variable'} is no text in UTF-8"


def _has_bytes(text: str) -> bool:
    return any(_FIRST_BYTE <= character <= _LAST_BYTE for character in text)
