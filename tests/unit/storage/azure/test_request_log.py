"""Lines for each request to the service: what they say, which ones are asked for, and that no secret is in them."""

import pytest
import structlog

from moorage.errors import PathUnknown
from support.azure_front import AzureFront, Fault
from support.azurite import KEY
from unit.storage.azure.conftest import Maker


@pytest.mark.parametrize("events", [[], ["Retry", "ResponseError"]])
async def test_requests_are_told_as_far_as_was_asked_for(
    events: list[str], new_driver: Maker, front: AzureFront
) -> None:
    driver = new_driver(debug_log=True, debug_log_events=events)
    front.faults.append(Fault("PutBlob", status=503, code="ServerBusy"))
    with structlog.testing.capture_logs() as logged:
        await driver.put("/a", b"content")
        with pytest.raises(PathUnknown):
            await driver.get("/gone")
    logged = [line for line in logged if line["log_level"] == "info"]
    told = [(line["event"], line["request"]) for line in logged]
    refused = [("storage has refused", "PutBlob"), ("storage is asked again", "PutBlob")]
    missing = ("storage has refused", "GetBlob")
    assert [each for each in told if each in (*refused, missing)] == [*refused, missing]
    rest = {each for each in told if each not in (*refused, missing)}
    kinds = ("PutBlob", "GetBlob")
    asked = {(event, kind) for event in ("storage is asked", "storage has answered") for kind in kinds}
    assert rest == (set() if events else asked)
    (last,) = [line for line in logged if (line["event"], line["request"]) == missing]
    assert (last["status"], last["code"]) == (404, "BlobNotFound")
    assert KEY not in str(logged)
    assert "?" not in str(logged)
