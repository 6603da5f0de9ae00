"""Calls of functions of Python.

Python looks whether another thread waits when one is called, and not within a function of C.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")


def counting_calls(work: Callable[[], Result]) -> tuple[Result, int]:
    """What *work* comes to, and how many functions of Python were called for it."""
    calls = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        del frame, argument
        calls += event == "call"

    sys.setprofile(note)
    try:
        value = work()
    finally:
        sys.setprofile(None)
    return value, calls
