"""Moves of images whose process dies at a request of its choice."""

import contextlib
from collections.abc import Iterator
from typing import Any

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images import recording
from moorage.control.projects.models import Project
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import talking_to
from moorage.control.registry.transport import RegistryTransport, RemoteAnswer
from support.control_registry import no_token, push_tags
from support.daemon import Daemon


def pushed(daemon: Daemon, project: Project, *names: str) -> None:
    """Push an image to each repository of a project, and have its record."""
    for name in names:
        path = "/".join(part for part in (project.full_path, name) if part)
        recording.ensure_repository(project, path, by=COMMAND_LINE)
        push_tags(daemon.address, path, "1")


class Killed(BaseException):
    """The end of a process in the middle: nothing that follows is done."""


class DyingTransport(RegistryTransport):
    """Requests to a registry, until the process dies at one of them: before it is sent, or before its answer comes."""

    def __init__(self, url: str, *, at: int, is_sent: bool) -> None:
        super().__init__(url, no_token)
        self.requests = 0
        self._at, self._is_sent = at, is_sent

    def send(self, method: str, path: str, **more: Any) -> RemoteAnswer:  # noqa: ANN401 - as the real one
        self.requests += 1
        if self.requests == self._at and not self._is_sent:
            raise Killed
        answer = super().send(method, path, **more)
        if self.requests == self._at:
            raise Killed
        return answer


@contextlib.contextmanager
def dying(url: str, *, at: int, is_sent: bool) -> Iterator[DyingTransport]:
    transport = DyingTransport(url, at=at, is_sent=is_sent)
    with contextlib.closing(transport), talking_to(ControlRegistry(transport)):
        yield transport
