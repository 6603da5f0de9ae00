"""Answers of a registry as values: itself, its repositories, its tags. Names and digests are as it has them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

SHORT_LENGTH = 9
"""Characters of a shortened revision. Source: GitLab features RCL-008."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryInfo:
    """A registry as it describes itself."""

    vendor: str
    """``gitlab``, or ``other``."""
    version: str = ""
    features: tuple[str, ...] = ()
    is_database_enabled: bool = False
    has_gitlab_api: bool = False
    """True: sizes, times of publication and renames are known."""
    token_refusal: str = ""
    """The reason for which it takes no token of the control plane; empty: it takes them, or asks for none."""

    @property
    def can_delete_tags(self) -> bool:
        """Return whether a tag can be deleted by its name for sure."""
        return self.vendor == "gitlab"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryState:
    """The registry's record of a repository."""

    path: str
    size_bytes: int | None = None
    """Each layer counted once; None: not asked for, or not known."""
    precision: str = ""
    """``default``, or ``untagged`` for an estimate that counts layers without a tag too."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TagReferrer:
    """A manifest about a tag's manifest, such as a signature."""

    artifact_type: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTag:
    """A tag. Without GitLab's API only the name is known from a list, and the rest by asking for the tag."""

    name: str
    digest: str = ""
    """Empty: not known, or its manifest is gone."""
    config_digest: str = ""
    """Of an image's configuration; empty for an index."""
    media_type: str = ""
    size_bytes: int | None = None
    """Sum of its layers."""
    created_at: datetime | None = None
    """The time at which the tag was made; without GitLab's API, that at which the image says it was built."""
    updated_at: datetime | None = None
    published_at: datetime | None = None
    """The time of its last push."""
    referrers: tuple[TagReferrer, ...] = ()

    @property
    def revision(self) -> str:
        """The configuration's digest without its algorithm."""
        return self.config_digest.partition(":")[2]

    @property
    def short_revision(self) -> str:
        """The first characters of the revision."""
        return self.revision[:SHORT_LENGTH]

    @property
    def moment(self) -> datetime | None:
        """The time of publication, as well as that is known; cleanup policies go by it."""
        return self.published_at or self.updated_at or self.created_at


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTagPage:
    """A page of tags, with the markers that lead to the pages beside it."""

    tags: Sequence[RemoteTag]
    after: str = ""
    """Give it as ``last`` for the next page; empty: there is none."""
    before: str = ""
    """Give it as ``before`` for the page before; empty: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryPage:
    """A page of the repositories at a path and below it that have a tag."""

    repositories: Sequence[RepositoryState]
    after: str = ""


class RenameAnswer(StrEnum):
    """A registry's word on a rename. Source: GitLab features RCL-007."""

    ACCEPTED = "accepted"
    """A dry run: it would go, and the new name is held for a while."""
    DONE = "ok"
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    NAME_TAKEN = "name_taken"
    TOO_MANY_REPOSITORIES = "too_many_subrepositories"
    FAILED = "error"

    @property
    def is_good(self) -> bool:
        """Return whether it was done, or would be."""
        return self in (RenameAnswer.ACCEPTED, RenameAnswer.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameResult:
    """The answer to a rename, with the registry's own words."""

    answer: RenameAnswer
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteManifest:
    """A manifest as it is stored."""

    digest: str
    media_type: str
    payload: bytes = field(repr=False)
