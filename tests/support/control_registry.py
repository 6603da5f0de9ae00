"""The control plane's client of a daemon that asks for no token, and a clock that tests move."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.test import override_settings

from moorage.auth.claims import AccessClaim
from moorage.control.jobs.loop import Turn
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import talking_to
from moorage.control.registry.transport import RegistryTransport
from support.images import Image, image, push_image
from support.registry_client import RegistryClient


class MovedClock:
    """A clock that stands still until it is moved.

    It begins at noon of tomorrow: rows that were begun by the real time are past for it, whatever day the tests run on.
    """

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.turn = Turn(clock=lambda: self.now)

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def no_token(access: Sequence[AccessClaim]) -> str:
    """A registry that asks for no token gets none."""
    del access
    return ""


@contextmanager
def registry_at(url: str) -> Iterator[ControlRegistry]:
    """The registry at *url* as the control plane's own."""
    transport = RegistryTransport(url, no_token)
    try:
        with talking_to(ControlRegistry(transport)) as registry:
            yield registry
    finally:
        transport.close()


@contextmanager
def registry_off() -> Iterator[None]:
    """A site whose ``registry.enabled`` is false."""
    whole = settings.MOORAGE.configuration
    off = whole.model_copy(update={"registry": whole.registry.model_copy(update={"enabled": False})})
    with override_settings(MOORAGE=replace(settings.MOORAGE, configuration=off)):
        yield


def push_tags(address: str, path: str, *names: str) -> dict[str, Image]:
    """Push an image of its own for each tag."""
    with RegistryClient(address) as pusher:
        return {name: push_image(pusher, path, name, image(f"{path}:{name}")) for name in names}
