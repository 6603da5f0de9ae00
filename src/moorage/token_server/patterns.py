"""Patterns of repository names in rules: ``group/app``, ``group/*``, ``group/**``, ``{user}/**``."""

from functools import lru_cache

import re2

from moorage.errors import NameInvalid
from moorage.oci.names import RepositoryName

USER = "{user}"
_ANY = "**"
_PROBES = ("0", "0/0")
"""Names that could be below a name: of one part, and of more."""


def check_pattern(text: str) -> str:
    """*text*, if it is a pattern.

    Raises:
        ValueError: it is none.
    """
    parts = text.split("/")
    try:
        RepositoryName.parse(text.replace(USER, "u").replace(_ANY, "x").replace("*", "x"))
    except NameInvalid:
        is_good = False
    else:
        is_good = all(part == _ANY or _ANY not in part for part in parts)
    if not is_good:
        msg = f"{text[:60]!r} is no pattern; it is a repository's name, with * in a part, ** for any parts, or {USER}"
        raise ValueError(msg)
    return text


def matches(pattern: str, name: str, user: str | None) -> bool:
    """Return whether a pattern means a repository's name, for a user; None for nobody in particular.

    ``group/app/*`` as a name is all that is below ``group/app``, as a rename asks for it: then all of it has to be
    meant.
    """
    compiled = _compiled(pattern, user if USER in pattern else None)
    if compiled is None:
        return False
    if name.endswith("/*"):
        base = name.removesuffix("*")
        return (
            pattern.endswith(_ANY)
            and _is_name(base.removesuffix("/"))
            and all(compiled.fullmatch(base + probe) is not None for probe in _PROBES)
        )
    return _is_name(name) and compiled.fullmatch(name) is not None


def place_of(pattern: str, user: str) -> str:
    """Return the name that ``{user}`` makes a user's own: the pattern up to it; empty if that is no certain name."""
    head, mark, tail = pattern.partition(USER)
    place = f"{head}{user}{tail.partition('/')[0]}"
    return place if mark and "*" not in place and _is_name(place) else ""


@lru_cache(maxsize=4096)
def _compiled(pattern: str, user: str | None) -> "re2._Regexp | None":
    """RE2, in which no pattern can hang; None if it is for users of whom there is none, or who cannot have one."""
    if USER in pattern and (user is None or "/" in user or not _is_name(user)):
        return None
    text = re2.escape(pattern.replace(USER, user or ""))
    some, any_ = re2.escape("*"), re2.escape(_ANY)
    return re2.compile(text.replace(any_, ".+").replace(some, "[^/]*"))


def _is_name(text: str) -> bool:
    try:
        RepositoryName.parse(text)
    except NameInvalid:
        return False
    return True
