"""A check from its beginning, or from where it was ended, to its end."""

from collections.abc import Sequence
from typing import Protocol

from moorage.integrity.progress import CheckProgress


class Part(Protocol):
    """A part of a check."""

    name: str

    async def run(self, progress: CheckProgress, position: str) -> None:
        """Do it, from *position* (empty: its beginning)."""


async def check(parts: Sequence[Part], progress: CheckProgress) -> None:
    """Do all parts that are not done yet.

    Raises:
        BackendError: storage or database cannot be asked. What was found until then is kept, to go on with.
    """
    names = [part.name for part in parts]
    state = progress.state
    begin = names.index(state.phase) if state.phase in names else 0
    for part in parts[begin:]:
        position = state.position if part.name == state.phase else ""
        progress.moved(0.0)
        await progress.reached(part.name, position)
        await progress.save()
        await part.run(progress, position)
    await progress.finish()
