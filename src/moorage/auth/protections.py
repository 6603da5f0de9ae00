"""Tags of a repository that may not be written or deleted, as GitLab's tokens say: pure decisions, by RE2.

Source: GitLab features V2M-023 to V2M-029; ADR 0019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from moorage.errors import PatternRefused, Protected
from moorage.oci.names import Tag
from moorage.oci.safe_patterns import compiled

PATTERN_COUNT_LIMIT = 5
"""Of those that forbid an action and those of immutable tags together."""

PATTERN_LENGTH_LIMIT = 100
"""Bytes."""

_MEMORY_BYTES = 1 << 20
"""A pattern that needs more is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Patterns that match somewhere in the tags they are about."""

    deny_push: tuple[str, ...] = ()
    """Tags that these credentials may not point anywhere."""
    deny_delete: tuple[str, ...] = ()
    """Tags that these credentials may not delete."""
    immutable: tuple[str, ...] = ()
    """Tags that nobody may move or delete once they are there."""

    def joined(self, other: "Protection") -> "Protection":
        """Join two protections: what either of them forbids."""
        return Protection(
            deny_push=_union(self.deny_push, other.deny_push),
            deny_delete=_union(self.deny_delete, other.deny_delete),
            immutable=_union(self.immutable, other.immutable),
        )

    def check_push(self, tag: Tag) -> None:
        """Refuse to point a tag somewhere, whether it is there or not.

        Raises:
            Protected: the credentials may not.
            PatternRefused: there are too many patterns, or one of them cannot be used.
        """
        self._check_count(self.deny_push)
        _check(tag, self.deny_push, "protection")

    def check_overwrite(self, tag: Tag) -> None:
        """Refuse to point a tag that is there somewhere, even to where it points already.

        Raises: as :meth:`check_push` does.
        """
        _check(tag, self.immutable, "immutability")

    def fixes(self, tag: Tag) -> bool:
        """Return whether :meth:`check_overwrite` would refuse it.

        Raises:
            PatternRefused: as :meth:`check_push` does.
        """
        try:
            self.check_overwrite(tag)
        except Protected:
            return True
        return False

    def check_delete(self, tag: Tag) -> None:
        """Refuse to delete a tag.

        Raises: as :meth:`check_push` does.
        """
        self._check_count(self.deny_delete)
        _check(tag, self.deny_delete, "protection")
        _check(tag, self.immutable, "immutability")

    def keeps(self, tag: Tag) -> bool:
        """Return whether :meth:`check_delete` would refuse it.

        Raises:
            PatternRefused: as :meth:`check_push` does.
        """
        try:
            self.check_delete(tag)
        except Protected:
            return True
        return False

    def check_change(self, tag: Tag) -> None:
        """Refuse whatever may move, make or delete a tag, such as an undo.

        Raises: as :meth:`check_push` does.
        """
        self.check_push(tag)
        self.check_delete(tag)

    def check_content(self) -> None:
        """Refuse to delete a manifest or a blob, which any protected tag may need.

        Raises:
            Protected: there is a tag that may not be deleted, whichever.
        """
        if self.deny_delete or self.immutable:
            msg = "manifests and blobs are not deleted where tags are protected or immutable; delete tags instead"
            raise Protected(msg, reason="PROTECTED_MANIFEST")

    def _check_count(self, patterns: Sequence[str]) -> None:
        count = len(patterns) + len(self.immutable)
        if count > PATTERN_COUNT_LIMIT:
            msg = f"the token has {count} patterns of protected and immutable tags, and may have {PATTERN_COUNT_LIMIT}"
            raise PatternRefused(msg, reason="TAG_PATTERN_COUNT_LIMIT_EXCEEDED")


UNPROTECTED = Protection()


def _check(tag: Tag, patterns: Sequence[str], kind: Literal["protection", "immutability"]) -> None:
    for pattern in patterns:
        if _compiled(pattern, kind).search(tag.text) is None:
            continue
        if kind == "immutability":
            msg = f'tag "{tag}" is immutable: it may be neither moved nor deleted'
            raise Protected(msg, reason="IMMUTABLE_TAG", tag=tag.text)
        msg = f'tag "{tag}" is protected: the credentials do not allow to push or delete it'
        raise Protected(msg, reason="PROTECTED_TAG", tag=tag.text)


@lru_cache(maxsize=256)
def _compiled(pattern: str, kind: str) -> Any:  # noqa: ANN401 - re2 has no types
    try:
        if len(pattern.encode()) <= PATTERN_LENGTH_LIMIT:
            return compiled(pattern, memory_bytes=_MEMORY_BYTES)
    except UnicodeEncodeError as exc:
        raise _unusable(kind, f"is not RE2: {exc}") from None
    except ValueError as exc:
        raise _unusable(kind, str(exc)) from None
    raise _unusable(kind, f"is longer than {PATTERN_LENGTH_LIMIT} bytes")


def _unusable(kind: str, why: str) -> PatternRefused:
    msg = f"a tag {kind} pattern of the token {why}"
    if kind == "immutability":
        return PatternRefused(msg, reason="TAG_IMMUTABILITY_PATTERN_INVALID")
    return PatternRefused(msg, reason="TAG_PROTECTION_PATTERN_INVALID")


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
