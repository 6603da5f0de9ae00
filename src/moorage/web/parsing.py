"""aiohttp's parser of requests: its limits, and a fresh one for the middle of a connection."""

import asyncio

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE, RequestPayloadError

HEAD_LIMIT_BYTES = 64 << 10
"""For the request line and for each header: tokens are long."""

HEADERS_LIMIT = 128

READ_BUFFER_BYTES = 128 << 10
"""Bytes of a request's body that are read ahead; twice as many pause the client."""


def new_parser(connection: BaseProtocol, loop: asyncio.AbstractEventLoop) -> HttpRequestParser:
    """Make a parser as a connection has it at its beginning."""
    return HttpRequestParser(
        connection,
        loop,
        READ_BUFFER_BYTES,
        max_line_size=HEAD_LIMIT_BYTES,
        max_headers=HEADERS_LIMIT,
        max_field_size=HEAD_LIMIT_BYTES,
        payload_exception=RequestPayloadError,
        auto_decompress=False,
        max_msg_queue_size=MAX_MSG_QUEUE_SIZE,
    )
