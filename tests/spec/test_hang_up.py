"""§ Use Cases, Resumable Push: clients that go away in the middle of an upload."""

import socket
import struct
import time

import pytest

from spec.wire import Wire, head
from support import images
from support.daemon import Daemon
from support.registry_client import OCTETS, RegistryClient, path_of

PATIENCE_S = 60.0
"""How long a registry may take to notice that a client is gone."""

FRAMINGS = {
    "content-length": ("Content-Length: 1000000", b"x" * 1000),
    "chunked": ("Transfer-Encoding: chunked", b"ff\r\n" + b"x" * 255),
}


class TestHangUp:
    """Company X's build servers lose connectivity to a distribution endpoint before completing a blob transfer. The
    build server responds by only sending the remaining data to complete the blob transfer.
    """

    def test_what_arrived_stays_and_the_rest_can_be_sent(
        self, shared_daemon: Daemon, registry: RegistryClient, repository: str
    ) -> None:
        content = images.blob("hang up", 300_000)
        location = path_of(registry.start_upload(repository).location)
        with Wire(shared_daemon.address) as wire:
            wire.send(head("PATCH", location, f"Content-Length: {len(content.body)}", f"Content-Type: {OCTETS}"))
            wire.send(content.body[:200_000])
            wire.half_close()
            wire.read("PATCH")
        closed = registry.close_upload(self.send_rest(registry, location, content.body), content.digest)
        assert closed.status == 201
        assert registry.get_blob(repository, content.digest).body == content.body

    @staticmethod
    def send_rest(registry: RegistryClient, location: str, body: bytes) -> str:
        """Ask how far the upload is and send the rest; once more if the bytes of the first try were still arriving."""
        for _ in range(20):
            status = registry.upload_status(location)
            assert status.status == 204
            end = int(status.headers["Range"].removeprefix("0-"))
            kept = end + 1 if end else 0
            assert kept <= 200_000
            sent = registry.patch_upload(status.location, body[kept:], start=kept)
            if sent.status == 202:
                return sent.location
            assert sent.status in {409, 416}
        msg = "the upload could not be resumed"
        raise AssertionError(msg)

    @pytest.mark.parametrize("pause_s", [0.0, 0.05], ids=["at-once", "later"])
    @pytest.mark.parametrize("framing", FRAMINGS)
    def test_connections_reset_in_the_middle_free_their_uploads(
        self, shared_daemon: Daemon, registry: RegistryClient, repository: str, *, framing: str, pause_s: float
    ) -> None:
        line, body = FRAMINGS[framing]
        locations = [path_of(registry.start_upload(repository).location) for _ in range(20)]
        for location in locations:
            reset_after(shared_daemon.address, head("PATCH", location, line) + body, pause_s)
        time.sleep(0.2)
        ends_at = time.monotonic() + PATIENCE_S
        for location in locations:
            while (sent := registry.patch_upload(location, b"more")).status != 202:
                assert time.monotonic() < ends_at, sent
                time.sleep(0.05)


def reset_after(address: str, data: bytes, pause_s: float) -> None:
    """Send *data*, then end the connection with a reset, as a client does that is killed."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as raw:
        raw.sendall(data)
        time.sleep(pause_s)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
