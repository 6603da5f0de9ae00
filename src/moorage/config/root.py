"""The whole configuration."""

from typing import Annotated, Literal

from moorage.config.section import Lower, Section, now, unused
from moorage.config.sections.auth import Auth
from moorage.config.sections.compatibility import Compatibility
from moorage.config.sections.database import DatabaseSection
from moorage.config.sections.gc import GC
from moorage.config.sections.health import Health
from moorage.config.sections.http import HTTP
from moorage.config.sections.lists import Catalog, Tags
from moorage.config.sections.log import LogSection
from moorage.config.sections.middleware import Middleware
from moorage.config.sections.notifications import Notifications
from moorage.config.sections.policy import Policy
from moorage.config.sections.profiling import Profiling
from moorage.config.sections.proxy import Proxy
from moorage.config.sections.rate_limiter import RateLimiter
from moorage.config.sections.redis import Redis
from moorage.config.sections.reporting import Reporting
from moorage.config.sections.storage import Storage
from moorage.config.sections.validation import Validation


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
    health: Health = now(Health, "Checks that take this registry out of service.")
    notifications: Notifications = now(Notifications, "Webhooks.")
    rate_limiter: RateLimiter = now(RateLimiter, "Limits for each client.")
    middleware: dict[str, list[Middleware]] = now({}, "Under `storage`: cloudfront, googlecdn, redirect, urlcache.")
    reporting: Reporting = now(Reporting, "Error reports.")
    profiling: Profiling = unused(Profiling, "Profiles.")
    policy: Policy = unused(Policy, "What content is taken.")
    proxy: Proxy = unused(Proxy, "Pull-through cache.")
    catalog: Catalog = now(Catalog, "The catalogue.")
    tags: Tags = now(Tags, "Tags.")
    compatibility: Compatibility = unused(Compatibility, "Old formats.")
