"""Azurite, Microsoft's emulator of Azure Blob Storage, on a free loopback port; what it has is gone afterwards.

It knows signatures, conditions and blocks. It does not know Put Block From URL, batches and ``startfrom``, and it lets
a blob of one type replace one of another, as the real service does not (tried out in November 2026).
"""

import contextlib
import functools
import secrets
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from moorage.config import AzureSection
from moorage.storage.azure.azure_driver import AzureDriver
from moorage.storage.azure.opening import open_azure
from support.components import need
from support.ports import free_port
from support.services import shared

START_DEADLINE_S = 200.0
_TICK_S = 0.05
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every Azurite has; its key is printed in its documentation."""


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running service."""

    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The account's URL, as ``serviceurl`` takes it."""
        return f"{self.scheme}://127.0.0.1:{self.port}/{ACCOUNT}"


CONTAINER = "registry"


def make_container(running: Azurite, name: str = CONTAINER, *, authority: Path | None = None) -> None:
    """Make an empty container, by the vendor's own library; *authority*: the certificate behind the service's."""
    credential = {"account_name": ACCOUNT, "account_key": KEY}
    verify = True if authority is None else str(authority)
    with BlobServiceClient(running.url, credential=credential, connection_verify=verify) as service:
        service.create_container(name).close()


def section_of(running: Azurite, **keys: object) -> AzureSection:
    """The section of a configuration that has its objects there; *keys* are added."""
    place = {"accountname": ACCOUNT, "accountkey": KEY, "container": CONTAINER, "serviceurl": running.url}
    quick = {"retry_delay": "10ms", "max_retry_delay": "50ms"}
    return AzureSection.model_validate({**place, **quick, **keys})


def driver_on(running: Azurite, **keys: object) -> AzureDriver:
    """A driver for it."""
    return open_azure(section_of(running, **keys))


@functools.cache
def shared_azurite() -> Azurite:
    """The one of this test process, with an empty container."""
    folder = Path(shared(tempfile.TemporaryDirectory(prefix="moorage-azurite-")))
    running = shared(azurite(folder))
    make_container(running)
    return running


def new_driver_on_azurite(**keys: object) -> AzureDriver:
    """A driver with a root folder of its own there."""
    return driver_on(shared_azurite(), **{"rootdirectory": f"test-{secrets.token_hex(6)}", **keys})


@contextlib.contextmanager
def azurite(folder: Path, *args: str, scheme: str = "http") -> Iterator[Azurite]:
    """One of our own, with its files in *folder*; *args* are added to its command line."""
    need("azurite-blob")
    folder.mkdir(parents=True, exist_ok=True)
    running = Azurite(free_port(), scheme)
    place = ["--location", str(folder / "blobs"), "--blobHost", "127.0.0.1", "--blobPort", str(running.port)]
    # Not asked whether it knows our version of the interface: it refuses only what is newer than itself.
    command = ["azurite-blob", *place, "--silent", "--disableTelemetry", "--skipApiVersionCheck", *args]
    with (folder / "azurite.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(running, process, folder / "azurite.log")
        yield running
    finally:
        process.kill()
        process.wait()


def _wait(running: Azurite, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while not _answers(running):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "azurite does not answer"
        time.sleep(_TICK_S)


def _answers(running: Azurite) -> bool:
    try:
        with urllib.request.urlopen(running.url.replace("https:", "http:"), timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except ConnectionResetError:
        return running.scheme == "https"  # It has listened, and wants to hear TLS.
    except OSError as exc:
        return running.scheme == "https" and "Connection refused" not in str(exc)
