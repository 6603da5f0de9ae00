"""Report on the servers of the database, in the form of GitLab's registry.

Source: GitLab features HLT-002, ``health/db.go``. Where no replicas are configured it is healthy if the primary is;
GitLab calls that unhealthy.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from moorage.sql.base import Database
from moorage.sql.members import DatabaseServer

_FRESH_S = 2.0
_DEADLINE_S = 5.0


class DatabaseReport:
    """Asks every server when a report is asked for, at most every two seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._found: Mapping[str, object] = {}

    async def ask(self) -> Mapping[str, object]:
        """Return the report."""
        async with self._lock:
            if time.monotonic() - self._asked_at >= _FRESH_S:
                servers = await self._database.servers(limit_s=_DEADLINE_S)
                self._found = shown(servers, has_replicas=self._database.has_replicas)
                self._asked_at = time.monotonic()
        return self._found


def shown(servers: Sequence[DatabaseServer], *, has_replicas: bool) -> Mapping[str, object]:
    """Return what is told of *servers*; *has_replicas*: reads may go to replicas, if there are any."""
    primary = next((_row(server) for server in servers if server.is_primary), None)
    replicas = [server for server in servers if not server.is_primary]
    report: dict[str, object] = {"overall_status": _overall(servers, has_replicas=has_replicas), "primary": primary}
    if replicas:
        report["replicas"] = [_row(server) for server in replicas]
    return report


def _overall(servers: Sequence[DatabaseServer], *, has_replicas: bool) -> str:
    if not any(server.is_primary and server.state == "online" for server in servers):
        return "unhealthy"
    states = {server.state for server in servers if not server.is_primary}
    if not has_replicas or "online" in states:
        return "healthy"
    return "unknown" if "unknown" in states else "unhealthy"


def _row(server: DatabaseServer) -> Mapping[str, str]:
    row = {"address": server.address, "status": str(server.state)}
    if server.held_since is not None:
        row["quarantined_at"] = _moment(server.held_since)
    if server.asked_at is not None:
        row["last_pinged_at"] = _moment(server.asked_at)
    if server.fault:
        row["reason"] = server.fault  # Ours: GitLab leaves it to the log.
    return row


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
