"""The servers of a database, and how each is: a primary, and replicas where there are any."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ServerState = Literal["online", "quarantined", "unknown", "unreachable"]
"""Source: GitLab features HLT-002, ``health/db.go``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseServer:
    """One server, as this process sees it."""

    address: str
    is_primary: bool
    state: ServerState
    fault: str = ""
    """The reason to read nothing there; empty: reads go there."""
    asked_at: datetime | None = None
    held_since: datetime | None = None
    """Since when it is in quarantine; None: it is not."""
