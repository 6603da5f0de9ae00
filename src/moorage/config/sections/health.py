"""``health``: checks that take this registry out of service."""

from datetime import timedelta

from moorage.config.section import Count, Duration, Flag, Section, Text, Whole, now

_INTERVAL = timedelta(seconds=10)
_TIMEOUT = timedelta(seconds=5)


class StorageHealth(Section):
    """``health.storagedriver``"""

    enabled: Flag = now(False, "True: storage is checked.")
    interval: Duration = now(_INTERVAL, "How often; 0: every 10 s.")
    timeout: Duration = now(_TIMEOUT, "Moorage: deadline, after which it has failed; 0: 5 s.")
    threshold: Count = now(0, "Failures in a row before it counts; 0 and 1: the first one does.")


class DatabaseHealth(Section):
    """``health.database``"""

    enabled: Flag = now(False, "True: the database is checked, of several servers the primary.")
    interval: Duration = now(_INTERVAL, "How often; 0: every 10 s.")
    timeout: Duration = now(_TIMEOUT, "Deadline, after which it has failed; 0: 5 s.")
    threshold: Count = now(0, "Failures in a row before it counts; 0 and 1: the first one does.")


class FileHealth(Section):
    """``health.file[]``"""

    file: Text = now("", "Unhealthy while it exists: make it to take a node out of service.")
    interval: Duration = now(_INTERVAL, "How often; 0: every 10 s.")
    timeout: Duration = now(_TIMEOUT, "Moorage: deadline, after which it has failed; 0: 5 s.")
    threshold: Count = now(0, "Failures in a row before it counts; 0 and 1: the first one does.")


class HTTPHealth(Section):
    """``health.http[]``"""

    uri: Text = now("", "Asked with HEAD.")
    headers: dict[str, list[Text]] = now({}, "Sent with it.", repr=False)
    statuscode: Whole = now(200, "The status of health; 0: 200.")
    timeout: Duration = now(timedelta(0), "Deadline, after which it has failed; 0: 5 s.")
    interval: Duration = now(_INTERVAL, "How often; 0: every 10 s.")
    threshold: Count = now(0, "Failures in a row before it counts; 0 and 1: the first one does.")


class TCPHealth(Section):
    """``health.tcp[]``"""

    addr: Text = now("", "Connected to: `host:port`.")
    timeout: Duration = now(timedelta(0), "Deadline, after which it has failed; 0: 5 s.")
    interval: Duration = now(_INTERVAL, "How often; 0: every 10 s.")
    threshold: Count = now(0, "Failures in a row before it counts; 0 and 1: the first one does.")


class RedisHealth(Section):
    """``health.redis``"""

    enabled: Flag = now(False, "Moorage: true: each Redis that is configured is checked.")
    interval: Duration = now(_INTERVAL, "How often; 0: every 10 s.")
    timeout: Duration = now(_TIMEOUT, "Deadline, after which it has failed; 0: 5 s.")
    threshold: Count = now(0, "Failures in a row before it counts; 0 and 1: the first one does.")


class Health(Section):
    """``health``"""

    storagedriver: StorageHealth = now(StorageHealth, "Storage.")
    database: DatabaseHealth = now(DatabaseHealth, "Database.")
    redis: RedisHealth = now(RedisHealth, "Redis.")
    file: list[FileHealth] = now([], "Files that say no.", go_name="FileCheckers")
    http: list[HTTPHealth] = now([], "URLs that must answer.", go_name="HTTPCheckers")
    tcp: list[TCPHealth] = now([], "Addresses that must accept.", go_name="TCPCheckers")
