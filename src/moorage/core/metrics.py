"""Metrics of what clients meet in storage. Imported where metrics are on, and nowhere else."""

from prometheus_client import CollectorRegistry, Counter


class BlobMetrics:
    """Counts what it is told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._damaged = Counter(
            "registry_storage_damaged_blobs",
            "How often a client met a blob whose bytes are gone or of another length than they should have.",
            registry=registry,
        )

    def met_damage(self) -> None:
        """Count one more."""
        self._damaged.inc()
