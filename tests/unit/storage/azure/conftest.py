"""Azurite behind a proxy that is strict and fails as it is told, and drivers on both."""

from collections.abc import AsyncIterator, Callable

import pytest

from moorage.storage.azure.azure_driver import AzureDriver
from support.azure_front import AzureFront
from support.azurite import new_driver_on_azurite, shared_azurite


@pytest.fixture
async def front() -> AsyncIterator[AzureFront]:
    async with AzureFront(shared_azurite()) as made:
        yield made


@pytest.fixture
async def driver(front: AzureFront) -> AsyncIterator[AzureDriver]:
    """A driver behind the proxy, with nothing in it."""
    made = new_driver_on_azurite(serviceurl=front.url)
    yield made
    await made.close()


Maker = Callable[..., AzureDriver]


@pytest.fixture
async def new_driver(front: AzureFront) -> AsyncIterator[Maker]:
    """Makes drivers behind the proxy; arguments are keys of the section."""
    made: list[AzureDriver] = []

    def make(**keys: object) -> AzureDriver:
        made.append(new_driver_on_azurite(**{"serviceurl": front.url, **keys}))
        return made[-1]

    yield make
    for driver in made:
        await driver.close()
