"""The access log: a line for each request, written without ceremony as it is on every path."""

import asyncio
import json
import os
import select
import stat
import time
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import NamedTuple, TextIO

from moorage.telemetry import LogSettings, is_written, output_stream

_FLUSH_S = 0.05
_PIECE_BYTES = 64 << 10
"""Bytes that one write takes at most where it is whole however long it is: in a file."""


class AccessRecord(NamedTuple):
    """One request, for the access log."""

    request_id: str
    method: str
    uri: str
    host: str
    status: int
    duration_s: float
    written_bytes: int
    remote: str
    """The address of the client, by what a proxy that is believed says of it."""
    peer: str
    """The other end of the connection, with its port: the client, or the proxy."""
    user_agent: str
    actor: str
    actor_type: str = ""
    projects: tuple[str, ...] = ()
    """The GitLab projects that the credentials are for."""
    referrer: str = ""
    content_type: str = ""
    """The media type of the answer."""


class AccessLog:
    """One line a request, with the field names of GitLab's registry (LOG-002)."""

    _time, _message = "time", "msg"

    def __init__(self, settings: LogSettings) -> None:
        # Kept: a descriptor outlives its file only as the number of somebody else's.
        self._stream = output_stream(settings.output)
        self._piece_bytes = _PIECE_BYTES if _is_file(self._stream) else select.PIPE_BUF
        self._lines: list[bytes] = []
        self._now, self._now_text = 0, ""
        self._format = self._json if settings.access_formatter == "json" else self._text
        is_logstash = settings.formatter == "logstash"
        if is_logstash:
            self._time, self._message = "@timestamp", "message"
        self._is_on = not settings.access_disabled
        self._tail = "".join(
            f",{json.dumps(str(key))}:{json.dumps(value, default=str)}"
            for key, value in {**settings.fields, **({"@version": "1"} if is_logstash else {})}.items()
        )

    @property
    def is_enabled(self) -> bool:
        """Return whether lines are written: the level may change."""
        return self._is_on and is_written("info")

    def write(self, record: AccessRecord) -> None:
        """Write the line of one request, within a twentieth of a second."""
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH_S, self.flush)
        self._lines.append(self._format(record).encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Write what has gathered, in pieces that other processes writing to the same place cannot cut."""
        piece = bytearray()
        for line in self._lines:
            if piece and len(piece) + len(line) > self._piece_bytes:
                self._write_out(piece)
                piece.clear()
            piece += line
        self._lines.clear()
        if piece:
            self._write_out(piece)

    def _write_out(self, piece: bytearray) -> None:
        fileno, rest = self._stream.fileno(), memoryview(piece)
        while rest:
            rest = rest[os.write(fileno, rest) :]

    def _second(self, now: int) -> str:
        if now != self._now:
            self._now, self._now_text = now, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        return self._now_text

    def _json(self, record: AccessRecord) -> str:
        quote = encode_basestring_ascii  # What json.dumps calls for a text, after much else.
        now = time.time()
        who = _who(record.actor, record.actor_type, record.projects)
        return (
            f'{{"{self._time}":"{self._second(int(now))}.{int(now % 1 * 1000):03d}Z",'
            f'"level":"info","{self._message}":"access","correlation_id":{quote(record.request_id)},'
            f'"method":{quote(record.method)},"uri":{quote(record.uri)},"host":{quote(record.host)},'
            f'"status":{record.status},"duration_ms":{record.duration_s * 1000:.3f},'
            f'"written_bytes":{record.written_bytes},"remote_ip":{quote(record.remote)},'
            f'"remote_addr":{quote(record.peer)},"referrer":{quote(record.referrer)},'
            f'"user_agent":{quote(record.user_agent)},"content_type":{quote(record.content_type)},'
            f'"system":"http",{who}{self._tail}}}\n'
        )

    def _text(self, record: AccessRecord) -> str:
        moment = self._second(int(time.time()))
        return (
            f"{record.remote} - {_plain(record.actor) or '-'} [{moment}Z] "
            f'"{_plain(record.method)} {_plain(record.uri)} HTTP/1.1" {record.status} {record.written_bytes} '
            f'"{_plain(record.user_agent)}" {record.duration_s * 1000:.1f}ms {record.request_id}\n'
        )


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # It is nothing of the system's, as in a test.
        return False


@lru_cache(maxsize=1024)
def _who(actor: str, actor_type: str, projects: tuple[str, ...]) -> str:
    """The same few people ask again and again."""
    fields: dict[str, object] = {"auth.user.name": actor}
    if actor_type:
        fields["auth.user.type"] = actor_type
    if projects:
        fields["auth.project_paths"] = projects
    return json.dumps(fields, separators=(",", ":"))[1:-1]


def _plain(text: str) -> str:
    """Text on one line of a terminal: what could break out of the line, or forge one, is escaped."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(char if char.isprintable() and char not in '"\\' else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\x{ord(char):02x}" if char in '"\\' else char.encode("unicode_escape").decode("ascii")
