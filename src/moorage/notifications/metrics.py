"""Metrics of notifications, under GitLab's names. Imported where metrics are on, and nowhere else.

Source: GitLab ``notifications/metrics.go``; GitLab features MET, NOT, DIF-012.
"""

from http import HTTPStatus

from moorage.metrics.meters import Meters
from moorage.notifications.observing import AnyNotice, DeliveryObserver
from moorage.notifications.sending import SendResult

_RETRIES = (0, 1, 2, 3, 5, 10, 15, 20, 30, 50)
_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)


class NotificationMetrics(DeliveryObserver):
    """Counts what it is told."""

    def __init__(self, meters: Meters) -> None:
        self._events = meters.counter(
            "registry_notifications_events",
            "Events, by what became of them: Events, Successes, Failures, Dropped.",
            ("type", "action", "artifact", "endpoint"),
        )
        self._statuses = meters.counter(
            "registry_notifications_status", "Answers of endpoints, by their status.", ("code", "endpoint")
        )
        self._errors = meters.counter(
            "registry_notifications_errors", "Tries that got no answer; they may be repeated.", ("endpoint",)
        )
        self._deliveries = meters.counter(
            "registry_notifications_delivery",
            "Events that were delivered, or lost: with a database those are kept.",
            ("endpoint", "delivery_type"),
        )
        self._retries = meters.histogram(
            "registry_notifications_retries_count",
            "Retries of events, once they have ended.",
            ("endpoint",),
            buckets=_RETRIES,
        )
        self._http_seconds = meters.histogram(
            "registry_notifications_http_latency_seconds", "Time that one try takes.", ("endpoint",), buckets=_LATENCIES
        )
        self._total_seconds = meters.histogram(
            "registry_notifications_total_latency_seconds",
            "Time from an event to its end, retries and pauses included.",
            ("endpoint",),
            buckets=_LATENCIES,
        )

    def taken_up(self, notice: AnyNotice) -> None:
        """Count an event."""
        self._count("Events", notice)

    def tried(self, notice: AnyNotice, result: SendResult, duration_s: float) -> None:
        """Count a try."""
        self._http_seconds.labels(notice.endpoint).observe(duration_s)
        if not result.status:
            self._errors.labels(notice.endpoint).inc()
            return
        self._statuses.labels(_named(result.status), notice.endpoint).inc()
        self._count("Successes" if result.outcome == "accepted" else "Failures", notice)

    def ended(self, notice: AnyNotice, *, is_delivered: bool, retries: int, age_s: float) -> None:
        """Count an event that has ended."""
        self._retries.labels(notice.endpoint).observe(retries)
        self._deliveries.labels(notice.endpoint, "delivered" if is_delivered else "lost").inc()
        self._total_seconds.labels(notice.endpoint).observe(age_s)

    def dropped(self, notice: AnyNotice) -> None:
        """Count an event that there was no room for."""
        self._count("Dropped", notice)

    def _count(self, kind: str, notice: AnyNotice) -> None:
        self._events.labels(kind, notice.action, notice.artifact, notice.endpoint).inc()


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} "
