"""Names that somebody has written, as they are printed."""

_SHOWN_LENGTH = 60


def shown(name: str) -> str:
    """A name as it can be printed: without control characters and what is no Unicode, and not too long."""
    text = name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode("ascii")
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
