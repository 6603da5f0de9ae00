"""Requests that mean harm, on raw sockets: framing, heads, names. JSON bombs are in test_hostile_manifests.py.

Whatever comes, the answer is a 4xx or a closed connection, there is no traceback, and the next request is served.
"""

from collections.abc import Iterator

import pytest

from spec.expect import holds_for_every_response
from spec.wire import Wire, exchange, head
from support import images
from support.daemon import Daemon
from support.registry_client import OCTETS, RegistryClient, Response, path_of

PATIENCE_S = 60.0
"""No refusal may take longer: it is one look at the head of a request."""

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(autouse=True)
def daemon(shared_daemon: Daemon) -> Iterator[Daemon]:
    """The shared daemon; after the test it still answers on every connection, and its log has no new traceback."""
    before = shared_daemon.log.count("Traceback")
    yield shared_daemon
    for _ in range(4):
        with RegistryClient(shared_daemon.address, timeout_s=PATIENCE_S) as client:
            assert client.base().status == 200
    assert shared_daemon.log.count("Traceback") == before, shared_daemon.log[-4000:]


@pytest.fixture
def upload(shared_daemon: Daemon, repository: str) -> str:
    """The path of an open upload."""
    with RegistryClient(shared_daemon.address) as client:
        return path_of(client.start_upload(repository).location)


def refused_or_closed(response: Response | None, allowed: frozenset[int] = frozenset()) -> None:
    assert response is None or 400 <= response.status < 500 or response.status in allowed, response


class TestFraming:
    """RFC 9112 § 6.3, § 11.2: where a message ends must not depend on who reads it (request smuggling)."""

    @pytest.mark.parametrize(
        "lines",
        [
            ("Content-Length: 5", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: 5"),
            ("Content-Length: 5", "Content-Length: 6"),
            ("Content-Length: 5, 6",),
            ("Transfer-Encoding: chunked, identity",),
            ("Transfer-Encoding: identity, chunked", "Content-Length: 5"),
            ("Transfer-Encoding: xchunked",),
            ("Transfer-Encoding : chunked",),
            ("Transfer-Encoding: \x0bchunked",),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
            ("Content-Length: -1",),
            ("Content-Length: +5",),
            ("Content-Length: 0x5",),
            ("Content-Length: 5 5",),
            ("Content-Length: 1_0",),
            ("Content-Length: five",),
            ("Content-Length: \xb2",),
            (f"Content-Length: {10**400}",),
            ("Content-Length:",),
        ],
        ids=[str(number) for number in range(19)],
    )
    def test_a_body_of_doubtful_length_is_refused(self, daemon: Daemon, upload: str, lines: tuple[str, ...]) -> None:
        request = head("PATCH", upload, *lines, f"Content-Type: {OCTETS}") + b"0\r\n\r\n" + SMUGGLED
        with Wire(daemon.address) as wire:
            wire.send(request)
            wire.half_close()
            refused_or_closed(wire.read("PATCH"))
            assert wire.is_ended(), "what followed was read as a request of its own"

    @pytest.mark.parametrize(
        "body",
        [
            b"5\r\nabc",
            b"g\r\nabc\r\n0\r\n\r\n",
            b"-5\r\nabcde\r\n0\r\n\r\n",
            b"+5\r\nabcde\r\n0\r\n\r\n",
            b"0x5\r\nabcde\r\n0\r\n\r\n",
            b"5 5\r\nabcde\r\n0\r\n\r\n",
            b"5\r\nabcdefgh\r\n0\r\n\r\n",
            b"\r\n\r\n",
            b"f" * 400 + b"\r\nabc\r\n",
            b"ffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
            b"5;" + b"x" * 100_000 + b"\r\nabcde\r\n0\r\n\r\n",
            b"5\r\nabcde\r\n",
            b"5\nabcde\n0\n\n",
            b"0\r\nBad Trailer\r\n\r\n",
        ],
        ids=[str(number) for number in range(14)],
    )
    def test_chunks_that_are_wrong_or_cut_short_are_refused(self, daemon: Daemon, upload: str, body: bytes) -> None:
        request = head("PATCH", upload, "Transfer-Encoding: chunked", f"Content-Type: {OCTETS}")
        response = exchange(daemon.address, request + body, method="PATCH", half_close=True)
        # A long extension and an odd trailer are allowed to be ignored, as RFC 9112 § 7.1 has it.
        lenient = body.startswith((b"5;", b"0\r\nBad"))
        refused_or_closed(response, frozenset({202}) if lenient else frozenset())

    def test_bytes_of_a_stream_cut_short_make_no_blob(self, daemon: Daemon, repository: str, upload: str) -> None:
        content = images.blob("cut short", 5000)
        body = b"%x\r\n%b\r\n" % (len(content.body), content.body)
        request = head(
            "PUT", f"{upload}{'&' if '?' in upload else '?'}digest={content.digest}", "Transfer-Encoding: chunked"
        )
        refused_or_closed(exchange(daemon.address, request + body, method="PUT", half_close=True))
        with RegistryClient(daemon.address) as client:
            assert client.head_blob(repository, content.digest).status == 404

    def test_a_body_on_get_is_not_the_next_request(self, daemon: Daemon) -> None:
        with Wire(daemon.address) as wire:
            wire.send(head("GET", "/v2/", f"Content-Length: {len(SMUGGLED)}") + SMUGGLED)
            wire.send(head("GET", "/v2/"))
            first, second = wire.read(), wire.read()
        assert first is not None
        assert first.status in {200, 400}
        refused_or_closed(second, frozenset({200}))
        assert second is None or second.status != 404

    def test_an_expectation_that_nobody_knows_is_417_or_ignored(self, daemon: Daemon, upload: str) -> None:
        request = head("PATCH", upload, "Content-Length: 3", "Expect: the-unexpected") + b"abc"
        refused_or_closed(exchange(daemon.address, request, method="PATCH"), frozenset({202}))


class TestHead:
    """RFC 9112 § 2.2, § 3, § 5: what is no request is refused."""

    @pytest.mark.parametrize(
        "data",
        [
            b"\r\n\r\n\r\n\r\n",
            b"hello\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /v2/\r\n\r\n",
            b"GET /v2/ HTTP/9.9\r\nHost: a\r\n\r\n",
            b"GET /v2/ HTTX/1.1\r\nHost: a\r\n\r\n",
            b"GET v2 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /v2/ a b HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /v2/\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /v2/ HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
            b"GET /v2/ HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n",
            b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX\x00Y: 1\r\n\r\n",
            b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: 1\x00\r\n\r\n",
            b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            bytes(range(256)) * 100,
            b"SSH-2.0-OpenSSH_9.0\r\n",
        ],
        ids=[str(number) for number in range(18)],
    )
    def test_what_is_no_request_is_refused_or_the_connection_closed(self, daemon: Daemon, data: bytes) -> None:
        refused_or_closed(exchange(daemon.address, data, half_close=True))

    def test_a_request_without_host_is_400(self, daemon: Daemon) -> None:
        """RFC 9112 § 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
        that lacks a Host header field and to any request message that contains more than one Host header field line
        or a Host header field with an invalid field value".
        """
        for request in (
            head("GET", "/v2/", host=None),
            head("GET", "/v2/", "Host: b", host="a"),
            head("GET", "/v2/", host="a b"),
            head("GET", "/v2/", host='"><script>'),
        ):
            response = exchange(daemon.address, request)
            assert response is not None
            assert response.status == 400, request

    def test_http_1_0_without_host_is_served(self, daemon: Daemon, repository: str) -> None:
        for method, target, status in (("GET", "/v2/", 200), ("POST", f"/v2/{repository}/blobs/uploads/", 202)):
            request = head(method, target, "Content-Length: 0", version="1.0", host=None)
            with Wire(daemon.address) as wire:
                wire.send(request)
                response = wire.read(method)
                assert response is not None
                assert response.status == status
                assert wire.is_ended()
            if method == "POST":
                assert "/v2/" in response.location
                with RegistryClient(daemon.address) as client:
                    assert client.upload_status(response.location).status == 204

    def test_a_header_of_a_mebibyte_is_refused(self, daemon: Daemon) -> None:
        refused_or_closed(exchange(daemon.address, head("GET", "/v2/", f"X-Large: {'x' * (1 << 20)}")))

    def test_a_hundred_thousand_headers_are_refused(self, daemon: Daemon) -> None:
        lines = [f"X-{number}: a" for number in range(100_000)]
        refused_or_closed(exchange(daemon.address, head("GET", "/v2/", *lines)))

    def test_a_head_that_never_ends_is_refused(self, daemon: Daemon) -> None:
        with Wire(daemon.address) as wire:
            wire.send(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n")
            wire.send(b"X-Another: line\r\n" for _ in range(200_000))
            refused_or_closed(wire.read())

    @pytest.mark.parametrize(
        "method", ["BREW", "get", "G" * 10_000, "CONNECT", "PATCHY", "M-SEARCH", "*"], ids=list("0123456")
    )
    @pytest.mark.parametrize("target", ["/v2/", "/v2/a/manifests/latest"], ids=["base", "manifest"])
    def test_an_unknown_method_is_refused(self, daemon: Daemon, method: str, target: str) -> None:
        refused_or_closed(exchange(daemon.address, head(method, target), half_close=True))

    @pytest.mark.parametrize(
        "target", ["*", "http://other.example/v2/", "other.example:443", "//v2/", "/v2/#a", "?"], ids=list("012345")
    )
    def test_other_forms_of_target_are_served_or_refused(self, daemon: Daemon, target: str) -> None:
        refused_or_closed(exchange(daemon.address, head("GET", target), half_close=True), frozenset({200, 301, 308}))

    def test_a_client_that_drips_its_head_and_leaves_holds_up_nobody(self, daemon: Daemon) -> None:
        request = head("GET", "/v2/", "X-Slow: yes")
        wires = [Wire(daemon.address) for _ in range(20)]
        try:
            for byte in request[:20]:
                for wire in wires:
                    wire.send(bytes([byte]))
                with RegistryClient(daemon.address) as client:
                    assert client.base().status == 200
        finally:
            for wire in wires:
                wire.__exit__(None, None, None)

    def test_a_hundred_open_connections_hold_up_nobody(self, daemon: Daemon) -> None:
        wires = [Wire(daemon.address) for _ in range(100)]
        try:
            with RegistryClient(daemon.address, timeout_s=PATIENCE_S) as client:
                assert client.base().status == 200
        finally:
            for wire in wires:
                wire.__exit__(None, None, None)


class TestRangeHeaders:
    """Range and Content-Range are read in one look, however long they are."""

    @pytest.mark.parametrize(
        "value",
        [
            "0-," + ",".join(f"{n}-" for n in range(1300)),
            "0-0," * 2000,
            "," * 7000,
            "9" * 7000 + "-",
            "-" * 7000,
            "0-" + "9" * 7000,
        ],
        ids=[str(number) for number in range(6)],
    )
    def test_thousands_of_ranges_give_one_answer(self, daemon: Daemon, repository: str, value: str) -> None:
        content = images.blob("many ranges", 100_000)
        with RegistryClient(daemon.address, observe=holds_for_every_response) as client:
            client.push_blob(repository, content.body, content.digest)
            response = client.get_blob(repository, content.digest, headers={"Range": f"bytes={value}"})
        assert response.status in {200, 206, 400, 416, 431}
        assert len(response.body) <= len(content.body)

    @pytest.mark.parametrize(
        "value", ["-" * 7000, "1" * 7000 + "-2", "0-" + "1" * 7000, "0-1" * 2000], ids=list("0123")
    )
    def test_a_monstrous_content_range_is_refused(self, daemon: Daemon, upload: str, value: str) -> None:
        request = head("PATCH", upload, "Content-Length: 3", f"Content-Range: {value}", f"Content-Type: {OCTETS}")
        refused_or_closed(exchange(daemon.address, request + b"abc", method="PATCH"))
