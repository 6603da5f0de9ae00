"""Who runs what, where several processes share the tests: whole files, longest rooms first.

A fixture that a file or a class shares is then made once; with tests handed out singly every process made it.
ADR 157 has the figures.
"""

from xdist.scheduler import LoadGroupScheduling

_ROOMS = ("e2e", "browser", "property", "contract", "spec", "control", "unit")
"""Those whose files take longest come first: what is left at the end, for one process alone, is then short."""


class WholeFiles(LoadGroupScheduling):  # type: ignore[misc] # the library has no types
    """Gives a process a file's tests together, and those of a group (``xdist_group``) whatever their files."""

    def _split_scope(self, nodeid: str) -> str:
        group = str(super()._split_scope(nodeid))
        return nodeid.partition("::")[0] if group == nodeid else group


def place_of(nodeid: str, *, has_group: bool) -> tuple[bool, int]:
    """Return when a test should begin, as a key to sort by: groups first, as they are long, then room by room."""
    room = nodeid.split("/")[1]
    return not has_group, _ROOMS.index(room) if room in _ROOMS else len(_ROOMS)
