"""Types under which a stranger's manifest is served: none that a browser runs or renders."""

import pytest

from moorage.oci.mediatypes import OCI_INDEX, OCI_MANIFEST, UNKNOWN, served_as


@pytest.mark.parametrize(
    "media_type",
    [
        "text/html",
        "TEXT/HTML",
        "text/html; charset=utf-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "application/xml",
        "application/vnd.example+xml",
        "text/javascript",
        "application/javascript",
        "application/pdf",
        "multipart/x-mixed-replace; boundary=x",
        "application/json\r\nX-Other: 1",
    ],
)
def test_a_type_that_a_browser_runs_or_renders_is_served_as_bytes(media_type: str) -> None:
    assert served_as(media_type) == UNKNOWN


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, OCI_INDEX, "application/json", "application/example+json"])
def test_a_type_that_clients_go_by_is_served_as_it_is(media_type: str) -> None:
    assert served_as(media_type) == media_type
