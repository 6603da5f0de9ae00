"""Counting what is asked of a store."""

from typing import Protocol


class StoreTally(Protocol):
    """Something that counts requests to a store. *kind* is the vendor's name of the request, ``GetObject``."""

    def answered(self, kind: str, seconds: float) -> None:
        """Count a request with all its attempts, whatever came of it."""

    def tried_again(self, kind: str) -> None:
        """Count an attempt after the first."""

    def throttled(self, kind: str) -> None:
        """Count an answer that says we ask too much, or a wait for our own limit."""


class NoTally:
    """A tally for where nobody asks."""

    def answered(self, kind: str, seconds: float) -> None:
        """Do nothing."""

    def tried_again(self, kind: str) -> None:
        """Do nothing."""

    def throttled(self, kind: str) -> None:
        """Do nothing."""
