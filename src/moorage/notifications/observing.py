"""Observer of deliveries, for metrics."""

from typing import Protocol

from moorage.notifications.events import Notice
from moorage.notifications.outbox import QueuedNotice
from moorage.notifications.sending import SendResult

AnyNotice = Notice | QueuedNotice


class DeliveryObserver(Protocol):
    """Observer of all that is sent and of what is not."""

    def taken_up(self, notice: AnyNotice) -> None:
        """Take note that a notice is there to be delivered."""

    def tried(self, notice: AnyNotice, result: SendResult, duration_s: float) -> None:
        """Take note of one try."""

    def ended(self, notice: AnyNotice, *, is_delivered: bool, retries: int, age_s: float) -> None:
        """Take note that a notice has arrived, or has failed for good."""

    def dropped(self, notice: AnyNotice) -> None:
        """Take note that there was no room for a notice."""


class NoObserver(DeliveryObserver):
    """Observer of nothing."""

    def taken_up(self, notice: AnyNotice) -> None:
        """Do nothing."""

    def tried(self, notice: AnyNotice, result: SendResult, duration_s: float) -> None:
        """Do nothing."""

    def ended(self, notice: AnyNotice, *, is_delivered: bool, retries: int, age_s: float) -> None:
        """Do nothing."""

    def dropped(self, notice: AnyNotice) -> None:
        """Do nothing."""
