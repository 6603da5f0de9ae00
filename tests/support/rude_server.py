"""An HTTP server on loopback that answers as it is told, bytes for bytes: cut, late, or never."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from support.loopback_server import LoopbackServer


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: what is written, and what happens then."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    """The connection ends after so many bytes of the body."""
    is_hung: bool = False
    """After those bytes nothing comes any more."""
    is_mute: bool = False
    """Not even the head is written, and with ``cut_at`` the connection ends."""
    is_silent: bool = False
    """Nothing is written at all, not even the head."""
    after_s: float = 0.0
    """The time that the server takes before it answers."""

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X"]
        lines += [f"{name}: {value}" for name, value in {"Content-Length": str(len(self.body)), **self.headers}.items()]
        return "\r\n".join([*lines, "", ""]).encode()


class RudeServer(LoopbackServer):
    """Answers requests with *answers*, one after another, and the last one for ever."""

    def __init__(self, answers: Sequence[Said] = (Said(),), *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.answers = list(answers)
        self.asked: list[Asked] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await self._one(reader, writer):
            pass

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append(Asked(method, target, headers, body))
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(said.after_s)
        if not (said.is_silent or said.is_mute):
            shown = said.body if said.cut_at is None else said.body[: said.cut_at]
            writer.write(said.head() + (b"" if method == "HEAD" else shown))
            await writer.drain()
        if said.is_silent or said.is_hung:
            await reader.read()  # Until the other side gives up.
            return False
        return said.cut_at is None
