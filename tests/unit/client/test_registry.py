"""Where a command asks: what is no URL of a registry, and what cannot be reached."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from moorage.client.registry import CommandFailed, Remote

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://a..b", "a..b cannot be the name of a host"),
        (f"https://{'a' * 64}.example", "cannot be the name of a host"),
        ("http://127.0.0.1:five", "Port could not be cast to integer value as 'five'"),
        ("http://127.0.0.1:99999", "Port out of range 0-65535"),
        ("http://:5000", "it names no host"),
        ("http://", "it names no host"),
        ("ftp://127.0.0.1", "it does not begin with http:// or https://"),
        ("127.0.0.1:5000", "it does not begin with http:// or https://"),
        ("", "it does not begin with http:// or https://"),
        ("http://127.0.0.1/caf\u00e9", "it has characters that have to be written with %"),
        ("http://127.0.0.1/a b", "it has characters that have to be written with %"),
        ("http://127.0.0.1/a\nb", "it has characters that have to be written with %"),
    ],
)
def test_what_is_no_url_of_a_registry_is_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        Remote(url)
    assert f"{url} is no URL of a registry" in str(refused.value)
    assert reason in str(refused.value)
    assert "http://localhost:5000" in str(refused.value)


@pytest.mark.parametrize("url", ["http://[::1", "http://a..b", "http://127.0.0.1:99999"])
def test_a_mistyped_registry_is_a_message_and_no_traceback(url: str) -> None:
    done = RUNNER.invoke(app, ["gc", "status", "--registry", url])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {url} is no URL of a registry")
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("url", ["http://r\u00e9gistre.invalid", "http://127.0.0.1:1", "http://[::1]:1/below"])
def test_what_does_not_answer_is_a_message_that_names_it(url: str) -> None:
    with pytest.raises(CommandFailed, match="is it running"):
        Remote(url).get("x")


def test_a_registry_that_is_away_is_told_without_numbers_and_names_of_libraries() -> None:
    with pytest.raises(CommandFailed, match=r":1: Connection refused; is it running"):
        Remote("http://127.0.0.1:1").get("x")


@pytest.fixture
def redirecting(request: pytest.FixtureRequest) -> Iterator[str]:
    """Sends everybody elsewhere."""

    class Redirect(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", request.param)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, *_args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Redirect) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("redirecting", ["http://a..b/", "http://127.0.0.1:five/"], indirect=True)
def test_a_redirect_to_nowhere_is_a_message_that_names_the_registry(redirecting: str) -> None:
    with pytest.raises(CommandFailed, match=f"cannot ask the registry at {redirecting}"):
        Remote(redirecting).get("x")
