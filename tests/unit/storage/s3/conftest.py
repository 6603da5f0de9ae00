"""A driver whose requests go through a proxy to SeaweedFS."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.s3_driver import S3Driver
from support.fault_proxy import FaultProxy
from support.s3_stores import seaweed, section_of

Behind = Callable[..., AbstractAsyncContextManager[tuple[S3Driver, FaultProxy]]]


@pytest.fixture
def behind() -> Behind:
    """Open a driver behind a proxy, with *more* in its section."""

    @asynccontextmanager
    async def opened(**more: object) -> AsyncIterator[tuple[S3Driver, FaultProxy]]:
        async with FaultProxy(seaweed().address) as proxy:
            driver = S3Driver(S3Bucket(section_of(seaweed(), regionendpoint=proxy.url, **more)))
            try:
                yield driver, proxy
            finally:
                await driver.close()

    return opened
