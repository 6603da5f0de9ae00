"""Places that are given to networks in turn, so that nobody waits behind all that one network asks for."""

import asyncio
from collections import deque


class NetworkTurns:
    """A number of places, and who waits for one.

    A place that becomes free goes to the network that has waited longest since it was given one, and there to whoever
    came first.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By network, in the order of their turns; nobody waits while a place is free."""

    async def take(self, network: str) -> None:
        """Wait for a place, which is to be given back."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(network, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give_back()  # It came in the moment in which nobody wanted it any more.
            raise

    def give_back(self) -> None:
        """Let the next one have a place."""
        while self._waiting:
            network = next(iter(self._waiting))
            queue = self._waiting.pop(network)
            turn = queue.popleft()
            if queue:
                self._waiting[network] = queue  # Its next turn comes after those of all others.
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
