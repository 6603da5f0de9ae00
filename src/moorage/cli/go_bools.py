"""Truth values as Go's scripts write them. Source: Go's strconv.ParseBool."""

_YES = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_NO = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def read_bool(text: str) -> bool | None:
    """Read a truth value as Go does; None: it is none."""
    if text in _YES:
        return True
    return False if text in _NO else None
