"""Checks of keys that need each other: one key alone cannot show such a mistake."""

from collections.abc import Iterator, Mapping
from typing import Any

from moorage.config.ciphers import TLS13_NAMES
from moorage.config.health_mistakes import health_mistakes, is_address
from moorage.config.limiter_mistakes import limiter_mistakes
from moorage.config.placeholders import left_placeholders
from moorage.config.redis_forms import main_redis, redis_mistakes
from moorage.config.root import Config
from moorage.config.sections.auth import TokenAuth
from moorage.config.sections.database import DatabaseSection
from moorage.config.sections.http import TLS, DebugTLS
from moorage.config.sections.notifications import Notifications
from moorage.config.sections.redis import RedisConnection
from moorage.config.storage_middleware import middleware_mistakes
from moorage.errors import Mistake

_PURGING_KEYS = ("age", "interval", "dryrun")
_LARGEST_PORT = 65535
_POSTGRES_KEYS = (
    *("host", "port", "user", "password", "dbname", "sslmode", "sslcert", "sslkey", "sslrootcert", "primary"),
    "preparedstatements",
)
"""Keys of ``database`` that say something of PostgreSQL only."""


def before(given: Mapping[str, Any]) -> Iterator[Mistake]:
    """Mistakes of the keys as they were given, which defaults would hide."""
    yield from _check_version(given.get("version"))
    storage = given.get("storage")
    if isinstance(storage, dict):
        yield from left_placeholders(storage)
    maintenance = storage.get("maintenance") if isinstance(storage, dict) else None
    if isinstance(maintenance, dict):
        yield from _check_purging(maintenance.get("uploadpurging"))
        readonly = maintenance.get("readonly")
        if isinstance(readonly, dict) and "enabled" not in readonly:
            yield Mistake("storage.maintenance.readonly.enabled", "true or false is needed")


def after(config: Config) -> Iterator[Mistake]:
    """Mistakes of keys that are right, each for itself."""
    http, tls = config.http, config.http.tls
    addresses = {"http.debug.addr": http.debug.addr} if http.debug.addr else {}
    if http.net != "unix":
        addresses["http.addr"] = http.addr
    for path, address in addresses.items():
        if not is_address(address):
            yield Mistake(path, f"{address[:60]!r} is no address; write host:port, such as 127.0.0.1:5000")
    if len({*addresses.values()}) < len(addresses) and not http.addr.endswith(":0"):
        yield Mistake("http.debug.addr", f"{http.addr[:60]} is http.addr too; another port is needed, such as 5001")
    yield from health_mistakes(config.health)
    yield from limiter_mistakes(config.rate_limiter)
    yield from _check_tls(tls)
    if http.debug.tls.enabled:
        yield from _check_debug_tls(http.debug.tls, tls)
    yield from redis_mistakes(config.redis)
    yield from _check_cache(config)
    yield from middleware_mistakes(config)
    if isinstance(config.auth, TokenAuth):
        yield from _check_token(config.auth)
    yield from _check_endpoints(config.notifications)
    yield from _check_adoption(config)
    if config.database.enabled is not False:
        yield from _check_database(config.database)
        if config.database.loadbalancing.enabled:
            yield from _check_load_balancing(config.redis.loadbalancing)


def _check_tls(tls: TLS) -> Iterator[Mistake]:
    issued = tls.letsencrypt
    yield from _check_pair("http.tls", tls.certificate, tls.key)
    if tls.certificate and issued.cachefile:
        yield Mistake("http.tls.letsencrypt", "cannot specify both certificate and Let's Encrypt")
    if issued.cachefile and not issued.hosts:
        yield Mistake("http.tls.letsencrypt.hosts", "is needed with http.tls.letsencrypt.cachefile")
    if issued.hosts and not tls.is_on:
        yield Mistake("http.tls.letsencrypt.cachefile", "is needed with http.tls.letsencrypt.hosts; it names a folder")
    if tls.clientauth and not tls.clientcas:
        yield Mistake("http.tls.clientcas", "is needed with http.tls.clientauth")
    if tls.clientcas and not tls.is_on:
        # Distribution serves plain HTTP then, to everybody.
        yield Mistake("http.tls.certificate", "is needed with http.tls.clientcas")
    if tls.clientcas and issued.cachefile and tls.clientauth != "verify-client-cert-if-given":
        message = (
            "the authority's check comes without a client certificate; take verify-client-cert-if-given, or a proxy"
        )
        yield Mistake("http.tls.clientauth", message)
    if tls.ciphersuites and tls.minimumtls != "tls1.3" and TLS13_NAMES.issuperset(tls.ciphersuites):
        message = "names suites of TLS 1.3 only, which are always on; add some of TLS 1.2, or set minimumtls: tls1.3"
        yield Mistake("http.tls.ciphersuites", message)


def _check_debug_tls(debug: DebugTLS, tls: TLS) -> Iterator[Mistake]:
    yield from _check_pair("http.debug.tls", debug.certificate, debug.key)
    if not debug.certificate and not debug.key and not tls.certificate:
        yield Mistake("http.debug.tls.certificate", "is needed with http.debug.tls.enabled, here or in http.tls")


def _check_pair(path: str, certificate: str, key: str) -> Iterator[Mistake]:
    if bool(certificate) != bool(key):
        missing, other = ("key", "certificate") if certificate else ("certificate", "key")
        yield Mistake(f"{path}.{missing}", f"is needed with {path}.{other}")


def _check_token(auth: TokenAuth) -> Iterator[Mistake]:
    if not auth.rootcertbundle and not auth.jwks:
        yield Mistake("auth.token.rootcertbundle", "is needed, or auth.token.jwks: tokens are trusted by it")
    if auth.autoredirectpath and not auth.autoredirectpath.startswith("/"):
        yield Mistake("auth.token.autoredirectpath", "a path that begins with / is needed")


def _check_endpoints(notifications: Notifications) -> Iterator[Mistake]:
    names: set[str] = set()
    for place, endpoint in enumerate(notifications.endpoints):
        if endpoint.disabled:
            continue
        path = f"notifications.endpoints[{place}]"
        if not endpoint.url:
            yield Mistake(f"{path}.url", "is needed, such as https://receiver.example.com/events")
        elif endpoint.known_as in names:
            yield Mistake(f"{path}.name", f"{endpoint.known_as[:60]!r} is the name of another endpoint too")
        names.add(endpoint.known_as)


def _check_version(version: object) -> Iterator[Mistake]:
    if version is None:
        yield Mistake("version", "is needed; write version: 0.1")
    elif not isinstance(version, str) or version.split(".")[:2] != ["0", "1"]:
        yield Mistake("version", "unsupported version; the only one is 0.1")


def _check_purging(purging: object) -> Iterator[Mistake]:
    # Source: ``startUploadPurger`` in GitLab handlers/app.go: what is off needs nothing else.
    if not isinstance(purging, dict) or purging.get("enabled") is False:
        return
    for key in _PURGING_KEYS:
        if key not in purging:
            yield Mistake(f"storage.maintenance.uploadpurging.{key}", "is needed if uploadpurging is given")


def _check_adoption(config: Config) -> Iterator[Mistake]:
    if not config.database.adopt:
        return
    if config.database.enabled is not True:
        yield Mistake("database.adopt", "needs database.enabled: true: it names no place to take the images over to")
    if config.storage.maintenance.readonly.enabled:
        message = "writes to the database, and storage.maintenance.readonly.enabled is true; take one of the two out"
        yield Mistake("database.adopt", message)


def _check_database(database: DatabaseSection) -> Iterator[Mistake]:
    given = [name for name in _POSTGRES_KEYS if getattr(database, name)]
    if database.loadbalancing.enabled:
        given.append("loadbalancing.enabled")
    if database.sqlite:
        for name in given:
            message = "belongs to PostgreSQL and database.sqlite names another database; take one of the two out"
            yield Mistake(f"database.{name}", message)
        return
    for name in ("host", "dbname"):
        if not getattr(database, name):
            message = f"is needed with database.enabled: {str(database.enabled).lower()}, unless database.sqlite is set"
            yield Mistake(f"database.{name}", message)
    if not 0 <= database.port <= _LARGEST_PORT:
        yield Mistake("database.port", f"a port from 1 to {_LARGEST_PORT} is needed, or 0 for PostgreSQL's own")


def _check_cache(config: Config) -> Iterator[Mistake]:
    # Source: features CFS-008. With a database there is nothing to be remembered, and the key is passed over.
    if config.storage.cache.chosen != "redis" or config.database.enabled is not False:
        return
    if main_redis(config.redis) is None and not config.redis.cache.enabled:
        name = "blobdescriptor" if config.storage.cache.blobdescriptor else "layerinfo"
        yield Mistake("redis.addr", f"is needed with storage.cache.{name}: redis; write host:port")


def _check_load_balancing(redis: RedisConnection) -> Iterator[Mistake]:
    # Source: features CFD-013. Which replica has seen a write is known to every node only through Redis.
    if not redis.enabled:
        yield Mistake("redis.loadbalancing.enabled", "true is needed with database.loadbalancing.enabled")
    elif not redis.addr:
        yield Mistake("redis.loadbalancing.addr", "is needed with database.loadbalancing.enabled")
