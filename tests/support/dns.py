"""A nameserver of our own, over TCP on a free loopback port, that knows what it is told."""

import asyncio
from collections.abc import Mapping

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from support.loopback_server import LoopbackServer

_TTL_S = 60


class Nameserver(LoopbackServer):
    """``async with Nameserver({("name.", "SRV"): ["0 0 5432 target."]}) as server:`` answers until the block ends.

    *records* may be changed meanwhile. A name without any is NXDOMAIN. *fails*: it answers SERVFAIL to everything.
    """

    def __init__(self, records: Mapping[tuple[str, str], list[str]]) -> None:
        super().__init__()
        self.records = dict(records)
        self.fails = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = int.from_bytes(await reader.readexactly(2), "big")
            answer = self._answer(dns.message.from_wire(await reader.readexactly(size))).to_wire()
            writer.write(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        question = query.question[0]
        name, kind = question.name.to_text(), question.rdtype.name
        if self.fails:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif found := self.records.get((name, kind)):
            answer.answer.append(dns.rrset.from_text(name, _TTL_S, "IN", kind, *found))
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
