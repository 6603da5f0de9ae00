"""Answers of S3: what is in them, and what an error means to an administrator."""

import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from moorage.errors import BackendError, StorageFull, StorageUnavailable
from moorage.storage.remote.attempts import PASSING_STATUSES
from moorage.storage.remote.exchange import StoreAnswer, StoreCall

_PASSING = frozenset(
    {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "Throttling"}
    | {"ConditionalRequestConflict"}  # Another writer was there at the same time: the next attempt finds who was first.
)
_FULL = frozenset({"QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"})
_FULL_STATUS = 507
_MISSING = frozenset({"NotImplemented", "MethodNotAllowed"})
LATE_ERRORS = frozenset({"CompleteMultipartUpload", "CopyObject", "DeleteObjects", "UploadPartCopy"})
"""Requests that are answered by 200 before they are done: an error comes in the body."""
_RESULT = "Result"
"""All that S3 answers in XML, and that is no error, is called something that ends so."""
RIGHTS = {
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CopyObject": "s3:PutObject and s3:GetObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject and s3:GetObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
"""The right that each request needs; the keys are all requests that a registry makes. The doctor's may be refused."""
_OF_BUCKET = frozenset({"ListObjectsV2", "ListMultipartUploads"})
_EXPIRED = ("sessiontoken", "the credentials have expired: renew them")
_KEYS = {
    "InvalidAccessKeyId": ("accesskey", "the access key is not known there"),
    "SignatureDoesNotMatch": ("secretkey", "the signature does not match: is it the right secret key, and region?"),
    "ExpiredToken": _EXPIRED,
    "InvalidToken": ("sessiontoken", "the session token is not good"),
    "TokenRefreshRequired": _EXPIRED,
    "NoSuchBucket": ("bucket", "there is no such bucket: make it, or see region and regionendpoint"),
}


@dataclass(frozen=True, slots=True)
class S3Failure:
    """An error as S3 says it: a code, perhaps words, perhaps the region that was meant."""

    code: str = ""
    message: str = ""
    region: str = ""


def failure_of(call: StoreCall, answer: StoreAnswer) -> S3Failure | None:
    """Return the error that an answer says; None if it went well."""
    went_well = answer.status < 300  # noqa: PLR2004 - as HTTP numbers what went well
    if went_well and call.kind not in LATE_ERRORS:
        return None
    region = answer.headers.get("x-amz-bucket-region", "")
    root = _parsed(answer.body)
    if root is None or _name(root) != "Error":
        return None if went_well else S3Failure(region=region)
    return S3Failure(text_of(root, "Code"), text_of(root, "Message"), text_of(root, "Region") or region)


def is_passing(call: StoreCall, answer: StoreAnswer) -> bool:
    """Return whether the same request may do better a little later."""
    failure = failure_of(call, answer)
    return failure is not None and (answer.status in PASSING_STATUSES or failure.code in _PASSING)


class S3Refused(StorageUnavailable):
    """A request that the service will not do, however often it is asked."""

    def __init__(self, message: str, *, key: str, said: str, is_missing: bool) -> None:
        super().__init__(message)
        self.key = key
        """The parameter that may be wrong; empty: none in particular."""
        self.said = said
        self.is_missing = is_missing
        """True if the service does not have that kind of request."""


def error_for(call: StoreCall, answer: StoreAnswer, *, bucket: str) -> BackendError:
    """Return what to raise for an answer that is an error and says nothing about one object."""
    failure = failure_of(call, answer) or S3Failure()
    key, said = _said(call, answer, failure, bucket)
    message = f"{call.kind} of bucket {bucket}: {said}"
    if failure.code in _FULL or answer.status == _FULL_STATUS:
        return StorageFull(message)
    is_missing = failure.code in _MISSING or answer.status in (405, 501)
    if is_missing or (300 <= answer.status < 500 and not is_passing(call, answer)):  # noqa: PLR2004 - HTTP's
        return S3Refused(message, key=key, said=said, is_missing=is_missing)
    return StorageUnavailable(message)


def _said(call: StoreCall, answer: StoreAnswer, failure: S3Failure, bucket: str) -> tuple[str, str]:
    """The parameter that may be wrong, and what is."""
    if failure.code in _KEYS:
        return _KEYS[failure.code]
    if failure.region and (failure.code == "AuthorizationHeaderMalformed" or answer.status in (301, 307, 400)):
        return "region", f"the bucket is in another region: set it to {failure.region}"
    if answer.status in (301, 307):
        return "region", "the bucket is in another region"
    if answer.status == 403 and failure.code in ("", "AccessDenied", "AllAccessDisabled"):  # noqa: PLR2004 - HTTP's
        place = f"arn:aws:s3:::{bucket}" + ("" if call.kind in _OF_BUCKET else "/*")
        return "", f"the credentials may not do that: grant them {RIGHTS[call.kind]} on {place}"
    words = ", ".join(part for part in (failure.code, failure.message) if part)
    return "", f"status {answer.status}{f' ({words})' if words else ''}"


def xml_of(answer: StoreAnswer) -> ET.Element:
    """Parse the body of an answer.

    Raises:
        StorageUnavailable: it is not S3's XML: the service is not S3, or a proxy answered. Taken for a list, a page of
            a proxy would say that nothing is there, and what is there be collected as garbage.
    """
    root = _parsed(answer.body)
    if root is None or not _name(root).endswith(_RESULT):
        raise _other_service()
    return root


def root_named(answer: StoreAnswer, name: str) -> ET.Element | None:
    """Return the body of an answer whose XML is called *name*; None: it is something else."""
    root = _parsed(answer.body)
    return root if root is not None and _name(root) == name else None


def etag_of(headers: Mapping[str, str]) -> str:
    """Return the ETag that comes with each good answer about the bytes of an object.

    Raises:
        StorageUnavailable: there is none, so it is not S3 that answers. Taken for S3's, a proxy's page for people would
            say that something was written which is nowhere.
    """
    etag = headers.get("ETag", "")
    if not etag:
        raise _other_service()
    return etag


def check_done(answer: StoreAnswer) -> None:
    """See that a good answer to a removal is S3's, which has nothing to say then.

    Raises:
        StorageUnavailable: it has a page for people.
    """
    root = _parsed(answer.body)
    if answer.body.strip() and (root is None or _name(root) == "html"):
        raise _other_service()


def token_behind(root: ET.Element, *, asked: str) -> str:
    """Return where a list goes on; empty: this was the end. *asked*: where this page began.

    Raises:
        StorageUnavailable: it goes on, and the service does not say where. Taken for the end, what comes behind would
            be collected as garbage, or the copy of a storage lack it.
    """
    if text_of(root, "IsTruncated") != "true":
        return ""
    token = text_of(root, "NextContinuationToken")
    if token in ("", asked):
        msg = "the service says that a list goes on, and not where: does it know ListObjectsV2?"
        raise StorageUnavailable(msg)
    return token


def text_of(element: ET.Element, name: str) -> str:
    """Return the text of the child *name*; empty if there is none."""
    return element.findtext(f"{{*}}{name}") or ""


def texts_of(element: ET.Element, *names: str) -> Sequence[str]:
    """Return the texts of all elements at this path below *element*."""
    return [found.text or "" for found in element.findall("/".join(f"{{*}}{name}" for name in names))]


def key_in(text: str) -> str:
    """Decode a key of a list, which is asked for as in URLs as XML cannot have all characters."""
    return urllib.parse.unquote_plus(text)


def _parsed(body: bytes) -> ET.Element | None:
    try:
        return ET.fromstring(body.strip())  # noqa: S314 - of the store that has everybody's bytes, and bounded
    except ET.ParseError:
        return None


def _other_service() -> StorageUnavailable:
    return StorageUnavailable("the service answers otherwise than S3 does: is it S3, and is the endpoint right?")


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
