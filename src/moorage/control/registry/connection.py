"""The registry that this process talks to: made once, of the configuration and of a function that mints tokens."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.internal_access import MintToken
from moorage.control.registry.transport import RegistryTransport

_lock = threading.Lock()
_minting: list[MintToken] = []
_made: list[ControlRegistry] = []


def mint_internal_tokens_by(mint: MintToken) -> None:
    """Say, as the process starts, which function makes tokens for the control plane's own calls."""
    with _lock:
        _minting[:] = [mint]
        _made.clear()


def the_registry() -> ControlRegistry:
    """Return the registry of ``registry.api_url``; connections are made when they are needed.

    Raises:
        RuntimeError: nothing says how tokens are made.
    """
    with _lock:
        if not _made:
            if not _minting:
                msg = "mint_internal_tokens_by was not called"
                raise RuntimeError(msg)
            url = settings.MOORAGE.configuration.registry.api_url
            _made.append(ControlRegistry(RegistryTransport(url, _minting[0])))
        return _made[0]


@contextmanager
def talking_to(registry: ControlRegistry) -> Iterator[ControlRegistry]:
    """Use another registry meanwhile, for tests and for a command that is told one."""
    with _lock:
        before = list(_made)
        _made[:] = [registry]
    try:
        yield registry
    finally:
        with _lock:
            _made[:] = before


RegistrySource = Callable[[], ControlRegistry]
