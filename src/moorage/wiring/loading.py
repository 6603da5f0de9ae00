"""Imports that each process of a registry would make for itself, made once before there are any: they share them."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from moorage.config import Config, HtpasswdAuth, TokenAuth
from moorage.config.redis_forms import main_redis
from moorage.left_out import in_full
from moorage.wiring.notifications import endpoint_settings
from moorage.wiring.stores import LayoutStore, Store
from moorage.wiring.tracing import wanted_exporters

_METRICS = (
    "moorage.core.metrics",
    "moorage.gc.online.collection_metrics",
    "moorage.metrics.node_metrics",
    "moorage.metrics.pool_metrics",
    "moorage.notifications.metrics",
    "moorage.server.metrics",
    "moorage.wiring.sampling",
)
_REDIS = ("moorage.redis.guarded", "moorage.redis.shared_links", "moorage.core.shared_sizes")


def load_parts(config: Config, store: Store) -> None:
    """Import the parts that *config* and *store* will have in each process; what is left is found by a test.

    That test is ``tests/e2e/test_lightness.py``.
    """
    for name in _parts(config, store):
        import_module(name)
    if config.health.http or endpoint_settings(config):
        in_full("aiohttp")  # With its client, which takes 0.1 s.


def _parts(config: Config, store: Store) -> Iterator[str]:
    if isinstance(store, LayoutStore):
        yield from ("moorage.wiring.layout_metadata", "moorage.wiring.bare_apis")
    else:
        yield from ("moorage.wiring.sql_metadata", "moorage.wiring.apis", "moorage.wiring.collection")
        if not isinstance(store.place, Path) and config.database.loadbalancing.enabled:
            yield "moorage.sql.replicas.replicated_database"
        if store.adopting:
            yield from ("moorage.wiring.adopting", "moorage.metadata.adopting_details")
    if config.http.debug.addr and config.http.debug.prometheus.enabled:
        yield from _METRICS
    redis = config.redis
    if main_redis(redis) is not None or redis.cache.enabled or redis.ratelimiter.enabled:
        yield from _REDIS
    if wanted_exporters(os.environ):
        yield "moorage.tracing.otel"
    match config.auth:
        case TokenAuth():
            yield from ("moorage.auth.bearer", "moorage.auth.tokens")
        case HtpasswdAuth():
            yield "moorage.auth.basic"
