"""pebble, Let's Encrypt's own server for tests, and the nameserver that comes with it, on loopback ports."""

import json
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from support.authority import Authority
from support.clients import Background
from support.ports import free_port


class Pebble:
    """``with Pebble(folder, port) as pebble:`` issues certificates for hosts whose check it passes at *port*.

    Every host is at 127.0.0.1. It refuses each tenth message for its nonce, as an authority may.
    """

    def __init__(self, folder: Path, tls_port: int, *, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.authority = Authority(folder / "ca")
        """Signs the certificate of the ACME server itself; what it issues is signed by another."""
        pair = self.authority.certify("localhost", "localhost", "127.0.0.1")
        self.port, self.management_port, dns_port = free_port(), free_port(), free_port()
        self.directory_url = f"https://127.0.0.1:{self.port}/dir"
        (folder / "dns").mkdir()
        dns = ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{dns_port}", "-defaultIPv6", ""]
        nothing = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{free_port()}"]
        self._dns = Background(folder / "dns", [*dns, *nothing])
        settings = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management_port}",
            "certificate": str(pair.certificate),
            "privateKey": str(pair.key),
            "httpPort": free_port(),
            "tlsPort": tls_port,
        }
        (folder / "config.json").write_text(json.dumps({"pebble": settings}))
        quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "10", "PEBBLE_AUTHZREUSE": "0", **(env or {})}
        command: list[str | Path] = ["pebble", "-config", folder / "config.json", "-dnsserver", f"127.0.0.1:{dns_port}"]
        self._server = Background(folder, command, env=quick)

    def __enter__(self) -> Self:
        self._dns.start(["true"])
        self._server.start(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}"])
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._server.stop()
        self._dns.stop()

    @property
    def log(self) -> str:
        return self._server.log

    def trusted(self) -> ssl.SSLContext:
        """A client that trusts what is issued. The root is made anew at each start."""
        url = f"https://127.0.0.1:{self.management_port}/roots/0"
        with urllib.request.urlopen(url, timeout=10, context=self.authority.trusted()) as answer:
            return ssl.create_default_context(cadata=answer.read().decode())
