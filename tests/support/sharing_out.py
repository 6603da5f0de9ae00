"""Who runs what, where several processes share the tests: whole files, longest rooms first.

A fixture that a file or a class shares is then made once; with tests handed out singly every process made it.
ADR 157 has the figures.
"""

from collections.abc import Sequence

import pytest
from xdist.scheduler import LoadGroupScheduling

_ROOMS = ("e2e", "browser", "property", "contract", "spec", "control", "unit")
"""Those whose files take longest come first: what is left at the end, for one process alone, is then short."""


class WholeFiles(LoadGroupScheduling):  # type: ignore[misc] # the library has no types
    """Gives a process a file's tests together, and those of a group (``xdist_group``) whatever their files."""

    def _split_scope(self, nodeid: str) -> str:
        group = super()._split_scope(nodeid)
        return file_of(nodeid) if group == nodeid else group


def file_of(nodeid: str) -> str:
    """Return the file in which a test is."""
    return nodeid.partition("::")[0]


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests in the order in which they should begin: groups, as they are long, then room by room."""
    return sorted(items, key=_place)


def _place(item: pytest.Item) -> tuple[bool, int]:
    room = item.nodeid.split("/")[1]
    return item.get_closest_marker("xdist_group") is None, _ROOMS.index(room) if room in _ROOMS else len(_ROOMS)
