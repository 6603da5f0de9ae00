"""Credentials: those of the configuration, or those that AWS's own tools would find.

Those are looked for by aiobotocore: environment, profile, web identity, container (ECS, EKS), machine (IMDSv2); it also
renews them before they expire.
"""

from typing import Any, Protocol

from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError

from moorage.errors import ConfigurationError, Mistake, StorageUnavailable
from moorage.storage.s3.signing import S3Credentials


class CredentialSource(Protocol):
    """Somewhere that credentials come from."""

    async def current(self) -> S3Credentials:
        """Return credentials that are good now.

        Raises:
            ConfigurationError: there are none.
            StorageUnavailable: they cannot be had now.
        """


class GivenCredentials:
    """Credentials that the configuration has."""

    def __init__(self, credentials: S3Credentials) -> None:
        self._credentials = credentials

    async def current(self) -> S3Credentials:
        """See the interface."""
        return self._credentials


class FoundCredentials:
    """Credentials as AWS's own tools find them. *key*: the section, for what is said."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._found: Any = None
        self._seen: Any = None
        self._current: S3Credentials | None = None

    async def current(self) -> S3Credentials:
        """See the interface."""
        try:
            if self._found is None:
                self._found = await AioSession().get_credentials()
            if self._found is None:
                message = (
                    "no credentials were found: give accesskey and secretkey, or AWS_ACCESS_KEY_ID and "
                    "AWS_SECRET_ACCESS_KEY in the environment, or let the machine or the pod have a role"
                )
                raise ConfigurationError([Mistake(self._key, message)])
            frozen = await self._found.get_frozen_credentials()
        except (BotoCoreError, ClientError, OSError, RuntimeError) as exc:
            msg = f"credentials for S3 cannot be had: {exc}"
            raise StorageUnavailable(msg) from exc
        if self._current is None or frozen is not self._seen:
            self._seen = frozen
            self._current = S3Credentials(
                frozen.access_key,
                frozen.secret_key,
                frozen.token or "",
                expires_at=getattr(self._found, "_expiry_time", None),
            )
        return self._current
