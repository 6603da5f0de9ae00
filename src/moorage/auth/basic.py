"""``auth.htpasswd``: users with passwords from a file. Each of them may do everything, as in Distribution."""

import asyncio
import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import NamedTuple

import bcrypt

from moorage.auth.access import Access, Grant
from moorage.auth.addresses import networks_of
from moorage.auth.failures import Failures
from moorage.auth.guards import REQUIRED, Caller, Guard, basic_challenge, unauthorized
from moorage.auth.network_turns import NetworkTurns
from moorage.auth.passwords import Check, PasswordFile
from moorage.auth.waiting import ADDRESS_LIMIT, SUSPECT_LIMIT, Waiting
from moorage.cache.remembered import Remembered
from moorage.errors import TooManyRequests, Unauthorized
from moorage.telemetry import get_log

_REMEMBERED = 1024
_REMEMBERED_FOR = timedelta(minutes=5)
"""A pull takes no longer than this, or costs another bcrypt."""

_HEADER_LIMIT = 8192
_WAITING_LIMIT = 512
"""Checks that may wait in a lane; more are refused. A network of strangers gets a quarter of them."""

_RETRY = timedelta(seconds=5)

_log = get_log("auth")


_Asked = tuple[bytes, str | None]
"""Credentials, and the hash that they are checked by: when the file changes, that is another question."""


class _Lane:
    """Threads that check passwords for one network after the other, and how many wait for them."""

    def __init__(self, threads: int) -> None:
        self.waiting = 0
        self._turns = NetworkTurns(threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="password")

    async def run(self, address: str, work: Callable[[], bool]) -> bool:
        """Do *work* for an *address*, off the event loop.

        Raises:
            TooManyRequests: too much is waiting already.
        """
        if self.waiting >= _WAITING_LIMIT:
            raise _too_many()
        self.waiting += 1
        try:
            await self._turns.take(networks_of(address)[-1].text)
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
            finally:
                self._turns.give_back()
        finally:
            self.waiting -= 1


class _Known(NamedTuple):
    """A password that was right for a hash."""

    grant: Grant
    hashed: str


class PasswordGuard(Guard):
    """Lets in who knows a password.

    Addresses that were wrong lately are checked by a thread of their own, so that the others need not wait for them;
    and so are those that were right lately, so that they need not wait for strangers whom nobody suspects yet.
    """

    def __init__(
        self,
        realm: str,
        users: Callable[[], PasswordFile],
        *,
        check: Check = bcrypt.checkpw,
        failures: Failures | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """*users* gives those of now."""
        self._challenge = basic_challenge(realm)
        self._users = users
        self._check = check
        self._failures = failures or Failures()
        self._sleep = sleep
        self._key = secrets.token_bytes(32)
        self._remembered: Remembered[bytes, _Known] = Remembered(_REMEMBERED, age=_REMEMBERED_FOR, monotonic=monotonic)
        self._checking: dict[_Asked, asyncio.Task[bool]] = {}
        self._lanes = {"suspect": _Lane(1), "right lately": _Lane(1), "new": _Lane(2)}
        self._waiting = Waiting()

    async def check(self, caller: Caller, wanted: Sequence[Access], *, optional: Sequence[Access] = ()) -> Grant:
        del optional
        header = caller.headers.get("Authorization")
        if header is None:
            raise self._refusal(REQUIRED, wanted)
        # What is remembered of a password is of no use to a reader of this process's memory.
        name = hashlib.blake2b(header.encode("utf-8", "surrogateescape"), key=self._key, digest_size=32).digest()
        users, found = self._users(), self._remembered.get(name)
        if found is not None:
            if users.hashes.get(found.grant.actor) == found.hashed:
                return found.grant
            self._remembered.pop(name)
        user, password = _read(header)
        if not user:
            msg = "authentication required: send Authorization: Basic with a user and a password"
            raise self._refusal(msg, wanted)
        asked = (name, users.hashes.get(user))
        self._see_that_there_is_room(caller, asked)
        with self._waiting.one(caller.address):
            if not await self._is_right(caller, asked, users, (user, password)):
                await self._fail(caller, user)
                msg = "the user or the password is wrong"
                raise self._refusal(msg, wanted)
        self._failures.note_right(caller.address)
        return self._remember(name, user, users.hashes[user])

    def require(self, caller: Caller, grant: Grant, wanted: Sequence[Access]) -> None:
        del caller
        if not grant.allows(wanted):  # It allows everything today: if that is changed, this must be, too.
            raise self._refusal(REQUIRED, wanted)

    def _see_that_there_is_room(self, caller: Caller, asked: _Asked) -> None:
        """Refuse an address with too many checks that wait: before its check, so that the refusal tells nothing.

        Raises:
            TooManyRequests: whether the password is right or wrong.
        """
        # The layers of a pull come at once with one password, and one check tells all of them no more than one.
        is_guess = asked not in self._checking and self._failures.is_suspect(caller.address)
        limit = SUSPECT_LIMIT if is_guess else ADDRESS_LIMIT
        if not self._waiting.has_room(caller.address, limit, was_right=self._failures.was_right(caller.address)):
            raise _too_many()

    async def _is_right(self, caller: Caller, asked: _Asked, users: PasswordFile, given: tuple[str, str]) -> bool:
        """One check for all requests that come with the same credentials meanwhile."""
        task = self._checking.get(asked)
        if task is None:
            # A task of its own, as several requests wait for it, and any of them may go away.
            lane, address = self._lane(caller.address), caller.address
            task = asyncio.create_task(lane.run(address, lambda: users.matches(*given, check=self._check)))
            self._checking[asked] = task
            task.add_done_callback(lambda done: self._end(asked, done))
        # A client that hangs up must not take the answer away from the others.
        return await asyncio.shield(task)

    def _lane(self, address: str) -> _Lane:
        if self._failures.is_suspect(address):
            return self._lanes["suspect"]
        return self._lanes["right lately" if self._failures.was_right(address) else "new"]

    def _end(self, asked: _Asked, task: asyncio.Task[bool]) -> None:
        del self._checking[asked]
        if not task.cancelled():
            task.exception()  # Seen, also where every client has hung up.

    async def _fail(self, caller: Caller, user: str) -> None:
        address = caller.address
        delay_s = self._failures.note(address)
        _log.warning("wrong password", correlation_id=caller.id, user=user[:80], remote=address, delay_s=delay_s)
        await self._sleep(delay_s)

    def _remember(self, name: bytes, user: str, hashed: str) -> Grant:
        grant = Grant(actor=user, accesses=None, actor_type="htpasswd")
        self._remembered.put(name, _Known(grant, hashed))
        return grant

    def _refusal(self, message: str, wanted: Sequence[Access]) -> Unauthorized:
        return unauthorized(message, self._challenge, wanted)


def _read(header: str) -> tuple[str, str]:
    """The user and the password of an ``Authorization`` header; empty if it has none.

    Source: RFC 7617 § 2.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(header) > _HEADER_LIMIT:
        return "", ""
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8", "surrogateescape")
    except (ValueError, binascii.Error):
        return "", ""
    user, _, password = text.partition(":")
    return user, password


def _too_many() -> TooManyRequests:
    msg = "too many passwords are being checked now; try again in a moment"
    return TooManyRequests(msg, retry_after=_RETRY)
