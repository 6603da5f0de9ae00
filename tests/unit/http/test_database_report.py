"""``/debug/health/db``: what each state of the servers comes to."""

from datetime import UTC, datetime

import pytest

from moorage.http.database_report import shown
from moorage.sql.members import DatabaseServer, ServerState

MOMENT = datetime(2026, 11, 29, 13, 14, 15, 678999, tzinfo=UTC)


def server(state: ServerState, *, is_primary: bool = False) -> DatabaseServer:
    return DatabaseServer(address=f"{state}:5432", is_primary=is_primary, state=state)


@pytest.mark.parametrize(
    ("primary", "replicas", "overall"),
    [
        ("online", ["online", "unreachable"], "healthy"),
        ("online", ["quarantined", "unknown"], "unknown"),
        ("online", ["quarantined", "unreachable"], "unhealthy"),
        ("online", [], "unhealthy"),
        ("unreachable", ["online"], "unhealthy"),
    ],
)
def test_the_whole_is_as_gitlab_judges_it(primary: ServerState, replicas: list[ServerState], overall: str) -> None:
    servers = [server(primary, is_primary=True), *map(server, replicas)]
    assert shown(servers, has_replicas=True)["overall_status"] == overall


@pytest.mark.parametrize(("state", "overall"), [("online", "healthy"), ("unreachable", "unhealthy")])
def test_without_replicas_the_primary_decides(state: ServerState, overall: str) -> None:
    found = shown([server(state, is_primary=True)], has_replicas=False)
    assert found == {"overall_status": overall, "primary": {"address": f"{state}:5432", "status": state}}


def test_moments_are_those_of_gitlab_and_the_reason_is_told() -> None:
    held = DatabaseServer(
        address="a:1", is_primary=False, state="quarantined", fault="why", asked_at=MOMENT, held_since=MOMENT
    )
    found = shown([server("online", is_primary=True), held], has_replicas=True)
    assert found["replicas"] == [
        {
            "address": "a:1",
            "status": "quarantined",
            "quarantined_at": "2026-11-29T13:14:15.678Z",
            "last_pinged_at": "2026-11-29T13:14:15.678Z",
            "reason": "why",
        }
    ]
