"""The registry's address as a client sees it: answers, redirects, TLS, and what a proxy in front changes or forbids."""

import http.client
import os
import ssl
import urllib.parse
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from moorage.client.credentials import Credentials, NotLoggedIn
from moorage.client.tls import tls_in_words, trusting, wants_tls
from moorage.doctor.certificates import SOON
from moorage.doctor.clocks import Now, compare_clocks
from moorage.doctor.diagnosis import Report
from moorage.json_nesting import parse_json

CHECK = "address"
_DEADLINE_S = 20.0
_ANSWER_BYTES = 1 << 16
_PORTS = {"http": 80, "https": 443}
_PROBE = "moorage-doctor"
"""A repository that nothing is ever pushed to: an upload is begun there, and given up."""
_BODIES = (10 << 30, 1 << 30, 100 << 20, 10 << 20, 1 << 20)
"""Announced sizes of bodies, of which not one byte is sent."""


@dataclass(frozen=True, slots=True)
class OutsideAnswer:
    """Answer that came back from the address."""

    status: int
    headers: Message
    body: bytes


@dataclass(slots=True)
class Outside:
    """The address, and how to ask there."""

    url: str
    prefix: str = "/"
    ca: str = ""
    context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        """Read what is trusted.

        Raises:
            CertificatesUnusable: the file of certificates cannot be used.
        """
        self.context = trusting(self.ca) if self.ca else ssl.create_default_context()

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return origin_of(self.url)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is not made yet."""
        scheme, host, port = self.origin
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=_DEADLINE_S, context=self.context)
        return http.client.HTTPConnection(host, port, timeout=_DEADLINE_S)

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> OutsideAnswer:
        """Ask once, and follow nothing.

        Raises:
            OSError, http.client.HTTPException: there is no answer.
        """
        with closing(self.connect()) as connection:
            connection.request(method, path, headers={"User-Agent": "moorage-doctor", **(headers or {})})
            answer = connection.getresponse()
            return OutsideAnswer(answer.status, answer.headers, answer.read(_ANSWER_BYTES))


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL.

    Raises:
        ValueError: it is none.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        msg = "it is no URL such as https://registry.example.com"
        raise ValueError(msg)
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def check_outside(place: Outside, report: Report, now: Now, *, takes_pushes: bool) -> None:
    """Look at the address, step by step; what needs an earlier step is left out where that fails."""
    try:
        place.origin  # noqa: B018 - to read it is what checks it
    except ValueError as exc:
        report.fail(CHECK, f"{place.url}: {exc}", "mend http.host, or --url")
        return
    asked = now()
    try:
        answer = place.ask("GET", f"{place.prefix}v2/")
    except (OSError, http.client.HTTPException) as exc:
        _say_silence(place, exc, report)
        return
    answered = now()
    if not _is_registry(place, answer, report):
        return
    _check_tls(place, report, now)
    if (date := answer.headers.get("Date")) and (theirs := _moment(date)) is not None:
        compare_clocks(report, "address", theirs, asked=asked, answered=answered)
    if not takes_pushes:
        report.skip("address: forwarded headers", "the registry is read-only, so no upload can be begun")
        return
    _check_locations(place, report)
    _check_bodies(place, report)


def _say_silence(place: Outside, exc: Exception, report: Report) -> None:
    said = tls_in_words(exc, place.url)
    if said:
        report.fail(CHECK, said, "renew or complete the certificate of whatever answers there")
        return
    why = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    remedy = "see that the registry runs and that name, port and firewall lead to it"
    report.fail(CHECK, f"{place.url} gives no answer: {why}", remedy)


def _is_registry(place: Outside, answer: OutsideAnswer, report: Report) -> bool:
    location = answer.headers.get("Location", "")
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        remedy = "tell clients, and http.host, the address that it leads to: many clients do not push past a redirect"
        report.fail("address: redirects", f"{place.url} sends clients to {location or 'elsewhere'}", remedy)
        return False
    if place.origin[0] == "http" and wants_tls(answer.status, answer.body):
        report.fail(CHECK, f"{place.url} speaks TLS", "write https:// in http.host")
        return False
    is_ours = "registry/2.0" in answer.headers.get("Docker-Distribution-Api-Version", "")
    if answer.status not in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED) or not is_ours:
        who = answer.headers.get("Server", "something")
        remedy = (
            f"have whatever answers there pass {place.prefix}v2/ on to the registry, with the headers of its answer"
        )
        report.fail(CHECK, f"{who} answers {place.prefix}v2/ with {answer.status}, not as a registry does", remedy)
        return False
    report.good(CHECK, f"{place.url} is a registry's")
    report.good("address: redirects", "it answers itself")
    return True


def _check_tls(place: Outside, report: Report, now: Now) -> None:
    check = "address: tls"
    if place.origin[0] != "https":
        report.warn(check, "plain HTTP: clients but for those on this machine refuse it", "have a proxy speak TLS")
        return
    with closing(place.connect()) as connection:
        connection.connect()
        found = connection.sock.getpeercert() if isinstance(connection.sock, ssl.SSLSocket) else None
    if found is None:
        return
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
    if ends - now() < SOON:
        report.warn(check, f"the certificate ends on {ends:%Y-%m-%d}", "renew it")
    else:
        report.good(check, f"the certificate is trusted, and good until {ends:%Y-%m-%d}")


def _check_locations(place: Outside, report: Report) -> None:
    """See that URLs that the registry gives lead back to the address: a proxy has to say what it was asked for."""
    check = "address: forwarded headers"
    path = f"{place.prefix}v2/{_PROBE}/blobs/uploads/"
    answer = place.ask("POST", path, {"Content-Length": "0"})
    header: Mapping[str, str] = {}
    if answer.status == HTTPStatus.UNAUTHORIZED:
        challenges = answer.headers.get_all("WWW-Authenticate", [])
        header = _credentials(place, challenges, report, check) or {}
        if not header:
            return
        answer = place.ask("POST", path, {"Content-Length": "0", **header})
    if answer.status != HTTPStatus.ACCEPTED:
        remedy = f"log in as a user who may push to {_PROBE}: moorage login"
        report.skip(check, f"an upload that was begun to look at its URL was answered with {_said(answer)}", remedy)
        return
    location = answer.headers.get("Location", "")
    target = urllib.parse.urlsplit(location)
    place.ask("DELETE", f"{target.path}?{target.query}", header)
    if not target.scheme:
        report.good(check, "URLs that the registry gives are relative, so they always lead back")
    elif origin_of(location) == place.origin:
        report.good(check, "URLs that the registry gives lead back to the address")
    else:
        remedy = f"set http.host: {place.url}, or have the proxy send Host and X-Forwarded-Proto as it was asked"
        report.fail(check, f"uploads are sent on to {target.scheme}://{target.netloc}", remedy)


def _credentials(place: Outside, challenges: Sequence[str], report: Report, check: str) -> Mapping[str, str] | None:
    credentials = Credentials.of(os.environ)
    credentials.context = place.context
    try:
        credentials.answer(place.url.rstrip("/"), challenges)
        header = credentials.header_for(place.url.rstrip("/"))
    except NotLoggedIn as exc:
        report.skip(check, f"the registry asks who it is: {exc}", f"log in first, as a user who may push to {_PROBE}")
        return None
    if not header:
        report.skip(check, "the registry asks who it is", f"log in first, as a user who may push to {_PROBE}")
        return None
    return {"Authorization": header}


def _said(answer: OutsideAnswer) -> str:
    try:
        return f"{answer.status} {parse_json(answer.body)['errors'][0]['code']}"
    except (ValueError, LookupError, TypeError):
        return str(answer.status)


def _check_bodies(place: Outside, report: Report) -> None:
    """Announce large bodies, and send nothing: a proxy with a limit refuses them at once."""
    check = "address: size of bodies"
    for size_bytes in _BODIES:
        if _announce(place, size_bytes) != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            break
    else:
        size_bytes = 0
    if size_bytes == _BODIES[0]:
        report.good(check, f"{_BODIES[0] >> 30} GiB in one request are not refused")
        return
    left = f"{size_bytes >> 20} MiB pass" if size_bytes else "not even 1 MiB passes"
    said = f"larger bodies are refused with 413: {left}"
    report.fail(check, said, "take the limit off: for nginx client_max_body_size 0; its ingress: proxy-body-size 0")


def _announce(place: Outside, size_bytes: int) -> int:
    """Return the status with which a body of this size is refused, or the first one that is said; 0: nothing was."""
    path = f"{place.prefix}v2/{_PROBE}/blobs/uploads/00000000-0000-4000-8000-000000000000"
    with closing(place.connect()) as connection:
        connection.putrequest("PATCH", path)
        connection.putheader("Content-Length", str(size_bytes))
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Expect", "100-continue")
        try:
            connection.endheaders()
            head = connection.sock.recv(64)
        except TimeoutError:
            return 0  # It waits for the body, so it does not refuse it.
    words = head.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _moment(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
