"""The service's answers that are no success, each as an error of ours; the only place that knows their codes."""

import re
from collections.abc import Callable

from moorage.errors import BackendError, PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.remote.attempts import PASSING_STATUSES
from moorage.storage.remote.exchange import StoreAnswer

OTHER_TYPE = frozenset({"InvalidBlobType"})
"""The blob that is there was written as another type, by another registry, and cannot be replaced by ours."""
THERE = frozenset({"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"})
CHANGED = frozenset({"ConditionNotMet", "TargetConditionNotMet"})
NO_BLOCKS = frozenset({"InvalidBlockList"})
REFUSED_PROOF = frozenset({"AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"})
"""The signature or the token was refused: perhaps only because a clock is wrong, or as the token has ended."""

_MISSING = frozenset({"BlobNotFound", "ResourceNotFound", "CannotVerifyCopySource"})
_NO_FULL = frozenset({"AccountLimitExceeded", "InsufficientStorage"})
_INSUFFICIENT_STORAGE = 507
_NOT_FOUND = 404
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>([^<\r\n]{1,300})")

_ROLE = "Storage Blob Data Contributor"
_GRANTS: dict[str, str] = {
    "AuthenticationFailed": "the account's key or the token is not accepted: give the key as the portal shows it under "
    "Access keys, and see that the machine's clock is right",
    "InvalidAuthenticationInfo": "the token is not accepted: see that tenant_id, client_id and realm are of this "
    "account's directory",
    "NoAuthenticationInformation": "the service wants credentials of another kind than credentials_type names",
    "AuthorizationPermissionMismatch": f"the identity may not do this: grant it the role {_ROLE} on the container",
    "InsufficientAccountPermissions": f"the identity may not do this: grant it the role {_ROLE} on the container",
    "AuthorizationFailure": "the account's network rules refuse this machine, or the key is not accepted: allow the "
    "machine's network under Networking, give a private endpoint as serviceurl, or give the key as the portal shows it",
    "KeyBasedAuthenticationNotPermitted": "the account takes no shared keys: set credentials_type to client_secret or "
    f"default_credentials, and grant the identity the role {_ROLE} on the container",
    "ContainerNotFound": "there is no such container: create it, private, in this account",
    "ContainerBeingDeleted": "the container is being deleted: wait, or name another one",
    "AccountIsDisabled": "the account is disabled: enable it",
    "BlobImmutableDueToPolicy": "the container keeps its blobs unchanged by a policy: remove the policy, or run "
    "read-only",
    "SnapshotsPresent": "the blob has snapshots, which somebody has made: remove them first",
    "BlobArchived": "the blob is in the archive tier, where it cannot be read: move it to another tier",
}
"""The code of an answer, and what to do about it."""


def code_of(answer: StoreAnswer) -> str:
    """Return the service's own word for what went wrong; empty if the answer has none."""
    found = answer.headers.get("x-ms-error-code", "")
    if not found and (match := _CODE.search(answer.body[:4096])):
        found = match[1].decode("ascii")
    return found


def is_passing(answer: StoreAnswer) -> bool:
    """Return whether the same request may do better a little later."""
    return answer.status in PASSING_STATUSES or code_of(answer) in {"ServerBusy", "OperationTimedOut"}


def error_of(answer: StoreAnswer, path: str, *, what: str) -> BackendError:
    """Make the error for an answer to a request about *path*; *what* is the request's name."""
    code = code_of(answer)
    if answer.status == _NOT_FOUND and code in _MISSING:
        return PathUnknown(path)
    make: Callable[[str], BackendError] = StorageUnavailable
    if answer.status == _INSUFFICIENT_STORAGE or code in _NO_FULL:
        make = StorageFull
    message = _MESSAGE.search(answer.body[:4096])
    said = message[1].decode("utf-8", "replace").strip() if message else ""
    told = _GRANTS.get(code) or said or "the service did not say why"
    return make(f"{path}: {what} was answered {answer.status} {code}".rstrip() + f": {told}")
