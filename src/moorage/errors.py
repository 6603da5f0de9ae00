"""Everything that can go wrong, as one tree. What each becomes on the wire stands in ``web/errors.py``.

Branches that only one API has are beside it: ``gitlab_errors.py`` and ``moorage_errors.py``.

::

    MoorageError
    ├── Refused                     the caller's fault; the message is safe to show
    │   ├── NameInvalid             a repository name outside the grammar
    │   ├── TagInvalid              a tag outside the grammar
    │   ├── DigestInvalid           a digest that does not parse, is not supported, or does not match
    │   ├── SizeInvalid             a length that does not match what came
    │   ├── RangeInvalid            a chunk that does not start where the upload ends
    │   ├── NameUnknown             no such repository
    │   ├── BlobUnknown             no such blob in the repository
    │   ├── ManifestUnknown         no such manifest or tag in the repository
    │   ├── UploadUnknown           no such upload session
    │   ├── UploadInvalid           an upload request that makes no sense
    │   │   └── UploadBusy          another request is writing to the same session
    │   ├── BlobReferenced          a blob that a manifest of the repository needs, so that it cannot go
    │   ├── ManifestReferenced      a manifest that an index of the repository lists, so that it cannot go
    │   ├── ConditionFailed         what is there is not what the request's condition says
    │   │   └── TagChanged          … and it is a tag
    │   ├── ManifestInvalid         a manifest that cannot be accepted
    │   │   └── ManifestTooLarge    … because of its size
    │   ├── ReferencesUnknown       a manifest that names blobs or manifests that are not there
    │   ├── ParameterInvalid        a query parameter or header outside its range
    │   ├── BodyTooLarge            a request body larger than is taken
    │   ├── ContentTypeInvalid      a request body that is not said to be JSON
    │   ├── CodingUnknown           a request body that is coded for the way
    │   ├── ContentCodingUnknown    a request body that is compressed or coded otherwise
    │   ├── BodyLate                a request body that did not come in time
    │   ├── HeadTooLarge            a request whose headers are larger than is taken
    │   ├── RangeNotSatisfiable     a Range of a blob that lies outside it
    │   ├── Unauthorized            credentials are missing or wrong
    │   ├── Denied                  the credentials do not allow it
    │   ├── Protected               a tag that the credentials may not change, or nobody may
    │   ├── PatternRefused          a token's pattern of protected tags that cannot be used
    │   ├── TooManyRequests         slow down
    │   ├── OutOfService            a health check fails, so that nothing is answered here
    │   ├── RouteUnknown            a path that is none of this registry's
    │   └── MethodNotAllowed        a method that the path does not have, or that is switched off
    ├── BackendError                ours; trying again may help
    │   ├── StorageFull             no space is left where the bytes go
    │   ├── StorageUnavailable      the storage did not answer, or answered nonsense
    │   ├── BeingRemoved            garbage collection is removing what is being pushed, at this moment
    │   ├── StorageBusy             another writer has the object open (never leaves core)
    │   ├── PathUnknown             a storage path that does not exist (never leaves core)
    │   ├── DatabaseUnavailable     the database did not answer, or not in time
    │   │   └── DatabaseContended   somebody else holds what was needed, and nothing was changed
    │   ├── DatabaseConflict        a constraint of the database forbids it (never leaves core)
    │   └── MigrationFailed         a migration of the database stopped (at start and in commands only)
    └── ConfigurationError          the configuration cannot be used; carries every mistake
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self


class MoorageError(Exception):
    """Base of all errors that this package raises on purpose."""


class Refused(MoorageError):
    """The caller's mistake. Its text goes to the caller as it is."""

    def __init__(self, message: str, **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.detail: Mapping[str, object] = detail


class NameInvalid(Refused):
    """A repository name outside the specification's grammar."""


class TagInvalid(Refused):
    """A tag outside the specification's grammar."""


class DigestInvalid(Refused):
    """A digest that does not parse, whose algorithm is not supported, or that is not the content's."""


class SizeInvalid(Refused):
    """The bytes that came are not as many as were announced."""


class RangeInvalid(Refused):
    """A chunk that does not start at the end of what the upload has."""

    def __init__(self, message: str, *, offset_bytes: int) -> None:
        super().__init__(message, reason="CONTENT_RANGE_INVALID", offset=offset_bytes)
        self.offset_bytes = offset_bytes


class NameUnknown(Refused):
    """The repository does not exist."""


class BlobUnknown(Refused):
    """The blob is not in the repository."""


class ManifestUnknown(Refused):
    """The manifest or tag is not in the repository."""


class UploadUnknown(Refused):
    """The upload session does not exist, or no longer."""


class UploadInvalid(Refused):
    """The request makes no sense for this upload session."""


class UploadBusy(UploadInvalid):
    """Another request is writing to the same session."""


class ManifestInvalid(Refused):
    """The manifest is malformed or breaks a rule of this registry."""


class ManifestTooLarge(ManifestInvalid):
    """The manifest has more bytes than ``validation.manifests.payloadsizelimit`` allows."""


class BlobReferenced(Refused):
    """The blob is needed by a manifest of the same repository, which could not be pulled without it."""

    def __init__(self, digest: str, *, manifests: Sequence[str]) -> None:
        """*manifests*: some of those that need it."""
        msg = "the blob is needed by a manifest of the repository: delete that first"
        super().__init__(msg, reason="BLOB_REFERENCED", digest=digest, manifests=list(manifests))


class ManifestReferenced(Refused):
    """The manifest is listed by an index of the same repository, which could not be pulled without it."""

    def __init__(self, digest: str, *, indexes: Sequence[str], count: int) -> None:
        """*indexes*: the first of the *count* that list it."""
        msg = "the manifest is listed by an index of the repository: delete that first"
        super().__init__(msg, reason="MANIFEST_REFERENCED", digest=digest, indexes=list(indexes), count=count)


class ConditionFailed(Refused):
    """The content is not what the request says that it has to be."""

    def __init__(self, message: str, *, reason: str = "CONDITION_FAILED", **detail: object) -> None:
        super().__init__(message, reason=reason, **detail)


class TagChanged(ConditionFailed):
    """The tag is not what the request says that it has to be: somebody has made, moved or deleted it meanwhile."""

    def __init__(self, message: str, *, tag: str) -> None:
        super().__init__(message, reason="TAG_CHANGED", tag=tag)


_REFERENCES_SHOWN = 100


class ReferencesUnknown(Refused):
    """The manifest refers to content that the repository does not have."""

    def __init__(self, digests: Sequence[str], *, count: int) -> None:
        """*digests*: the first of the *count* that are not there."""
        super().__init__("the manifest refers to content that is not in the repository", digests=list(digests))
        self.digests = tuple(digests)
        self.count = count

    @classmethod
    def of(cls, digests: Sequence[object]) -> Self:
        """The refusal of a manifest that refers to all these: it names the first of them."""
        return cls([str(digest) for digest in digests[:_REFERENCES_SHOWN]], count=len(digests))


class ParameterInvalid(Refused):
    """A query parameter or header whose value is outside what is allowed."""


class BodyTooLarge(Refused):
    """The request's body has more bytes than are taken here."""


class ContentTypeInvalid(Refused):
    """The request's body is not declared as JSON."""


class CodingUnknown(Refused):
    """The request's body has a transfer coding that is not done here."""


class ContentCodingUnknown(Refused):
    """The request's body has a content coding, and would be stored coded."""


class BodyLate(Refused):
    """The request's body did not come in time."""


class HeadTooLarge(Refused):
    """The request's first line, a header, or all headers together are larger than is taken."""


class RangeNotSatisfiable(Refused):
    """A Range that lies outside the blob."""

    def __init__(self, message: str, *, size_bytes: int) -> None:
        super().__init__(message, size=size_bytes)
        self.size_bytes = size_bytes


@dataclass(frozen=True, slots=True)
class Challenge:
    """A demand for other credentials: one ``WWW-Authenticate`` value."""

    header: str
    warning: str = ""
    """Text that clients tell people: ASCII without quotes and backslashes; empty: none."""


class Unauthorized(Refused):
    """Credentials are missing, wrong or expired."""

    def __init__(self, message: str, *, challenge: Challenge, **detail: object) -> None:
        super().__init__(message, **detail)
        self.challenge = challenge


class Denied(Refused):
    """The credentials are good, and do not allow this."""


class Protected(Refused):
    """A tag is protected from these credentials, or immutable for everybody; others would say the same."""


class PatternRefused(Refused):
    """A pattern of protected or immutable tags in the token cannot be used, or there are too many."""


class TooManyRequests(Refused):
    """The caller has used up its share for now."""

    def __init__(self, message: str, *, retry_after: timedelta, **detail: object) -> None:
        super().__init__(message, **detail)
        self.retry_after = retry_after


class OutOfService(Refused):
    """A health check of this node fails, so that nothing is answered until it passes; it is nobody's mistake."""


class RouteUnknown(Refused):
    """The path is none of this registry's."""


class MethodNotAllowed(Refused):
    """The path does not have this method, or the configuration switched it off."""

    def __init__(self, message: str, *, allowed: Sequence[str], **detail: object) -> None:
        super().__init__(message, **detail)
        self.allowed = tuple(allowed)


class BackendError(MoorageError):
    """Something under us failed. Trying again may help; the text is for the log, not for the caller."""


class StorageFull(BackendError):
    """No space (or no quota) is left where the bytes should go. Nothing of the request was made visible."""


class StorageUnavailable(BackendError):
    """The storage failed in a way that it should not have."""


class BeingRemoved(BackendError):
    """Garbage collection is removing the bytes of a blob that is being pushed, and has not finished in time."""


class StorageBusy(BackendError):
    """Another writer has the object open."""


class PathUnknown(BackendError):
    """There is nothing at a storage path."""

    def __init__(self, path: str) -> None:
        super().__init__(f"nothing at {path}")
        self.path = path


class DatabaseUnavailable(BackendError):
    """The database did not answer, not in time, or cannot be written to now. Nobody knows if it happened."""


class DatabaseContended(DatabaseUnavailable):
    """Another process holds what was needed, and did not let go of it in time. Nothing was changed."""


class DatabaseConflict(BackendError):
    """A constraint of the database forbids a change: something else happened first."""


class MigrationFailed(BackendError):
    """A migration could not be applied, undone or run to its end; what was before it is kept."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a configuration: where it is (``storage.s3.chunksize``) and what would be right."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigurationError(MoorageError):
    """The configuration cannot be used. Carries every mistake, not only the first."""

    def __init__(self, mistakes: Sequence[Mistake], warnings: Sequence[str] = ()) -> None:
        """*warnings* are what else should be said: a mistake may come from a key that is only misspelt."""
        super().__init__("; ".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)
