"""Where the replicas are: a list of hosts, or what an SRV record says at the moment."""

import asyncio
import socket
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dns.asyncresolver import Resolver
from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer

from moorage.config.sections.database import LoadBalancing
from moorage.errors import DatabaseUnavailable
from moorage.telemetry import get_log

_log = get_log("sql.discovery")


class ReplicaAddress(NamedTuple):
    """Where a PostgreSQL server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Directory(Protocol):
    """What knows the replicas."""

    async def addresses(self, *, limit_s: float) -> Sequence[ReplicaAddress]:
        """Where they are now, each once.

        Raises:
            DatabaseUnavailable: that cannot be said within *limit_s* seconds.
        """


def directory_of(settings: LoadBalancing, *, port: int) -> Directory:
    """The directory that ``database.loadbalancing`` names: ``record`` before ``hosts``, which share *port*."""
    if settings.record:
        return ServiceRecord(settings.record, nameserver=settings.nameserver, port=settings.port)
    return FixedHosts([ReplicaAddress(host, port) for host in settings.hosts])


class FixedHosts:
    """A list that does not change."""

    def __init__(self, addresses: Sequence[ReplicaAddress]) -> None:
        self._addresses = tuple(dict.fromkeys(addresses))

    async def addresses(self, *, limit_s: float) -> Sequence[ReplicaAddress]:
        """See :class:`Directory`."""
        del limit_s
        return self._addresses


class ServiceRecord:
    """An SRV record, asked over TCP; priorities and weights do not count. Source: features MDB-043."""

    def __init__(self, record: str, *, nameserver: str, port: int) -> None:
        self._record = record
        self._nameserver = nameserver
        self._port = port

    async def addresses(self, *, limit_s: float) -> Sequence[ReplicaAddress]:
        """See :class:`Directory`. A target without an address is left out; no record at all is no replica."""
        try:
            async with asyncio.timeout(limit_s):
                resolver = await self._resolver(limit_s)
                return await self._look_up(resolver)
        except (DNSException, OSError, EOFError) as exc:  # TimeoutError is an OSError
            msg = f"the nameserver {self._nameserver}:{self._port} did not say where {self._record} is: {exc}"
            raise DatabaseUnavailable(msg) from exc

    async def _resolver(self, limit_s: float) -> Resolver:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._nameserver, self._port, type=socket.SOCK_STREAM)
        resolver = Resolver(configure=False)
        resolver.nameservers = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        resolver.port = self._port
        resolver.lifetime = limit_s
        return resolver

    async def _look_up(self, resolver: Resolver) -> Sequence[ReplicaAddress]:
        try:
            answer = await resolver.resolve(self._record, "SRV", tcp=True, search=False)
        except (NXDOMAIN, NoAnswer):
            return ()
        targets = sorted({(record.target.to_text(), int(record.port)) for record in answer})
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_addresses_of(resolver, target, port)) for target, port in targets]
        return tuple(dict.fromkeys(address for task in tasks for address in task.result()))


async def _addresses_of(resolver: Resolver, target: str, port: int) -> Sequence[ReplicaAddress]:
    try:
        answers = await resolver.resolve_name(target, tcp=True, search=False)
    except DNSException as exc:
        _log.warning("a replica's name has no address", target=target, error=str(exc))
        return ()
    return [ReplicaAddress(host, port) for host in sorted(answers.addresses())]
