"""Bars, as on a terminal."""

import sys

import pytest

from moorage.cli.bars import Bars


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have standard error be one, in the test itself: in fixtures it is not yet what capsys reads."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")


def test_each_part_has_a_bar_with_its_share_and_what_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch)
    with Bars() as bars:
        bars.moved("first", 0.25, said="running")
        bars.moved("second", 1.0, said="finished")
    shown = capsys.readouterr().err
    for text in ("first", "25%", "running", "second", "100%", "finished"):
        assert text in shown


def test_counts_are_shown_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch)
    with Bars(counts=True) as bars:
        bars.begins("blobs", 8)
        bars.advanced("blobs")
        bars.advanced("blobs", 2)
    assert "3/8" in capsys.readouterr().err


def test_a_total_may_be_learnt_on_the_way(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on_a_terminal(monkeypatch)
    with Bars(counts=True) as bars:
        bars.begins("reviewing", None)
        bars.moved("reviewing", 3, total=12, said="1 MiB")
    shown = capsys.readouterr().err
    assert "3/12" in shown
    assert "1 MiB" in shown


def test_a_line_is_written_between_the_bars(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal(monkeypatch)
    with Bars() as bars:
        bars.says("another worker is at it")
    assert "another worker is at it" in capsys.readouterr().err


def test_where_there_is_no_terminal_there_are_no_bars_though_colours_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Bars() as bars:
        bars.moved("first", 0.5)
    assert capsys.readouterr().err == ""
