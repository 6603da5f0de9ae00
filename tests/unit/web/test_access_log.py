"""The access log: one whole line a request, whatever strangers put into it."""

import json
import os
import select
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moorage.telemetry import LogSettings, request_id, set_level
from moorage.web.access_log import AccessLog, AccessRecord

HOSTILE = [
    '"',
    '","status":200,"x":"',
    "a\nb",
    "a\r\nb",
    "\x00\x1b[31m",
    "ü",
    "\udcff",
    "\\",
    "\\x22",
    "\u2028",
    "%0a",
    "",
]


def record(**fields: str) -> AccessRecord:
    plain = AccessRecord("id", "GET", "/v2/", "host", 200, 0.0012, 7, "192.0.2.1", "127.0.0.1:50000", "agent", "")
    return AccessRecord(**(plain._asdict() | fields))


def settings(formatter: str = "json", **fields: object) -> LogSettings:
    return LogSettings(fields=fields, access_formatter=formatter)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A pipe that the access log writes to."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr("moorage.web.access_log.output_stream", lambda _output: stream)
        yield reading, writing
    os.close(reading)


@given(uri=st.text(), agent=st.text(), host=st.text(), referrer=st.text(), actor=st.text())
@example(uri=HOSTILE[1], agent=HOSTILE[2], host=HOSTILE[4], referrer=HOSTILE[1], actor=HOSTILE[6])
def test_a_line_of_json_says_what_was_asked(*, uri: str, agent: str, host: str, referrer: str, actor: str) -> None:
    format_ = AccessLog._json
    log = AccessLog.__new__(AccessLog)
    log._now, log._now_text, log._tail = 0, "", ""
    line = format_(log, record(uri=uri, user_agent=agent, host=host, referrer=referrer, actor=actor))
    assert line.isascii()
    assert line.count("\n") == 1
    value = json.loads(line)
    found = (value["uri"], value["user_agent"], value["host"], value["referrer"], value["auth.user.name"])
    # A pair of surrogates, as no text that came over the wire has, is one character in JSON.
    assert [text.encode("utf-16", "surrogatepass") for text in found] == [
        text.encode("utf-16", "surrogatepass") for text in (uri, agent, host, referrer, actor)
    ]


async def test_configured_fields_are_in_every_line(pipe: tuple[int, int]) -> None:
    log = AccessLog(settings(environment='pro"d', number=1))
    log.write(record(uri='/"'))
    log.flush()
    value = json.loads(os.read(pipe[0], 65536))
    assert (value["environment"], value["number"], value["uri"], value["msg"]) == ('pro"d', 1, '/"', "access")
    assert (value["status"], value["written_bytes"], value["duration_ms"]) == (200, 7, 1.2)


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_line_of_text_is_one_line_without_quotes_or_ascii_controls_from_outside(
    text: str, pipe: tuple[int, int]
) -> None:
    log = AccessLog(settings("text"))
    log.write(record(uri=text, user_agent=text))
    log.flush()
    line = os.read(pipe[0], 65536)
    assert line.endswith(b"\n")
    assert not any(byte < 32 or byte == 127 for byte in line[:-1])
    assert line.count(b'"') == 4
    assert line.decode("utf-8")[:-1].isprintable()


@pytest.mark.parametrize("formatter", ["json", "text"])
async def test_lines_that_fit_are_written_in_pieces_that_nobody_can_cut(
    formatter: str, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[bytes] = []

    def kept(_fileno: int, data: memoryview) -> int:
        pieces.append(bytes(data))
        return len(data)

    log = AccessLog(settings(formatter))
    for number in range(200):
        log.write(record(uri="/v2/" + "x" * (number * 7 % 1500), request_id=f"id{number}"))
    with monkeypatch.context() as patch:
        patch.setattr("os.write", kept)
        log.flush()
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith(b"\n") for piece in pieces)
    assert len(pieces) < 100, "lines are gathered"
    whole = b"".join(pieces).decode().splitlines()
    assert [f"id{number}" in line for number, line in enumerate(whole)] == [True] * 200


async def test_nothing_is_written_twice_and_nothing_without_lines(pipe: tuple[int, int]) -> None:
    log = AccessLog(settings())
    log.write(record())
    log.flush()
    os.read(pipe[0], 65536)
    log.flush()
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 65536)


@pytest.mark.parametrize(
    ("level", "disabled", "is_enabled"),
    [("info", False, True), ("debug", False, True), ("warn", False, False), ("info", True, False)],
)
def test_it_can_be_switched_off(level: str, *, disabled: bool, is_enabled: bool, pipe: tuple[int, int]) -> None:
    log = AccessLog(LogSettings(level=level, fields={}, access_disabled=disabled))
    try:
        set_level(level)
        assert log.is_enabled is is_enabled
    finally:
        set_level("trace")


@pytest.mark.parametrize("given_id", ["a", "01JABC", "0af7651916cd43dd8448eb211c80319c", "a.b-c_d:e/f+g=@", "x" * 128])
def test_a_harmless_request_id_is_taken_over(given_id: str) -> None:
    assert request_id(given_id) == given_id


@pytest.mark.parametrize(
    "given_id", [None, "", "x" * 129, "a b", 'a"', "a\n", "a\r\nX: y", "é", "\udcff", "<b>", "%0a", "a;b"]
)
def test_any_other_gets_a_new_one(given_id: str | None) -> None:
    first, second = request_id(given_id), request_id(given_id)
    assert first != second
    assert len(first) == 32
    assert first.isalnum()


@given(actor=st.text(), actor_type=st.text(), projects=st.lists(st.text(), max_size=3))
def test_a_line_says_who_it_was_and_by_what_credentials(actor: str, actor_type: str, projects: list[str]) -> None:
    """GitLab features LOG-003."""
    log = AccessLog.__new__(AccessLog)
    log._now, log._now_text, log._tail = 0, "", ""
    who = record(actor=actor)._replace(actor_type=actor_type, projects=tuple(projects))
    line = AccessLog._json(log, who)
    assert line.count("\n") == 1
    value = json.loads(line)
    assert value["auth.user.name"] == actor
    assert value.get("auth.user.type", "") == actor_type
    assert value.get("auth.project_paths", []) == projects


def test_lines_have_logstashs_names_where_the_log_has_them(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog(LogSettings(formatter="logstash", fields={}))
    line = json.loads(log._format(record()))
    assert (line["message"], line["@version"]) == ("access", "1")
    assert "@timestamp" in line
