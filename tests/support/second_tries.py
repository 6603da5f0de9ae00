"""Second tries where several processes share the tests: each keeps count of its own.

ADR 83 says why there are second tries, ADR 176 what they cost.
"""

import pytest
from pytest_rerunfailures import ClientStatusDB, StatusDB


def count_alone(config: pytest.Config) -> None:
    """Have this process ask nobody whether a test was tried before: for all 18,000 tests that took 29 s of CPU.

    The question, answered a byte at a time, is for a test during which another process crashed.
    None of those is started again where tests are shared out by file (``mark_test_pending`` of xdist), so that
    whoever runs a test knows of all its tries.
    """
    counts = getattr(config, "failures_db", None)
    if isinstance(counts, ClientStatusDB):
        counts.sock.close()
        config.failures_db = StatusDB()  # type: ignore[attr-defined] # the library keeps it there
