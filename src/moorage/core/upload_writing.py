"""An upload session while a request adds to it: it is opened when nobody else has it, and closed in any case."""

import asyncio
from types import TracebackType

from moorage.cache.remembered import Remembered
from moorage.errors import BackendError, PathUnknown, StorageBusy, UploadBusy, UploadUnknown
from moorage.oci.digests import Hasher
from moorage.storage.uploads import UploadSink, UploadWriter

_PATIENCE_S = 5.0
"""Seconds that a request waits for another one of the same session: a client that lost its connection comes back
before the server has noticed."""
_PAUSE_S = 0.05


async def open_session(sink: UploadSink, folder: str, session: str, *, target: str | None) -> UploadWriter:
    """Go on with a session; *target*: what its bytes are going to be, if that is known.

    Raises:
        UploadUnknown: there is no such session.
        UploadBusy: another request goes on writing to it.
    """
    deadline: float | None = None
    while True:
        try:
            return await sink.append(folder, target=target)
        except PathUnknown:
            raise unknown(session) from None
        except StorageBusy:
            now = asyncio.get_running_loop().time()
            deadline = now + _PATIENCE_S if deadline is None else deadline
            if now > deadline:
                raise _busy(session) from None
            await asyncio.sleep(_PAUSE_S)


class Writing:
    """Closes a session's writer at the end of a block, and forgets what was hashed if the block or the end fails.

    It may not be what is there: another request may have put as many bytes in its place.
    """

    # No generator: the event loop keeps a note of each asynchronous one, and has one more coroutine for its end.
    def __init__(self, session: str, writer: UploadWriter, hashers: Remembered[str, Hasher]) -> None:
        self._session = session
        self._writer = writer
        self._hashers = hashers

    async def __aenter__(self) -> UploadWriter:
        return self._writer

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self._writer.close()
        except (BackendError, asyncio.CancelledError) as failed:
            self._forget(failed)
            raise
        if isinstance(exc, BackendError | asyncio.CancelledError):
            self._forget(exc)

    def _forget(self, why: BaseException) -> None:
        self._hashers.pop(self._session)
        if isinstance(why, StorageBusy):
            raise _busy(self._session) from None
        if isinstance(why, PathUnknown):
            raise unknown(self._session) from None


def unknown(session: str) -> UploadUnknown:
    """Make the refusal of a session that is not there."""
    return UploadUnknown("there is no such upload; start a new one with POST", session=session[:64])


def _busy(session: str) -> UploadBusy:
    return UploadBusy("another request is writing to this upload; ask for its status and try again", session=session)
