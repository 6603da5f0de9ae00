"""The doctor finds fault with a registry in memory, so its folders are on a disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.surroundings import folder_on_disk


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder on a disk, in place of pytest's."""
    with folder_on_disk() as folder:
        yield folder
