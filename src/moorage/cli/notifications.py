"""``moorage notifications``: events that wait or have failed; asked over HTTP."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from moorage.api.notification_answers import (
    NotificationAnswer,
    NotificationPage,
    NotificationsChanged,
    NotificationStatus,
)
from moorage.cli.amounts import counted
from moorage.cli.gc_words import shown_duration
from moorage.cli.options import AsJSON
from moorage.cli.reaching import CA, Registry, RegistryURL, reach
from moorage.cli.reporting import reported
from moorage.cli.tables import print_table, say_none
from moorage.client.registry import DEFAULT_REGISTRY

notifications_app = typer.Typer(
    help="Events that other servers are told of.", no_args_is_help=True, rich_markup_mode=None
)

Ids = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]...", help="Events, by the id that show lists.", show_default=False)
]
Endpoint = Annotated[str | None, typer.Option("--endpoint", metavar="NAME", help="Only events of this endpoint.")]
Waiting = Annotated[bool, typer.Option("--waiting", help="Those that wait, in place of those that failed.")]


@notifications_app.command()
@reported()
def status(
    host: Registry = None, *, registry: RegistryURL = DEFAULT_REGISTRY, ca: CA = None, as_json: AsJSON = False
) -> None:
    """Show how many events wait for each endpoint, since when, how many have failed for good, and why."""
    found = reach(host, registry=registry, ca=ca).get("notifications/status")
    if as_json:
        print(found.as_json(NotificationStatus))
        return
    now = datetime.now(UTC)
    rows = [
        (
            each.name,
            each.url or "(not configured)",
            str(each.waiting),
            "" if each.waiting_since is None else shown_duration(now - each.waiting_since),
            str(each.failed),
            each.error or "",
        )
        for each in found.read(NotificationStatus).endpoints
    ]
    if not rows:
        say_none("endpoints and events")
        return
    print_table(("Endpoint", "URL", "Waiting", "Oldest", "Failed", "Error"), rows)


@notifications_app.command()
@reported()
def show(
    event: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="One event, as it is sent.", show_default=False)
    ] = None,
    *,
    endpoint: Endpoint = None,
    waiting: Waiting = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 100,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """List events that failed for good, with the reason; with an ID, show that event as it is sent."""
    remote = reach(None, registry=registry, ca=ca)
    if event is not None:
        print(remote.get("notifications/event", notification=event).as_json(dict))
        return
    state = "waiting" if waiting else "failed"
    found = remote.get("notifications/list", endpoint=endpoint, state=state, n=limit)
    if as_json:
        print(found.as_json(NotificationPage))
        return
    _print_list(found.read(NotificationPage).notifications, state=state, limit=limit)


@notifications_app.command()
@reported()
def retry(
    ids: Ids = None,
    *,
    endpoint: Endpoint = None,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Send events again that failed for good: those of the IDs, of an endpoint, or all."""
    answer = reach(None, registry=registry, ca=ca).post("notifications/retry", _choice(ids, endpoint))
    if as_json:
        print(answer.as_json(NotificationsChanged))
        return
    count = answer.read(NotificationsChanged).count
    print(f"{counted(count, 'event')} will be sent again")


@notifications_app.command()
@reported()
def drop(
    ids: Ids = None,
    *,
    endpoint: Endpoint = None,
    waiting: Waiting = False,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Forget events that failed for good, or that wait: those of the IDs, or of an endpoint. It cannot be undone."""
    if not ids and endpoint is None:
        msg = "name IDs, or an endpoint by --endpoint"
        raise typer.BadParameter(msg)
    body = {**_choice(ids, endpoint), "state": "waiting" if waiting else "failed"}
    answer = reach(None, registry=registry, ca=ca).post("notifications/drop", body)
    if as_json:
        print(answer.as_json(NotificationsChanged))
        return
    count = answer.read(NotificationsChanged).count
    print(f"{counted(count, 'event')} dropped")


def _choice(ids: Sequence[int] | None, endpoint: str | None) -> dict[str, object]:
    chosen: dict[str, object] = {}
    if ids:
        chosen["ids"] = list(ids)
    if endpoint is not None:
        chosen["endpoint"] = endpoint
    return chosen


def _print_list(found: Sequence[NotificationAnswer], *, state: str, limit: int) -> None:
    if not found:
        say_none("events that failed" if state == "failed" else "events that wait")
        return
    rows = [
        (
            str(each.id),
            each.endpoint,
            each.at.strftime("%Y-%m-%d %H:%M:%S"),
            each.action,
            each.artifact,
            each.repository,
            str(each.tries),
            each.error or "",
        )
        for each in found
    ]
    print_table(("Id", "Endpoint", "Time (UTC)", "Action", "What", "Repository", "Tries", "Error"), rows)
    if len(found) == limit:
        print(f"there may be more than these {limit}: --limit")
