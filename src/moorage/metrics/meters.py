"""Makers of metrics. Imported where metrics are on, and nowhere else."""

from collections.abc import Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Meters:
    """The metrics of one registry of metrics: each is made here, so that none is made beside it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Make a number that only grows."""
        return Counter(name, text, labels, registry=self._registry)

    def gauge(
        self, name: str, text: str, labels: Sequence[str] = (), *, over: Literal["livesum", "livemax"] = "livesum"
    ) -> Gauge:
        """Make a number that goes up and down; *over*: it is the sum, or the largest, of all processes' that live."""
        return Gauge(name, text, labels, registry=self._registry, multiprocess_mode=over)

    def histogram(self, name: str, text: str, labels: Sequence[str] = (), *, buckets: Sequence[float]) -> Histogram:
        """Make counts of values, by the bucket that each falls into."""
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)
