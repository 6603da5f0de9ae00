"""An exchange with a rude server, whose pauses are counted instead of waited for."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from moorage.storage.remote.attempts import AttemptLimits, AttemptTimes
from moorage.storage.remote.exchange import Exchange, ExchangeSettings, StoreCall
from moorage.storage.remote.pools import Pools

Meeting = Callable[..., AbstractAsyncContextManager[Exchange]]


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that were made."""
    return []


@pytest.fixture
def meet(pauses: list[float]) -> Meeting:
    """Open an exchange with the server at a URL."""

    @asynccontextmanager
    async def opened(
        url: str, *, retries: int = 5, signed: list[StoreCall] | None = None, took_s: float = 0.0
    ) -> AsyncIterator[Exchange]:
        """Each attempt takes *took_s* by the clock of attempts."""
        now = [0.0]

        async def sign(call: StoreCall) -> dict[str, str]:
            now[0] += took_s
            if signed is not None:
                signed.append(call)
            return {**call.headers, "Authorization": "me"}

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        settings = ExchangeSettings(
            limits=AttemptLimits(retries=retries), times=AttemptTimes(lambda: now[0], pause, lambda: 1.0)
        )
        pools = Pools(url, user_agent="moorage-test")
        try:
            yield Exchange(pools, sign, settings)
        finally:
            await pools.close()

    return opened
