"""Two registries that something is copied between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.in_process import InProcess
from support.registry_client import RegistryClient


@pytest.fixture
def registries(tmp_path: Path) -> Iterator[tuple[RegistryClient, RegistryClient]]:
    """A source and a target, as their clients see them."""
    (tmp_path / "target").mkdir()
    with (
        InProcess(None) as source,
        InProcess(tmp_path / "target") as target,
        RegistryClient(source.address) as ours,
        RegistryClient(target.address) as theirs,
    ):
        yield ours, theirs
