"""Short ways to read a configuration, and to see what was wrong with it."""

from itertools import pairwise
from typing import Any

import yaml

from moorage.config import Loaded, load
from moorage.errors import ConfigurationError

_S3 = {"region": "eu-1", "bucket": "images", "accesskey": "me", "secretkey": "mine", "encrypt": "true"}
_AZURE = {"accountname": "images", "accountkey": "a2V5", "container": "images"}
REQUIRED: dict[str, dict[str, str]] = {
    "storage.s3": _S3,
    "storage.s3aws": _S3,
    "storage.s3_v2": _S3,
    "storage.gcs": {"bucket": "images"},
    "storage.azure": _AZURE,
    "storage.azure_v2": _AZURE,
    "storage.maintenance.uploadpurging": {"age": "1h", "interval": "1h", "dryrun": "false"},
    "auth.silly": {"realm": "r", "service": "s"},
    "auth.token": {"realm": "r", "service": "s", "issuer": "i", "rootcertbundle": "/b"},
    "auth.htpasswd": {"realm": "r", "path": "/p"},
    "http.tls": {"certificate": "/c.pem", "key": "/k.pem", "clientcas": "[/ca.pem]"},
    "http.tls.letsencrypt": {"cachefile": "/issued", "hosts": "[registry.example.com]"},
    "http.debug.tls": {"certificate": "/c.pem", "key": "/k.pem"},
    "middleware.<name>[]": {"name": "urlcache"},
    "health.file[]": {"file": "/down"},
    "health.http[]": {"uri": "http://up.example.com"},
    "health.tcp[]": {"addr": "db:5432"},
    "notifications.endpoints[]": {"url": "https://receiver.example.com/events"},
    "redis.cache": {"addr": "redis.example.com:6379"},
    "redis.ratelimiter": {"addr": "redis.example.com:6379"},
    "database": {"host": "db", "dbname": "registry"},
}
"""What the keys of a section need beside them."""


def read(text: str = "", **environ: str) -> Loaded:
    """A configuration with *text* added to the least that one needs."""
    return load(_whole(text), environ)


def mistakes_of(text: str = "", **environ: str) -> dict[str, str]:
    """What is wrong with it, by path."""
    return mistakes_in(_whole(text), **environ)


def mistakes_in(text: str, **environ: str) -> dict[str, str]:
    """What is wrong with a whole file, by path."""
    try:
        load(text, environ)
    except ConfigurationError as exc:
        found = {mistake.path: mistake.message for mistake in exc.mistakes}
        assert len(found) == len(exc.mistakes), exc.mistakes
        return found
    return {}


def written(path: str, value: object) -> str:
    """A good configuration with *value* at *path*, such as ``health.http[].uri``."""
    data: dict[str, Any] = {"version": "0.1"}
    section = path.rpartition(".")[0]
    for outer in (section, section.rpartition(".")[0]) if section.endswith("[].ignore") else (section,):
        for name, needed in REQUIRED.get(outer, {}).items():
            put(data, f"{outer}.{name}", yaml.safe_load(needed))
    put(data, path, value)
    if not any(path.startswith(f"storage.{name}") for name in DRIVERS):
        put(data, "storage.inmemory", {})
    if path == "database.adopt":
        put(data, "database.enabled", True)
    if path.startswith("storage.cache.") and value == "redis":
        put(data, "redis.addr", "127.0.0.1:1")
    return yaml.safe_dump(data)


def put(data: dict[str, Any], path: str, value: object) -> None:
    """Set what is at *path*; lists have one item."""
    parts = parts_of(path)
    found: Any = data
    for part, following in pairwise(parts):
        below: object = [{}] if following == "[]" else {}
        found = found[0] if part == "[]" else found.setdefault(part, below)
    if parts[-1] == "[]":
        found[0] = value
    else:
        found[parts[-1]] = value


def parts_of(path: str) -> list[str]:
    """The parts of a path as ``describe`` writes it; lists are ``[]``, and a name of one's choice is storage."""
    return path.replace("[]", ".[]").replace("<name>", "storage").split(".")


DRIVERS = ("filesystem", "inmemory", "s3", "gcs", "azure")


def _whole(text: str) -> str:
    has_storage = text.startswith("storage:") or "\nstorage:" in text
    return f"version: 0.1\n{'' if has_storage else 'storage: inmemory'}\n{text}"
