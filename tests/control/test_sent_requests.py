"""Encodings that a client names and that are none, and characters that no database keeps."""

from io import BytesIO
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import RequestFactory

from moorage.control.sent_requests import wsgi_application
from moorage.control.sent_texts import storable
from support.control_rows import new_token, new_user

CHARSETS = ["hex", "rot13", "zip", "idna", "undefined", "utf-16", "latin-1", "mbcs"]
"""Names that Python knows; the first ones are of no encoding of text, and the last one is known elsewhere only."""
FORM = "application/x-www-form-urlencoded"
PARTS = 'multipart/form-data; boundary="x"'


@pytest.fixture(autouse=True)
def _within_the_test() -> Any:  # noqa: ANN401 - a fixture
    """A request does not close the connection that the test's transaction is in."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def answered(asked: str, body: bytes, kind: str, *, token: str = "") -> tuple[int, bytes]:
    """Ask the application as a server does: Django's own client makes requests of another class."""
    method, _, target = asked.partition(" ")
    environ: dict[str, Any] = dict(RequestFactory().get(target).environ)
    environ |= {"REQUEST_METHOD": method, "CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body))}
    environ |= {"wsgi.input": BytesIO(body)} | ({"HTTP_PRIVATE_TOKEN": token} if token else {})
    said: list[str] = []

    def start(status: str, *_: object) -> Any:  # noqa: ANN401 - nothing reads it
        said.append(status)

    answer = wsgi_application()(environ, start)
    return int(said[0].partition(" ")[0]), b"".join(answer)


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", '{"name": "n\u00e9"}'),
        (FORM, "name=n%C3%A9"),
        (PARTS, '--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nn\u00e9\r\n--x--\r\n'),
    ],
)
def test_a_charset_that_is_none_is_no_fault_of_ours(charset: str, kind: str, body: str) -> None:
    """Name it in every kind of body; all is read as UTF-8."""
    token = new_token(new_user(is_admin=True), "api").secret
    status, answer = answered("POST /api/v4/projects?path=aa", body.encode(), f"{kind}; charset={charset}", token=token)
    assert (status, b'"name": "n\\u00e9"' in answer) == (201, True), answer


@pytest.mark.parametrize("kind", [f"{FORM}; charset=hex", f"{FORM}; a*=hex''%41", f"{FORM}; a*=no''%41", "a;" * 9000])
@pytest.mark.parametrize(
    "path", ["/-/sign-in", "/api/v4/container_registry_event/events", "/jwt/auth", "/api/v4/projects", "/nowhere"]
)
def test_a_charset_that_is_none_is_no_fault_of_any_page(path: str, kind: str) -> None:
    for method in ("GET", "POST"):
        assert answered(f"{method} {path}?next=a", b"login=a", kind)[0] < 500


@pytest.mark.parametrize("path", ["/-/sign-in", "/api/v4/projects"])
@pytest.mark.parametrize("name", ["hex''%41", "no''%41", "undefined''%41", "idna''%FF%41"])
def test_the_name_of_a_file_in_no_encoding_is_no_fault_of_ours(path: str, name: str) -> None:
    token = new_token(new_user(), "api").secret
    body = f'--x\r\nContent-Disposition: form-data; name="name"; filename*={name}\r\n\r\nn\r\n--x--\r\n'
    assert 400 <= answered(f"POST {path}", body.encode(), PARTS, token=token)[0] < 500


def test_what_no_database_keeps_has_a_sign_in_its_place() -> None:
    assert storable("a\0b\ud800c\udfff") == "a\ufffdb\ufffdc\ufffd"
    assert storable("\U0001f6a2 \u00e9\n") == "\U0001f6a2 \u00e9\n"
