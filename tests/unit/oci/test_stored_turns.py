"""Reading of large stored documents beside an event loop: it lets other threads go on."""

import json

from moorage.oci import stored
from support.calls import counting_calls


def test_other_threads_have_a_turn_between_any_two_objects_of_a_document() -> None:
    count = 1000
    payload = json.dumps({"manifests": [{"digest": f"sha256:{number:064}"} for number in range(count)]}).encode()
    value, calls = counting_calls(lambda: stored.read(payload))
    assert value == json.loads(payload)
    assert calls > count
