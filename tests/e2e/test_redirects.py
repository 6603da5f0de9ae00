"""Real clients that are sent elsewhere for blobs: a file server over the storage's own folder, behind ``redirect``."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from e2e.images import build_image, layout_digests, write_layout
from support.clients import Skopeo
from support.daemon import Daemon
from support.registry_client import RegistryClient
from support.threaded_server import ThreadedServer


class FileServer(ThreadedServer):
    """Serves a folder on loopback; ``asked`` has the path of each request and its answer's status."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str]] = []
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                del size
                asked.append((self.path, str(int(code))))

        super().__init__(partial(Handler, directory=str(folder)))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[FileServer, Daemon]]:
    folder = tmp_path / "daemon"
    with FileServer(folder / "data") as server:
        config = (
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{folder / 'data'}'}}, "
            "redirect: {exceptions: ['^internal/']}}\n"
            f"middleware: {{storage: [{{name: redirect, options: {{baseurl: '{server.url}'}}}}]}}\n"
        )
        with Daemon(folder, config=config) as daemon:
            yield server, daemon


def test_skopeo_pushes_here_and_pulls_from_there(
    served: tuple[FileServer, Daemon], skopeo: Skopeo, tmp_path: Path
) -> None:
    server, daemon = served
    for name, is_sent in (("app", True), ("internal/app", False)):
        image = build_image(name, layers=2)
        source = write_layout(tmp_path / f"{image.manifest.digest[7:15]}", {"v1": image})
        target = f"docker://{daemon.address}/{name}:v1"
        skopeo.copy(f"oci:{source}:v1", target)
        server.asked.clear()
        back = tmp_path / f"back-{image.manifest.digest[7:15]}"
        skopeo.copy(target, f"oci:{back}:v1")
        assert layout_digests(back) == {part.digest for part in image.parts}
        assert {status for _, status in server.asked} == ({"200"} if is_sent else set())
        assert len(server.asked) == (3 if is_sent else 0), "a configuration and two layers"


def test_a_url_is_in_no_log(served: tuple[FileServer, Daemon], skopeo: Skopeo, tmp_path: Path) -> None:
    server, daemon = served
    image = build_image("quiet")
    source = write_layout(tmp_path / "source", {"v1": image})
    skopeo.copy(f"oci:{source}:v1", f"docker://{daemon.address}/quiet:v1")
    with RegistryClient(daemon.address) as client:
        assert client.get_blob("quiet", image.manifest.digest).status == 404
        sent = client.get_blob("quiet", next(part.digest for part in image.parts if part is not image.manifest))
        assert sent.status == 307
        assert sent.location.startswith(server.url)
    assert server.url not in daemon.log
