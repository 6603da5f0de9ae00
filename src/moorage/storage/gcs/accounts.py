"""Google accounts: where credentials come from, tokens that are new in time, and signatures in the account's name.

The vendor's library, which only knows how to wait, does all of that in threads.
"""

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import google.auth
from google.auth import exceptions
from google.auth.credentials import Credentials, TokenState
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from moorage.errors import ConfigurationError, Mistake, StorageUnavailable
from moorage.permissions import reason_of

KEY = "storage.gcs"
STORAGE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
ANY_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SIGNING_URL = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:signBlob"
_TIMEOUT_S = 10
_EMAIL = re.compile(r"[^@/\s]+@[^@/\s]+")

_T = TypeVar("_T")


class SigningDenied(StorageUnavailable):
    """The account may not sign in its own name."""


def account_of_key(info: Mapping[str, Any], *, key: str) -> "GoogleAccount":
    """Make the account that a service account's key is of; *key* is where it stands in the configuration.

    Raises:
        ConfigurationError: it is no such key.
    """
    kind = info.get("type")
    if kind != "service_account":
        # Other kinds name a program to run or an address to ask, so they come from the environment only.
        message = (
            f"a key of a service account is needed (type: service_account), not type: {kind}; other credentials are "
            f"found by GOOGLE_APPLICATION_CREDENTIALS, when neither keyfile nor credentials is given"
        )
        raise ConfigurationError([Mistake(key, message)])
    try:
        made = service_account.Credentials.from_service_account_info(info, scopes=[STORAGE_SCOPE])  # type: ignore[no-untyped-call]
    except (ValueError, exceptions.GoogleAuthError):  # The text may repeat what it could not read.
        message = (
            "the key of a service account cannot be used: it needs client_email, token_uri and a private_key in PEM"
        )
        raise ConfigurationError([Mistake(key, message)]) from None
    return GoogleAccount(made)


def account_of_file(path: str) -> "GoogleAccount":
    """Make the account of a key file.

    Raises:
        ConfigurationError: it cannot be read, or is no key of a service account.
    """
    key = f"{KEY}.keyfile"
    try:
        info = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError([Mistake(key, f"{path} cannot be read: {reason_of(exc, path, 'read')}")]) from exc
    except ValueError:
        info = None
    if not isinstance(info, dict):
        message = f"{path} is not the JSON file of a service account's key, as Google's console gives it out"
        raise ConfigurationError([Mistake(key, message)])
    return account_of_key(info, key=key)


def account_of_surroundings() -> "GoogleAccount":
    """Find the account that this machine or the environment has: Google's application default credentials. Blocks.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        made, _ = google.auth.default(scopes=[ANY_SCOPE])
    except exceptions.GoogleAuthError as exc:
        message = (
            f"no credentials were found: give keyfile or credentials, set GOOGLE_APPLICATION_CREDENTIALS to a file, "
            f"or give the machine a service account ({_first_line(exc)})"
        )
        raise ConfigurationError([Mistake(KEY, message)]) from exc
    return GoogleAccount(made)


class GoogleAccount:
    """An account that asks for objects, and signs URLs if it can.

    Args:
        credentials: of the vendor's library; None for who is asked by nobody.
        signing_url: of IAM, for accounts whose key is not here.
    """

    def __init__(self, credentials: Credentials | None, *, signing_url: str = SIGNING_URL) -> None:
        self._credentials = credentials
        self._signing_url = signing_url
        self._renewal: asyncio.Task[None] | None = None

    @property
    def has_key(self) -> bool:
        """True if it signs by a key of its own, without asking anybody."""
        return isinstance(self._credentials, service_account.Credentials)

    @property
    def is_nobody(self) -> bool:
        """True if requests carry no token, and nothing can be signed."""
        return self._credentials is None

    @property
    def email(self) -> str:
        """The name of the service account; empty if it is none, or not known before the first token."""
        found = getattr(self._credentials, "service_account_email", None)
        return found if isinstance(found, str) and _EMAIL.fullmatch(found) else ""

    async def authorization(self) -> str:
        """Return the header of a request; empty for anonymous ones.

        Raises:
            StorageUnavailable: Google gave no token.
        """
        if self._credentials is None:
            return ""
        state = self._credentials.token_state
        if state is TokenState.INVALID:
            await asyncio.shield(self._renewed())
        elif state is TokenState.STALE:
            # It is good for a few minutes more: nobody has to wait.
            self._renewed().add_done_callback(_look_at)
        return f"Bearer {self._credentials.token}"

    async def renew(self, refused: str) -> None:
        """Get another token in place of the one in the header *refused*, if nobody has done it meanwhile."""
        if self._credentials is not None and f"Bearer {self._credentials.token}" == refused:
            await asyncio.shield(self._renewed())

    async def signing_email(self) -> str:
        """Return the name that signatures are in; a machine's account is asked for it.

        Raises:
            SigningDenied: it is no service account.
            StorageUnavailable: Google gave no token.
        """
        if not self.email:
            await self.authorization()
        if not self.email:
            msg = "the credentials are no service account's, so they cannot sign"
            raise SigningDenied(msg)
        return self.email

    async def sign(self, text: bytes) -> bytes:
        """Sign with RSA and SHA-256, by the account's key or by asking IAM.

        Raises:
            SigningDenied: IAM says that it may not.
            StorageUnavailable: IAM did not answer.
        """
        if isinstance(self._credentials, service_account.Credentials):
            signature: bytes = self._credentials.sign_bytes(text)
            return signature
        header = await self.authorization()
        return await self._in_thread(lambda: self._signed_elsewhere(text, header))

    async def close(self) -> None:
        """Wait for a token that is being asked for."""
        if self._renewal is not None:
            with contextlib.suppress(StorageUnavailable, asyncio.CancelledError):
                await self._renewal

    def _renewed(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._in_thread(self._renew))
        return self._renewal

    def _renew(self) -> None:
        assert self._credentials is not None  # noqa: S101 - who has none never asks
        self._credentials.refresh(_request)  # type: ignore[no-untyped-call]

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.to_thread(work)
        except exceptions.GoogleAuthError as exc:
            msg = f"Google gave no token for the account: {_first_line(exc)}"
            raise StorageUnavailable(msg) from exc

    def _signed_elsewhere(self, text: bytes, header: str) -> bytes:
        asked = json.dumps({"payload": base64.b64encode(text).decode()}).encode()
        headers = {"Authorization": header, "Content-Type": "application/json"}
        url = self._signing_url.format(email=self.email)
        answer = _request(url, method="POST", body=asked, headers=headers)
        if answer.status in {401, 403, 404}:
            msg = (
                f"{self.email} may not sign: give it the role Service Account Token Creator on itself "
                f"(roles/iam.serviceAccountTokenCreator), and enable the API iamcredentials.googleapis.com"
            )
            raise SigningDenied(msg)
        try:
            return base64.b64decode(json.loads(answer.data)["signedBlob"], validate=True)
        except (ValueError, KeyError, TypeError):
            msg = f"IAM did not sign: status {answer.status}"
            raise StorageUnavailable(msg) from None


def _request(url: str, method: str = "GET", **options: Any) -> Any:  # noqa: ANN401 - as the library calls it
    options["timeout"] = min(options.get("timeout") or _TIMEOUT_S, _TIMEOUT_S)
    return Request()(url, method=method, **options)


def _look_at(task: asyncio.Task[None]) -> None:
    # Who needs it next asks again, and has the error.
    if not task.cancelled():
        task.exception()


def _first_line(exc: BaseException) -> str:
    text = str(exc.args[0]) if exc.args else type(exc).__name__
    return text.splitlines()[0][:300] if text else type(exc).__name__
