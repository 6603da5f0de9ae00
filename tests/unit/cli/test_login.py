"""``moorage login``: what it keeps, and of whom."""

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from support.threaded_server import Quiet, ThreadedServer

PAGE = "text/html; charset=utf-8"


class Answers(Quiet, BaseHTTPRequestHandler):
    """Whatever is asked for is there, with these headers."""

    sent: Mapping[str, str] = {}

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in self.sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Content-Type": PAGE}, 1),
        ({"Content-Type": "Text/HTML"}, 1),
        ({"Content-Type": "application/json"}, 0),
        ({"Content-Type": "text/plain"}, 0),
        ({}, 0),
    ],
)
def test_credentials_are_kept_for_a_registry_and_not_for_a_site_that_has_a_page_for_everything(
    sent: Mapping[str, str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(Answers, "sent", sent)
    with ThreadedServer(Answers) as server:
        done = CliRunner().invoke(app, ["login", server.url, "-u", "ada", "--password-stdin"], input="secret\n")
    assert done.exit_code == status, done.output
    assert (tmp_path / "config.json").exists() == (status == 0)
    assert status == 0 or done.stderr == f"error: what answers at {server.url} is no registry: at /v2/ it has a page\n"
