"""Metrics of what clients meet in storage. Imported where metrics are on, and nowhere else."""

from moorage.metrics.meters import Meters


class BlobMetrics:
    """Counts what it is told."""

    def __init__(self, meters: Meters) -> None:
        self._damaged = meters.counter(
            "registry_storage_damaged_blobs",
            "How often a client met a blob whose bytes are gone or of another length than they should have.",
        )

    def met_damage(self) -> None:
        """Count one more."""
        self._damaged.inc()
