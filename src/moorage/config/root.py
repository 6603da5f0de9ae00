"""The whole configuration."""

from typing import Annotated, Literal

from moorage.config.backends import GC, DatabaseSection, Redis
from moorage.config.features import (
    Auth,
    Catalog,
    Compatibility,
    Health,
    Middleware,
    Notifications,
    Policy,
    Proxy,
    RateLimiter,
    Tags,
    Validation,
)
from moorage.config.section import Lower, Section, later, now
from moorage.config.serving import HTTP, LogSection, Profiling, Reporting
from moorage.config.storage import Storage


class Config(Section):
    """The configuration, as ``config.yml`` and the environment have it."""

    version: Literal["0.1"] = now("0.1", "The format's version.")
    log: LogSection = now(LogSection, "What is logged, how and where.")
    loglevel: Annotated[Literal["", "error", "warn", "info", "debug", "trace"], Lower] = now(
        "", "Old name of `log.level`."
    )
    http: HTTP = now(HTTP, "Where and how to serve.")
    storage: Storage = now(Storage, "Where the bytes are.")
    auth: Auth | None = now(None, "Who may do what: `none`, `silly`, `token` or `htpasswd`; absent: as `none`.")
    validation: Validation = now(Validation, "What pushed content must be like.")
    database: DatabaseSection = now(DatabaseSection, "Metadata in SQLite or PostgreSQL.")
    redis: Redis = now(Redis, "Shared caches.")
    gc: GC = now(GC, "Online garbage collection.")
    health: Health = later(Health, "Checks that take this registry out of service.")
    notifications: Notifications = later(Notifications, "Webhooks.")
    rate_limiter: RateLimiter = later(RateLimiter, "Limits for each client.")
    middleware: dict[str, list[Middleware]] = later(
        {}, "Storage middleware: cloudfront, googlecdn, redirect, urlcache."
    )
    reporting: Reporting = later(Reporting, "Error reports.")
    profiling: Profiling = later(Profiling, "Profiles.")
    policy: Policy = later(Policy, "What content is taken.")
    proxy: Proxy = later(Proxy, "Pull-through cache.")
    catalog: Catalog = now(Catalog, "The catalogue.")
    tags: Tags = later(Tags, "Tags.")
    compatibility: Compatibility = later(Compatibility, "Old formats.")
