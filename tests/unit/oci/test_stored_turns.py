"""Reading of large stored documents beside an event loop: it lets other threads go on."""

import json
import sys
from types import FrameType

from moorage.oci import stored


def test_other_threads_have_a_turn_between_any_two_objects_of_a_document() -> None:
    count = 1000
    payload = json.dumps({"manifests": [{"digest": f"sha256:{number:064}"} for number in range(count)]}).encode()
    calls = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        del frame, argument
        # Python looks whether another thread waits when a function of Python is called, and not within one of C.
        calls += event == "call"

    sys.setprofile(note)
    try:
        value = stored.read(payload)
    finally:
        sys.setprofile(None)
    assert value == json.loads(payload)
    assert calls > count
