"""Errors as a Sentry of our own receives them."""

import gzip
import json
import queue
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage.errors import ConfigurationError
from moorage.reporting.sentry import SentryReports
from moorage.wiring.reporting import error_reports
from support.daemon import Daemon
from support.registry_client import RegistryClient
from support.threaded_server import Quiet, ThreadedServer
from unit.config.reading import read

DEADLINE_S = 30.0


class Sentry(ThreadedServer):
    """Takes envelopes and keeps their events."""

    def __init__(self) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        events = self.events

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for line in body.splitlines():
                    found = json.loads(line)
                    if "logentry" in found:
                        events.put(found)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        super().__init__(Handler)
        self.dsn = f"http://key@{self.address}/1"


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    with Sentry() as sentry:
        yield sentry


def test_an_error_arrives_with_its_request_and_traceback_and_without_local_variables(sentry: Sentry) -> None:
    reports = SentryReports(sentry.dsn, environment="tests")
    password = "hunter{}".format(2)  # noqa: UP032 - the source beside a mistake is sent, and must not have the word
    try:
        _ = [][len(password)]
    except IndexError:
        reports({"event": "request crashed", "component": "http", "correlation_id": "abc", "exc_info": True, "n": 1})
    reports.flush()
    event = sentry.events.get(timeout=DEADLINE_S)
    assert event["logentry"]["message"] == "request crashed"
    assert (event["logger"], event["environment"], event["tags"]["correlation_id"]) == ("http", "tests", "abc")
    assert event["extra"]["n"] == "1"
    assert event["exception"]["values"][0]["type"] == "IndexError"
    assert "hunter2" not in json.dumps(event)


def test_a_sentry_that_is_away_holds_up_nobody() -> None:
    reports = SentryReports("http://key@127.0.0.1:1/1", environment="")
    for number in range(1000):
        reports({"event": f"error {number}"})


@pytest.mark.timeout(90)
def test_what_a_daemon_logs_as_an_error_arrives(sentry: Sentry, tmp_path: Path) -> None:
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "data")}},
        "health": {"file": [{"file": str(tmp_path / "down"), "interval": "10ms"}]},
        "reporting": {"sentry": {"enabled": True, "dsn": sentry.dsn, "environment": "tests"}},
    }
    with Daemon(tmp_path, config=yaml.safe_dump(config)) as daemon:
        (tmp_path / "down").touch()
        event = sentry.events.get(timeout=DEADLINE_S)
        assert event["logentry"]["message"].startswith("a health check fails")
        (tmp_path / "down").unlink()
        with RegistryClient(daemon.address) as client:
            while client.request("GET", "/v2/").status != 200:
                pass


@pytest.mark.parametrize("dsn", ["", "nonsense", "https://sentry.example.com"])
def test_a_project_that_is_none_is_a_mistake(dsn: str) -> None:
    config = read(f"reporting: {{sentry: {{enabled: true, dsn: '{dsn}'}}}}").config
    with pytest.raises(ConfigurationError, match=r"reporting\.sentry\.dsn"):
        error_reports(config)


def test_off_is_the_default_and_loads_nothing() -> None:
    assert error_reports(read().config) is None
