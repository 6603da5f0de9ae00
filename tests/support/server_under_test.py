"""A server of ours in processes of its own: started and stopped by a block, and asked at the end for its mistakes."""

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

_SHOWN = 4000


class ServerUnderTest(ABC):
    """``with`` it, the server runs; the end of the block stops it and fails if it left a traceback in its log."""

    log_path: Path

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        if kind is None:
            assert "Traceback (most recent call last)" not in self.log, self.log[-_SHOWN:]

    @property
    def log(self) -> str:
        """All that it has written until now."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @abstractmethod
    def start(self) -> None:
        """Start it, and wait until it answers."""

    @abstractmethod
    def stop(self) -> int:
        """Stop it, and return its exit status."""
