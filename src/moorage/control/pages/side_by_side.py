"""Questions to the registry about many repositories, asked side by side and in bounded time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from django.db import connections

from moorage.control.registry.registry_errors import RegistryError
from moorage.errors import Refused

AT_ONCE = 8
DEADLINE_S = 8.0
"""For all of them: a page that waits longer is no page."""

Item = TypeVar("Item")
Found = TypeVar("Found")


def ask_side_by_side(
    items: Sequence[Item], ask: Callable[[Item], Found], *, deadline_s: float = DEADLINE_S
) -> list[Found | None]:
    """Return the answer for each of *items*; None: the registry refused, or did not answer in time."""

    def asked(item: Item) -> Found | None:
        try:
            return ask(item)
        except (RegistryError, Refused):
            return None
        finally:
            connections.close_all()  # A thread has connections of its own, which nobody else would close.

    threads = ThreadPoolExecutor(AT_ONCE)
    try:
        futures = [threads.submit(asked, item) for item in items]
        done, _late = wait(futures, timeout=deadline_s)
        return [future.result() if future in done else None for future in futures]
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
