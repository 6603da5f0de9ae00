"""The memory that uploads of one worker hold on their way to an object store: one budget for all of them.

An upload that finds no room waits, and so does its client, as nobody reads from it. Others make room: what they have
gathered is sent on before it is as much as one request is worth. That needs nobody to act: a client that stalls holds
nothing that others wait for. No more is sent early than is waited for and not on its way already: small pieces cost
twice, as a store may want them read and joined. See ``docs/adr/0118-*.md``.
"""

import asyncio
from collections import deque
from collections.abc import Callable

LIMIT_BYTES = 192 << 20
"""With what a worker needs besides, connections and requests on their way, it stays below 350 MiB under any crowd."""
LOW_BYTES = 5 << 20
"""With less than this left, uploads that have as much send it: what a store takes as one of several parts."""

_PIECE_BYTES = 1 << 20
"""The most that comes of one client at once."""
_AHEAD = 2


class ByteBudget:
    """Bytes that may be held at once.

    Args:
        limit_bytes: how many.
        low_bytes: with less than this left, uploads that have as much do not gather more.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES, *, low_bytes: int = LOW_BYTES) -> None:
        self.held_bytes = 0
        self.most_bytes = 0
        """The most that was ever held."""
        self._limit_bytes = limit_bytes
        self._low_bytes = low_bytes
        self._pinned_bytes = 0
        self._shares: dict[ByteShare, None] = {}
        self._waiting: deque[tuple[int, ByteShare, asyncio.Future[None]]] = deque()
        self.waiting_bytes = 0
        """Bytes that have come and have no room yet."""
        self.sending_bytes = 0
        """Bytes of those held that are on their way, and come back soon without being asked for."""

    def is_enough(self, gathered_bytes: int) -> bool:
        """Return whether it is better to send what is gathered than to gather more: others want the room."""
        is_low = bool(self._waiting) or self._limit_bytes - self.held_bytes < self._low_bytes
        return is_low and gathered_bytes >= self._low_bytes

    def share(self) -> "ByteShare":
        """Begin to hold bytes for one upload."""
        share = ByteShare(self)
        self._shares[share] = None
        return share

    async def take(self, share: "ByteShare", count: int) -> None:
        """Hold *count* bytes more, at most a quarter of the limit; waits until there is room. First come, first served.

        All that is pinned is at most half of the limit, so the rest comes back sooner or later.
        """
        if not self._waiting and self._fits_beside_others(count):
            self._hold(share, count)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((count, share, turn))
        self.waiting_bytes += count
        self._ask()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(share, count)
            else:
                self._waiting = deque(entry for entry in self._waiting if entry[2] is not turn)
                self.waiting_bytes = sum(entry[0] for entry in self._waiting)
                self._wake()
            raise

    def try_take(self, share: "ByteShare", count: int) -> bool:
        """Hold *count* bytes more if there is room and nobody waits for it; return whether there was."""
        if self._waiting or self.held_bytes + count > self._limit_bytes:
            return False
        self._hold(share, count)
        return True

    def pin(self, share: "ByteShare", count: int) -> bool:
        """Let *share* have *count* bytes that it will not send early; False if half of the limit is so already."""
        if self._pinned_bytes - share.pinned_bytes + count > self._limit_bytes // 2:
            return False
        self._pinned_bytes += count - share.pinned_bytes
        share.pinned_bytes = count
        return True

    def send(self, share: "ByteShare", count: int) -> None:
        """Take note that *count* of the bytes held are on their way; :meth:`sent` gives them back."""
        share.sending_bytes += count
        self.sending_bytes += count

    def sent(self, share: "ByteShare", count: int) -> None:
        """Hold the *count* bytes no more that were on their way, whatever became of them."""
        share.sending_bytes -= count
        self.sending_bytes -= count
        self.give_back(share, count)

    def give_back(self, share: "ByteShare", count: int) -> None:
        """Hold *count* bytes less."""
        share.held_bytes -= count
        self.held_bytes -= count
        self._wake()

    def end(self, share: "ByteShare") -> None:
        """Hold nothing for this upload any more, but for what is on its way: that is held until it has arrived."""
        self.pin(share, 0)
        self._shares.pop(share, None)
        self.give_back(share, share.held_bytes - share.sending_bytes)

    def _fits_beside_others(self, count: int) -> bool:
        """Return whether there is room, besides what all the others hold who wait for theirs.

        Such a one holds a piece that has come, and its connection has read as much ahead. That takes memory, too: up to
        a quarter of the limit.
        """
        of_others = _AHEAD * len(self._shares) * min(count, _PIECE_BYTES)
        return self.held_bytes + count <= self._limit_bytes - min(of_others, self._limit_bytes // 4)

    def _hold(self, share: "ByteShare", count: int) -> None:
        share.held_bytes += count
        self.held_bytes += count
        self.most_bytes = max(self.most_bytes, self.held_bytes)

    def _ask(self) -> None:
        """Ask those that have gathered most to send it, for as much as is waited for and not on its way."""
        if self.sending_bytes >= self.waiting_bytes:
            return
        for share in sorted(self._shares, key=lambda share: share.sending_bytes - share.held_bytes):
            if not share.pinned_bytes and share.held_bytes > share.sending_bytes:
                share.spill()
                if self.sending_bytes >= self.waiting_bytes:
                    return

    def _wake(self) -> None:
        while self._waiting:
            count, share, turn = self._waiting[0]
            if not self._fits_beside_others(count):
                break
            self._waiting.popleft()
            self.waiting_bytes -= count
            if not turn.done():
                self._hold(share, count)
                turn.set_result(None)
        if self._waiting:
            self._ask()


class ByteShare:
    """The share of one upload."""

    def __init__(self, budget: ByteBudget) -> None:
        self.budget = budget
        self.spill: Callable[[], None] = nothing_to_send
        """Begins to send what is gathered, if that can be done, and never waits: called when others want the room."""
        self.held_bytes = 0
        self.sending_bytes = 0
        self.pinned_bytes = 0

    async def take(self, count: int) -> None:
        """See :meth:`ByteBudget.take`."""
        await self.budget.take(self, count)

    def try_take(self, count: int) -> bool:
        """See :meth:`ByteBudget.try_take`."""
        return self.budget.try_take(self, count)

    def pin(self, count: int) -> bool:
        """See :meth:`ByteBudget.pin`."""
        return self.budget.pin(self, count)

    def send(self, count: int) -> None:
        """See :meth:`ByteBudget.send`."""
        self.budget.send(self, count)

    def sent(self, count: int) -> None:
        """See :meth:`ByteBudget.sent`."""
        self.budget.sent(self, count)

    def give_back(self, count: int) -> None:
        """See :meth:`ByteBudget.give_back`."""
        self.budget.give_back(self, count)

    def end(self) -> None:
        """See :meth:`ByteBudget.end`. May be called twice."""
        self.budget.end(self)


def nothing_to_send() -> None:
    """Do nothing: there is nothing that could be sent early."""
