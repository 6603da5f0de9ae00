"""The key that tokens are signed with: ``registry.key``, read again when it has changed.

It is a PEM file, as GitLab has it, or a folder whose keys ``moorage token rotate`` changes.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

from moorage.auth.tokens import SigningKey
from moorage.auth.watched import Watched
from moorage.errors import ConfigurationError, Mistake
from moorage.token_server.key_ring import FILE_LIMIT_BYTES, KeyFolder, KeyRing


class _Begun(NamedTuple):
    """A key, and from when it signs, in seconds since 1970."""

    signs_from: float
    key: SigningKey


class RegistryKey:
    """The key of one file or folder."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read it.

        Raises:
            ConfigurationError: it cannot be used.
        """
        self._lock = threading.Lock()
        is_folder = path.is_dir()
        file = KeyFolder(path).private if is_folder else path
        try:
            self._keys: Watched[Sequence[_Begun]] = Watched(
                file, _keys_of_ring if is_folder else _key_of_pem, limit_bytes=FILE_LIMIT_BYTES, monotonic=monotonic
            )
        except OSError as exc:
            raise ConfigurationError([Mistake("registry.key", f"cannot read {file}: {exc.strerror}")]) from None
        except ValueError as exc:
            raise ConfigurationError([Mistake("registry.key", f"{file} cannot be used: {exc}")]) from None

    def signing(self, now: float) -> SigningKey:
        """Return the key to sign with at *now*, in seconds since 1970: the last that has begun, or the first."""
        with self._lock:
            keys = self._keys.get()
        return next((one.key for one in reversed(keys) if one.signs_from <= now), keys[0].key)


def registry_key() -> RegistryKey:
    """Return the key of this process's configuration.

    Raises:
        ConfigurationError: it cannot be used.
    """
    return _read(settings.MOORAGE.configuration.registry.key)


@lru_cache(maxsize=1)
def _read(path: str) -> RegistryKey:
    return RegistryKey(Path(path))


def _keys_of_ring(content: bytes) -> Sequence[_Begun]:
    return [_Begun(key.signs_from, SigningKey.read(key.private.encode())) for key in KeyRing.parse(content).keys]


def _key_of_pem(content: bytes) -> Sequence[_Begun]:
    return [_Begun(0.0, SigningKey.read(content))]
