"""What a benchmark measures is the server that it has started, and no other one that answers at its port."""

import importlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def subjects(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("subjects")


class _Answers(BaseHTTPRequestHandler):
    """As a registry would: whoever asks whether it is there is told so."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    protocol_version = "HTTP/1.1"


def test_a_stranger_who_took_the_port_is_not_taken_for_the_server_that_was_started(
    subjects: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as stranger:
        serving = Thread(target=stranger.serve_forever)
        serving.start()
        monkeypatch.setattr(subjects, "_free_port", lambda: stranger.server_port)
        try:
            with (
                pytest.raises(subjects.LoadError, match="is another registry running there"),
                subjects.running(subjects.Moorage(1), tmp_path),
            ):
                pytest.fail("the stranger would have been measured")
        finally:
            stranger.shutdown()
            serving.join()
