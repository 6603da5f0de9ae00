"""``health``: checks that take this registry out of service."""

from datetime import timedelta

from moorage.config.section import (
    Count,
    Duration,
    Flag,
    Section,
    Text,
    Whole,
    later,
)


class StorageHealth(Section):
    """``health.storagedriver``"""

    enabled: Flag = later(False, "True: storage is checked.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class DatabaseHealth(Section):
    """``health.database``"""

    enabled: Flag = later(False, "True: the database is checked.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    timeout: Duration = later(timedelta(seconds=5), "Deadline.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class FileHealth(Section):
    """``health.file[]``"""

    file: Text = later("", "Unhealthy while it exists.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class HTTPHealth(Section):
    """``health.http[]``"""

    uri: Text = later("", "Asked with HEAD.")
    headers: dict[str, list[Text]] = later({}, "Sent with it.", repr=False)
    statuscode: Whole = later(200, "The status of health.")
    timeout: Duration = later(timedelta(0), "Deadline.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class TCPHealth(Section):
    """``health.tcp[]``"""

    addr: Text = later("", "Connected to.")
    timeout: Duration = later(timedelta(0), "Deadline.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class Health(Section):
    """``health``"""

    storagedriver: StorageHealth = later(StorageHealth, "Storage.")
    database: DatabaseHealth = later(DatabaseHealth, "Database.")
    file: list[FileHealth] = later([], "Files that say no.", go_name="FileCheckers")
    http: list[HTTPHealth] = later([], "URLs that must answer.", go_name="HTTPCheckers")
    tcp: list[TCPHealth] = later([], "Addresses that must accept.", go_name="TCPCheckers")
