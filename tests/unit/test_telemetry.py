"""Where log lines go."""

import json
import subprocess
import sys

import pytest

SCRIPT = 'from moorage.telemetry import output_stream as to; to("discard").write("x"); to("discard").flush()'


def test_a_log_that_is_discarded_leaves_no_file_that_python_warns_of_at_the_end() -> None:
    command = [sys.executable, "-X", "dev", "-c", SCRIPT]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert (found.stdout, found.stderr) == ("", "")


LINES = """
from moorage.telemetry import LogSettings, configure, get_log
configure(LogSettings(formatter={formatter!r}, reports_caller={caller}, fields={{"site": "a"}}))
log = get_log("part")
log.info("something happened", n=1)
try:
    secret = "hunter2"
    raise ValueError("no")
except ValueError:
    log.exception("it went wrong")
"""


def lines(formatter: str, *, caller: bool = False) -> str:
    script = LINES.format(formatter=formatter, caller=caller)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    ).stdout


@pytest.mark.parametrize(
    ("formatter", "message", "time"), [("json", "msg", "time"), ("logstash", "message", "@timestamp")]
)
def test_lines_are_json_with_the_names_that_are_asked_for(formatter: str, message: str, time: str) -> None:
    first, second = map(json.loads, lines(formatter).splitlines())
    assert (first[message], first["level"], first["n"], first["site"]) == ("something happened", "info", 1, "a")
    assert first.get("@version") == ("1" if formatter == "logstash" else None)
    assert time in first
    assert second["exception"][0]["exc_type"] == "ValueError"
    assert "hunter2" not in json.dumps(second)


def test_lines_for_people_have_one_line_and_a_traceback() -> None:
    said = lines("text")
    assert said.splitlines()[0].split("] ")[1].split()[:2] == ["something", "happened"]
    assert "ValueError: no" in said


def test_lines_say_which_code_wrote_them_if_asked() -> None:
    first = json.loads(lines("json", caller=True).splitlines()[0])
    assert (first["func"], first["file"]) == ("<module>", "<string>:5")
