"""Repository names, tags and references: parsed once at the edge, values from there on."""

import re
from dataclasses import dataclass
from typing import Self

from moorage.errors import NameInvalid, TagInvalid
from moorage.oci.digests import Digest

NAME_LENGTH_LIMIT = 255
"""Characters. GitLab and Distribution refuse more; so do most clients (host included)."""

TAG_LENGTH_LIMIT = 128

# One linear pass each: separators and alphanumerics never overlap, so there is nothing to backtrack into.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME_PATTERN = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_NAME = re.compile(NAME_PATTERN, re.ASCII)
# Distribution takes a host before the name, with capitals, but cannot store one with a port: host:5000/app.
_STORED_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9.=+-][A-Za-z0-9._=+-]{0,254}"
_STORED_NAME = re.compile(rf"{_STORED_PART}(?:/{_STORED_PART})*", re.ASCII)
_STORED_TAG = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._=+-]{1,255}", re.ASCII)
_STORED_NAME_LENGTH_LIMIT = 1024

TAG_PATTERN = "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
_TAG = re.compile(TAG_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class RepositoryName:
    """The name of a repository, such as ``group/app``. Ordered as its text is.

    Source: distribution-spec § Pulling manifests, ``<name>``.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read *text*.

        Raises:
            NameInvalid: it is outside the grammar or longer than 255 characters.
        """
        if len(text) > NAME_LENGTH_LIMIT:
            msg = f"a repository name has at most {NAME_LENGTH_LIMIT} characters, this one {len(text)}"
            raise NameInvalid(msg)
        if _NAME.fullmatch(text) is None:
            msg = "a repository name is lower-case letters and digits, joined by '.', '_', '__' or '-', in parts by '/'"
            raise NameInvalid(msg, name=text)
        return cls(text)

    @classmethod
    def parse_stored(cls, text: str) -> Self:
        """Read the name of a repository that may be there already, by whatever rules its registry had.

        Raises:
            NameInvalid: no folder could have it.
        """
        name = cls(text)
        return name if name.can_be_read else cls.parse(text)

    @staticmethod
    def is_valid(text: str) -> bool:
        """Return whether :meth:`parse` takes *text*."""
        return len(text) <= NAME_LENGTH_LIMIT and _NAME.fullmatch(text) is not None

    @property
    def can_be_read(self) -> bool:
        """Return whether a repository of this name, if there is one, can be reached."""
        return len(self.text) <= _STORED_NAME_LENGTH_LIMIT and _STORED_NAME.fullmatch(self.text) is not None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A tag, such as ``1.2-alpine``.

    Source: distribution-spec § Pulling manifests, ``<tag-or-digest>``.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read *text*.

        Raises:
            TagInvalid: it is outside the grammar.
        """
        if _TAG.fullmatch(text) is None:
            msg = f"a tag is 1 to {TAG_LENGTH_LIMIT} letters, digits, '_', '.' or '-', and begins with none of '.-'"
            raise TagInvalid(msg, tag=text[: TAG_LENGTH_LIMIT + 1])
        return cls(text)

    @classmethod
    def parse_stored(cls, text: str) -> Self:
        """Read a tag that may be there already, by whatever rules its registry had.

        Raises:
            TagInvalid: no folder could have it.
        """
        tag = cls(text)
        return tag if tag.can_be_read else cls.parse(text)

    @property
    def can_be_read(self) -> bool:
        """Return whether a tag of this name, if there is one, can be reached."""
        return _STORED_TAG.fullmatch(self.text) is not None

    def __str__(self) -> str:
        return self.text


Reference = Tag | Digest
"""The name of a manifest in a repository."""


def parse_stored_reference(text: str) -> Reference:
    """Read a tag or a digest of what may be there already; see :meth:`Tag.parse_stored`.

    Raises:
        DigestInvalid, TagInvalid: as for :func:`parse_reference`.
    """
    return Digest.parse(text) if ":" in text else Tag.parse_stored(text)


def parse_reference(text: str) -> Reference:
    """Read a tag or a digest: a digest if there is a colon, which no tag has.

    Raises:
        DigestInvalid: there is a colon and it is no digest.
        TagInvalid: there is none and it is no tag.
    """
    return Digest.parse(text) if ":" in text else Tag.parse(text)
