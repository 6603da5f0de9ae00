"""One fake of Google Cloud Storage for the tests of a file."""

from collections.abc import Iterator

import pytest

from support.gcs_fake import GCSFake


@pytest.fixture(scope="module")
def fake() -> Iterator[GCSFake]:
    with GCSFake() as fake:
        yield fake
