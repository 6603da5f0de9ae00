"""Fixtures of the specification's tests: a client whose every response is checked, and daemons with a configuration."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from spec.expect import holds_for_every_response
from support.daemon import Daemon
from support.in_process import InProcess, on_bucket
from support.loop_watch import LIMIT_S, environment
from support.registry_client import RegistryClient

Configured = Callable[..., Daemon]


@pytest.fixture(scope="session", autouse=True)
def _watched_loops(held_loops: Path) -> Iterator[None]:
    """Every registry that these tests start is watched, in this process or as a daemon."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(held_loops).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def _loops_are_free(held_loops: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """No test keeps an event loop from others for long (ADR 0031)."""
    held_loops.write_text("")
    yield
    found = held_loops.read_text()
    marker = request.node.get_closest_marker("crowd")
    allowed_s = LIMIT_S if marker is None else marker.args[0]
    taken_s = [float(taken) for taken in re.findall(r"^(\d+\.\d+) s of CPU time", found, re.MULTILINE)]
    assert max(taken_s, default=0.0) <= allowed_s, found


@pytest.fixture(scope="session")
def shared_address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a registry listens that many tests share; see ``on_bucket`` of ``support/in_process.py``."""
    if not on_bucket():
        yield request.getfixturevalue("shared_daemon").address
        return
    with InProcess(None) as registry:
        yield registry.address


@pytest.fixture
def registry(shared_address: str) -> Iterator[RegistryClient]:
    """A client of the shared registry."""
    with RegistryClient(shared_address, observe=holds_for_every_response) as client:
        yield client


@pytest.fixture(scope="class")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configured]:
    """Start daemons: ``configured("http: {relativeurls: true}")``. They stop at the end of the test class.

    *storage* is the inside of the storage section beside the driver; *folder* that of an earlier daemon, whose
    content is then there.
    """
    with ExitStack() as stack:

        def start(
            sections: str = "", *, storage: str = "delete: {enabled: true}", folder: Path | None = None
        ) -> Daemon:
            place = folder or tmp_path_factory.mktemp("configured")
            driver = f"filesystem: {{rootdirectory: '{place / 'data'}'}}"
            config = f"version: 0.1\nstorage: {{{driver}, {storage}}}\n{sections}\n"
            return stack.enter_context(Daemon(place, config=config))

        yield start
