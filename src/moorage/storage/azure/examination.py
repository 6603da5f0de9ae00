"""Examination of a container at a start: one sentence for each thing that is missing, with what to grant."""

from moorage.errors import BackendError, ConfigurationError, Mistake, PathUnknown, StorageUnavailable
from moorage.storage.azure.answers import code_of, error_of
from moorage.storage.azure.blob_keys import BlobKeys
from moorage.storage.azure.container import ContainerLine
from moorage.storage.base import StorageDriver
from moorage.storage.remote.attempts import PASSING_STATUSES
from moorage.storage.remote.exchange import StoreAnswer
from moorage.storage.remote.remote_driver import PROBES

_OK = 200
_KEYS = {
    "ContainerNotFound": "container",
    "ContainerBeingDeleted": "container",
    "AuthenticationFailed": "accountkey",
    "KeyBasedAuthenticationNotPermitted": "credentials_type",
    "InvalidAuthenticationInfo": "credentials_type",
    "NoAuthenticationInformation": "credentials_type",
}
"""The key of the configuration that an answer's code is about; others are about the container."""


async def examine(driver: StorageDriver, line: ContainerLine, keys: BlobKeys, *, where: str, can_write: bool) -> None:
    """See :meth:`~moorage.storage.remote.remote_driver.RemoteDriver.examine`; *where*: of the section."""
    query = {"restype": "container", "comp": "list", "maxresults": "1", "prefix": keys.root}
    answer = await line.ask("ListBlobs", "GET", query=query)
    _check(answer, line, where)
    answer = await line.ask("GetAccountInformation", "HEAD", query={"restype": "account", "comp": "properties"})
    if answer.status == _OK and answer.headers.get("x-ms-is-hns-enabled") == "true":
        message = (
            f"the account {line.place.account} has a hierarchical namespace, in which folders stay when their blobs "
            "have gone; use an account without it"
        )
        raise ConfigurationError([Mistake(f"{where}.accountname", message)])
    await driver.url_for(f"{PROBES}/none", expires_s=60)  # Logs it if URLs cannot be signed.
    if not can_write:
        return
    try:
        await driver.probe()
    except BackendError as exc:
        if isinstance(exc, StorageUnavailable | PathUnknown) and _is_about_rights(exc):
            raise ConfigurationError([Mistake(f"{where}.container", str(exc))]) from exc
        raise


def _check(answer: StoreAnswer, line: ContainerLine, where: str) -> None:
    if answer.status == _OK:
        return
    place = line.place
    error = error_of(answer, f"container {place.container} of account {place.account}", what="ListBlobs")
    if answer.status in PASSING_STATUSES:
        raise error
    raise ConfigurationError([Mistake(f"{where}.{_KEYS.get(code_of(answer), 'container')}", str(error))])


def _is_about_rights(exc: BackendError) -> bool:
    return any(f"was answered {status} " in str(exc) for status in (401, 403, 409))
