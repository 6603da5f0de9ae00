"""Many objects at once: by batches of a hundred calls where the service takes them, else some calls at a time.

Source: "Batch requests" of the Cloud Storage documentation.
"""

import math
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

from moorage.errors import BackendError
from moorage.storage.gcs.json_api import BucketCalls, GCSObjectFacts
from moorage.storage.remote.attempts import PASSING_STATUSES
from moorage.storage.remote.exchange import StoreAnswer, StoreCall
from moorage.storage.remote.remote_driver import each
from moorage.telemetry import get_log

BATCH = 100
_AT_ONCE = 32
_LINK = "/current/link"
_NUMBER = re.compile(rb"(?i)^content-id:\s*<response-(\d+)>", re.MULTILINE)
_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3})", re.MULTILINE)
_OUTCOMES: dict[int, bool] = {
    HTTPStatus.OK: True,
    HTTPStatus.NO_CONTENT: True,
    HTTPStatus.NOT_FOUND: False,
    HTTPStatus.PRECONDITION_FAILED: False,
}

_T = TypeVar("_T")
_log = get_log("storage")

Outcome = bool | BackendError
"""True if there was something to remove; an error if it could not be removed."""


class Deletions:
    """Removals of many objects of a bucket."""

    def __init__(self, calls: BucketCalls) -> None:
        self._calls = calls
        self._has_batches = True

    async def each(
        self, keys: Sequence[str], generations: Sequence[str] = (), *, until: float = math.inf
    ) -> Sequence[Outcome]:
        """Remove objects, of these generations if any are given, not later than *until*; return what came of each."""
        wanted = list(zip(keys, generations or [""] * len(keys), strict=True))
        outcomes: list[Outcome] = []
        for at in range(0, len(wanted), BATCH):
            outcomes += await self._some(wanted[at : at + BATCH], until)
        return outcomes

    async def below(self, prefix: str) -> int:
        """Remove all objects below a prefix, the links that say what a tag is first; return how many there were.

        Raises:
            BackendError: one of them could not be removed.
        """
        count = 0
        pages = self._pages(prefix)
        first = [page async for page in _up_to(pages, 2)]
        if len(first) > 1:  # Too many to keep in mind: the links are looked for in a walk of their own.
            for page in first:
                count += await self._all(_links(page))
            async for page in pages:
                count += await self._all(_links(page))
            pages = self._pages(prefix)
        else:
            for page in first:
                links = _links(page)
                count += await self._all(links)
                count += await self._all([key for key in page if key not in set(links)])
        async for page in pages:
            count += await self._all(page)
        return count

    async def _all(self, keys: Sequence[str]) -> int:
        return count_of(await self.each(keys))

    async def _pages(self, prefix: str) -> AsyncIterator[Sequence[str]]:
        async for page in pages_below(self._calls, prefix):
            yield [facts.key for facts in page]

    async def _some(self, wanted: Sequence[tuple[str, str]], until: float) -> Sequence[Outcome]:
        try:
            found = await self._batch(wanted, until) if self._has_batches and len(wanted) > 1 else {}
        except BackendError as exc:
            return [exc] * len(wanted)

        async def one(number: int) -> Outcome:
            key, generation = wanted[number]
            try:
                return await self._calls.delete(key, generation=generation, until=until)
            except BackendError as exc:
                return exc

        missing = [number for number in range(len(wanted)) if number not in found]
        return [
            outcome
            for _, outcome in sorted(
                [*found.items(), *zip(missing, await each(missing, one, at_once=_AT_ONCE), strict=True)],
                key=lambda pair: pair[0],
            )
        ]

    async def _batch(self, wanted: Sequence[tuple[str, str]], until: float) -> dict[int, Outcome]:
        """Send a batch, and return what it has done, by number; the others are asked for alone."""
        boundary = secrets.token_hex(16)
        folder = f"/storage/v1/b/{quote(self._calls.bucket, safe='')}/o"
        parts = []
        for number, (key, generation) in enumerate(wanted):
            query = f"?ifGenerationMatch={generation}" if generation else ""
            parts.append(
                f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n"
                f"DELETE {folder}/{quote(key, safe='')}{query} HTTP/1.1\r\n\r\n\r\n"
            )
        call = StoreCall(
            kind="objects.delete",
            method="POST",
            url=f"{self._calls.endpoint}/batch/storage/v1",
            headers={"Content-Type": f"multipart/mixed; boundary={boundary}"},
            body="".join([*parts, f"--{boundary}--\r\n"]).encode(),
            until=until,
        )
        answer = await self._calls.send(call, folder)
        found = outcomes_of(answer)
        if not found and answer.status not in PASSING_STATUSES:
            self._has_batches = False
            _log.info("storage takes no batches, so objects are removed one by one", status=answer.status)
        return found


def count_of(outcomes: Sequence[Outcome]) -> int:
    """Return how many there were.

    Raises:
        BackendError: the first of the errors among them.
    """
    for outcome in outcomes:
        if isinstance(outcome, BackendError):
            raise outcome
    return sum(outcome is True for outcome in outcomes)


def outcomes_of(answer: StoreAnswer) -> dict[int, Outcome]:
    """Return what came of the calls of a batch, by number, as far as it was done."""
    _, found, boundary = answer.headers.get("Content-Type", "").partition("boundary=")
    if answer.status != HTTPStatus.OK or not found:
        return {}
    outcomes: dict[int, Outcome] = {}
    parts = answer.body.split(b"--" + boundary.strip('"').encode())[1:]
    for place, part in enumerate(parts):
        number, status = _NUMBER.search(part), _STATUS.search(part)
        outcome = _OUTCOMES.get(int(status[1])) if status else None
        if outcome is not None:
            # What an earlier attempt has removed, whose answer was lost, is not there any more.
            outcomes[int(number[1]) if number else place] = outcome or answer.attempt > 1
    return outcomes


async def pages_below(calls: BucketCalls, prefix: str) -> AsyncIterator[Sequence[GCSObjectFacts]]:
    """Yield all objects below a prefix, page by page, and no empty page."""
    token = ""
    while True:
        page = await calls.page(prefix, token=token)
        if page.objects:
            yield page.objects
        token = page.token
        if not token:
            return


def _links(keys: Sequence[str]) -> Sequence[str]:
    return [key for key in keys if key.endswith(_LINK)]


async def _up_to(pages: AsyncIterator[_T], limit: int) -> AsyncIterator[_T]:
    for _ in range(limit):
        try:
            yield await anext(pages)
        except StopAsyncIteration:
            return
