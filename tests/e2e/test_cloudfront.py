"""A bucket behind CloudFront: skopeo pulls from an edge that checks signatures, and a near client from the bucket."""

import base64
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.images import build_image, layout_digests, write_layout
from support.clients import Skopeo
from support.daemon import Daemon
from support.registry_client import RegistryClient, path_of
from support.s3_client import S3Client
from support.s3_stores import new_root, parameters_of, seaweed
from support.threaded_server import Quiet, ThreadedServer
from support.tokens import rsa_key

NEAR, FAR = "192.0.2.7", "198.51.100.7"
NETWORKS = {"prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "us-east-1"}], "ipv6_prefixes": []}
KEY_ID = "K2JCJMDEHXQW5F"


class Edge(ThreadedServer):
    """A place of the network: it serves what is in the bucket to those whose URL was signed for it.

    ``asked`` has the path of each request and the status of its answer.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        asked, edge = self.asked, self

        class Handler(Quiet, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = edge.answer(self.path)
                asked.append((urlsplit(self.path).path, status))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)

    def answer(self, target: str) -> tuple[int, bytes]:
        parts = urlsplit(target)
        if parts.path == "/networks.json":
            return 200, json.dumps(NETWORKS).encode()
        if not self._is_signed(parts.path, parse_qs(parts.query)):
            return 403, b"MissingKey"
        return S3Client(seaweed()).request("GET", unquote(parts.path)[1:])

    def _is_signed(self, path: str, query: dict[str, list[str]]) -> bool:
        """Check as CloudFront does: the policy is not sent, but made of the URL and of its end."""
        try:
            ends_at, signature, key_id = (query[name][0] for name in ("Expires", "Signature", "Key-Pair-Id"))
            policy = {
                "Statement": [
                    {
                        "Resource": f"{self.url}{path}",
                        "Condition": {"DateLessThan": {"AWS:EpochTime": int(ends_at)}},
                    }
                ]
            }
            given = base64.b64decode(signature.replace("-", "+").replace("_", "=").replace("~", "/"))
            text = json.dumps(policy, separators=(",", ":")).encode()
            rsa_key().public_key().verify(given, text, PKCS1v15(), SHA1())  # noqa: S303 - CloudFront's
        except (KeyError, ValueError, InvalidSignature):
            return False
        return key_id == KEY_ID and time.time() < int(ends_at)


@pytest.fixture
def fronted(tmp_path: Path) -> Iterator[tuple[Edge, Daemon]]:
    server, key = seaweed(), tmp_path / "cloudfront.pem"
    key.write_bytes(rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    bucket = parameters_of(server, f"/{new_root()}/a b/")
    with Edge() as edge:
        options = {
            "baseurl": edge.url,
            "privatekey": str(key),
            "keypairid": KEY_ID,
            "ipfilteredby": "awsregion",
            "awsregion": "us-east-1",
            "iprangesurl": f"{edge.url}/networks.json",
        }
        middleware = {"storage": [{"name": "cloudfront", "options": options}, {"name": "urlcache"}]}
        config = {"version": 0.1, "storage": {"s3": bucket}, "middleware": middleware}
        with Daemon(tmp_path / "daemon", config=yaml.safe_dump(config), workers=1, has_folder=False) as daemon:
            yield edge, daemon


def test_skopeo_pulls_from_the_network_and_a_near_client_from_the_bucket(
    fronted: tuple[Edge, Daemon], skopeo: Skopeo, tmp_path: Path
) -> None:
    edge, daemon = fronted
    image = build_image("fronted", layers=2)
    source = write_layout(tmp_path / "source", {"v1": image})
    target = f"docker://{daemon.address}/group/app:v1"
    skopeo.copy(f"oci:{source}:v1", target)
    skopeo.copy(target, f"oci:{tmp_path / 'back'}:v1")
    assert layout_digests(tmp_path / "back") == {part.digest for part in image.parts}
    pulled = [asked for asked in edge.asked if asked[0] != "/networks.json"]
    assert [status for _, status in pulled] == [200, 200, 200], "a configuration and two layers"

    deadline = time.monotonic() + 60
    while "networks of near clients were read" not in daemon.log:
        assert time.monotonic() < deadline, daemon.log[-2000:]
        time.sleep(0.05)
    layer = image.layers[0]
    with RegistryClient(daemon.address) as client:
        far, again, near = (
            client.get_blob("group/app", layer.digest, headers={"X-Forwarded-For": address}).location
            for address in (FAR, FAR, NEAR)
        )
    assert far.startswith(f"{edge.url}/test-")
    assert far == again, "a signature by RSA is used again"
    assert near.startswith(f"{seaweed().url}/registry/")
    with RegistryClient(seaweed().address) as bucket:
        assert bucket.request("GET", path_of(near)).body == layer.content
    with RegistryClient(edge.url.removeprefix("http://")) as network:
        assert network.request("GET", path_of(far)).body == layer.content
        assert network.request("GET", urlsplit(far).path).status == 403
    assert "Signature=" not in daemon.log
