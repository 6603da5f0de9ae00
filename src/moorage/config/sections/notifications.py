"""``notifications``: webhooks."""

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from moorage.config.section import Count, Duration, Flag, Section, Text, UnitDuration, now

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ACTIONS = ("pull", "push", "mount", "delete", "rename")


def _address(value: str) -> str:
    # What is wrong is not shown: an address may hold a password.
    try:
        parts = urlsplit(value)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_web = False
    if value and not (is_web and value.isprintable() and " " not in value):
        msg = "must be a web address, such as https://receiver.example.com/events"
        raise ValueError(msg)
    return value


def _headers(value: dict[str, list[str]]) -> dict[str, list[str]]:
    for name, texts in value.items():
        if _TOKEN.fullmatch(name) is None:
            msg = f"{name[:60]!r} is no name of a header"
            raise ValueError(msg)
        if any(_CONTROL.search(text) for text in texts):
            msg = f"a value of {name[:60]} has characters that no header can have"
            raise ValueError(msg)
    return value


def _action(value: str) -> str:
    if value not in _ACTIONS:
        msg = f"{value[:60]!r} is no action; there are {', '.join(_ACTIONS)}"
        raise ValueError(msg)
    return value


class Events(Section):
    """``notifications.events``"""

    includereferences: Flag = now(False, "True: events of manifests list what the manifest refers to.")


class Ignore(Section):
    """``notifications.endpoints[].ignore``"""

    mediatypes: list[Text] = now([], "Events whose target is of one of these types are not sent.")
    actions: list[Annotated[Text, AfterValidator(_action)]] = now(
        [], "Events of these actions are not sent: `pull`, `push`, `mount`, `delete`, `rename`."
    )


class NotificationEndpoint(Section):
    """``notifications.endpoints[]``"""

    name: Text = now("", "In logs, metrics and commands; each endpoint has its own. Empty: the host of `url`.")
    disabled: Flag = now(False, "True: nothing is sent.")
    url: Annotated[Text, Field(repr=False), AfterValidator(_address)] = now("", "Where events are sent by POST.")
    headers: Annotated[dict[str, list[Text]], AfterValidator(_headers)] = now(
        {}, "Sent along, to this host only; a header may have several values. Never shown.", repr=False
    )
    timeout: Duration = now(timedelta(seconds=1), "Deadline of one try; 0: one second.")
    threshold: Count = now(0, "Old: becomes the `maxretries` that fit into 120 times `backoff`, and no fewer than it.")
    maxretries: Count = now(
        10, "Tries after the first; if not given or 0, what `threshold` comes to. See `keeptrying` for when they count."
    )
    backoff: Duration = now(
        timedelta(seconds=1), "First pause between tries; each is half as long again, up to a minute. 0: one second."
    )
    keeptrying: UnitDuration = now(
        timedelta(days=3),
        "With a database: while the endpoint is away (no answer, 408, 425, 429 or 5xx), an event is tried so long, "
        "and `maxretries` counts only after that. It is kept even then.",
    )
    ignoredmediatypes: list[Text] = now([], "Old: added to `ignore.mediatypes`.")
    ignore: Ignore = now(Ignore, "What is not sent.")
    refusals: Flag = now(
        False,
        "True: pushes and deletes that protected and immutable tags refuse are told too, by events of the action "
        "`refuse`, which other registries do not have.",
    )
    queuepurgetimeout: Duration = now(
        timedelta(seconds=5), "Without a database: how long to go on sending at the end; 0: five seconds."
    )
    queuesizelimit: Count = now(
        3000,
        "Without a database: events that wait in a process; the newest is dropped. With one: pulls and refusals that "
        "wait; changes always find room. 0: 3000.",
    )

    @property
    def known_as(self) -> str:
        """The name, or the host in its place: Go's registries do not ask for one."""
        return self.name or urlsplit(self.url).hostname or ""


class Notifications(Section):
    """``notifications``"""

    fanouttimeout: Duration = now(
        timedelta(seconds=15), "Without a database: how long all endpoints together may go on at the end."
    )
    events: Events = now(Events, "What events say.", go_name="EventConfig")
    endpoints: list[NotificationEndpoint] = now([], "Who is told.")
