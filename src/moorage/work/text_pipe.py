"""A pipe of short texts between the processes of a node: what all of them may tell, and one of them does."""

import contextlib
import os
import select
import weakref
from collections.abc import Sequence

from moorage.handed_on import hand_on

_READ_BYTES = 64 << 10
"""As much as a pipe holds, if nobody has changed that."""


class TextPipe:
    """Texts on their way, for which nobody ever waits. Make it before the processes that share it.

    What there is no room for is lost: it is for what can be told again, or left.
    """

    def __init__(self, ends: tuple[int, int] | None = None) -> None:
        """*ends*: those of a pipe that was handed on."""
        self._reading, self._writing = ends or os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, False)
            weakref.finalize(self, os.close, end)
        self._rest = b""

    def __reduce__(self) -> tuple[object, tuple[tuple[int, int]]]:
        ends = self._reading, self._writing
        hand_on(*ends)
        return TextPipe, (ends,)

    def tell(self, text: str) -> bool:
        """Send a text, which has no line ends; return whether there was room for it."""
        line = f"{text}\n".encode()
        if len(line) > select.PIPE_BUF:  # It could be mixed with what others send at the same time.
            return False
        try:
            os.write(self._writing, line)
        except BlockingIOError:
            return False
        return True

    def take(self) -> Sequence[str]:
        """Return what has come since the last call. For one process only."""
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self._reading, _READ_BYTES)
        *lines, self._rest = self._rest.split(b"\n")
        return [line.decode() for line in lines]
