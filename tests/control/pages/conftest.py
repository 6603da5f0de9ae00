"""A registry behind the pages."""

from collections.abc import Iterator

import pytest

from moorage.control.registry.client import ControlRegistry
from support.control_registry import registry_at
from support.daemon import Daemon


@pytest.fixture
def registry(shared_daemon: Daemon) -> Iterator[ControlRegistry]:
    """The daemon of the session as the control plane's registry."""
    with registry_at(shared_daemon.url) as found:
        yield found
