"""``notifications``: webhooks."""

from datetime import timedelta

from moorage.config.section import (
    Count,
    Duration,
    Flag,
    Secret,
    Section,
    Text,
    later,
)


class Events(Section):
    """``notifications.events``"""

    includereferences: Flag = later(False, "True: manifest events list what the manifest refers to.")


class Ignore(Section):
    """``notifications.endpoints[].ignore``"""

    mediatypes: list[Text] = later([], "Of targets.")
    actions: list[Text] = later([], "Such as pull.")


class NotificationEndpoint(Section):
    """``notifications.endpoints[]``"""

    name: Text = later("", "For the log.")
    disabled: Flag = later(False, "True: nothing is sent.")
    url: Secret = later("", "Where to.")
    headers: dict[str, list[Text]] = later({}, "Sent along.", repr=False)
    timeout: Duration = later(timedelta(seconds=1), "Deadline of one try.")
    threshold: Count = later(0, "Old; see maxretries.")
    maxretries: Count = later(10, "Tries after the first.")
    backoff: Duration = later(timedelta(seconds=1), "Pause between tries.")
    ignoredmediatypes: list[Text] = later([], "Old; see ignore.")
    ignore: Ignore = later(Ignore, "What is not sent.")
    queuepurgetimeout: Duration = later(timedelta(seconds=5), "How long to go on at the end.")
    queuesizelimit: Count = later(3000, "Events waiting at most.")


class Notifications(Section):
    """``notifications``"""

    fanouttimeout: Duration = later(timedelta(seconds=15), "How long to wait for all endpoints at the end.")
    events: Events = later(Events, "What events say.", go_name="EventConfig")
    endpoints: list[NotificationEndpoint] = later([], "Who is told.")
