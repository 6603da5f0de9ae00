"""What a client sends, as chunks."""

from collections.abc import AsyncIterator

from moorage.oci.names import RepositoryName

NAME = RepositoryName("group/app")


class HungUp(Exception):
    """The client is gone."""


async def sending(*chunks: bytes) -> AsyncIterator[bytes]:
    """Chunks that all come."""
    for chunk in chunks:
        yield chunk


async def hanging_up_after(*chunks: bytes) -> AsyncIterator[bytes]:
    """Chunks, and then the client is gone."""
    for chunk in chunks:
        yield chunk
    raise HungUp
