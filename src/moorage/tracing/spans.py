"""Spans as our code asks for them. Nothing here needs a library, and where tracing is off nothing is done.

What is in front of a request's way, such as storage, is wrapped where it is put together, and only if tracing is on:
see ``wiring/tracing.py``. What runs seldom asks here.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol

Facts = Mapping[str, str | int]
"""Facts of a span, by OpenTelemetry's names where it has one. Never with what came in a query: that has secrets."""


class RequestSpan(Protocol):
    """The span of a request that is being answered."""

    def routed(self, method: str, route: str) -> None:
        """Take note of the endpoint, by its path as the reference has it."""

    def answered(self, *, status: int, request_id: str) -> None:
        """Take note of the answer."""


class Spans(Protocol):
    """Makes spans, each of which lasts as long as a block."""

    def request(self, method: str, path: str, headers: Mapping[str, str]) -> AbstractContextManager[RequestSpan]:
        """A request from outside, which goes on with its caller's trace if the headers name one."""

    def round(self, name: str) -> AbstractContextManager[object]:
        """Work in the background: a trace of its own."""

    def call(self, name: str, facts: Facts, *, begins: bool = False) -> AbstractContextManager[object]:
        """A question to another server or to a disk; a block that fails marks it.

        *begins*: a trace begins with it where there is none; else it is no span there.
        """

    def headers(self) -> Mapping[str, str]:
        """The headers by which a server that is asked now can go on with the trace."""


spans_here: ContextVar[Spans | None] = ContextVar("spans_here", default=None)
"""The spans of this process; None: tracing is off. Set before the tasks are made that ask for it."""

_NOTHING = nullcontext()


def round_span(name: str) -> AbstractContextManager[object]:
    """Have a block be a span of work in the background; *name* empty: it is none."""
    spans = spans_here.get() if name else None
    return _NOTHING if spans is None else spans.round(name)


def call_span(name: str, facts: Facts) -> AbstractContextManager[object]:
    """Have a block be a span of a call to another server, with which a trace may begin."""
    spans = spans_here.get()
    return _NOTHING if spans is None else spans.call(name, facts, begins=True)


def trace_headers() -> Mapping[str, str]:
    """Return the headers that a request to another server gets."""
    spans = spans_here.get()
    return {} if spans is None else spans.headers()
