"""What a process gets where several share the tests, and in which order."""

from collections.abc import Iterator

import pytest

from support.sharing_out import WholeFiles, place_of

_RUN_HERE: list[str] = []


@pytest.fixture(autouse=True)
def _noted(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    _RUN_HERE.append(request.node.nodeid)


class Told(WholeFiles):
    """Says to what a test belongs, without processes to share with."""

    def __init__(self) -> None:
        pass

    def unit_of(self, nodeid: str) -> str:
        return self._split_scope(nodeid)


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/unit/a/test_a.py::test_one", "tests/unit/a/test_a.py"),
        ("tests/unit/a/test_a.py::TestAll::test_one[with @ and ::]", "tests/unit/a/test_a.py"),
        ("tests/e2e/test_b.py::test_one@docker", "docker"),
        ("tests/e2e/test_c.py::test_two[other]@docker", "docker"),
    ],
    ids=["function", "method", "group", "group-of-another-file"],
)
def test_a_file_stays_together_and_so_does_a_group_over_several_files(nodeid: str, unit: str) -> None:
    assert Told().unit_of(nodeid) == unit


def test_groups_begin_first_and_what_is_short_ends() -> None:
    told = [("tests/unit/test_a.py::a", False), ("tests/e2e/test_b.py::b", False), ("tests/e2e/test_c.py::c@d", True)]
    assert sorted(told, key=lambda one: place_of(one[0], has_group=one[1])) == told[::-1]


def test_those_before_this_one_were_run_by_this_process(request: pytest.FixtureRequest) -> None:
    """Where two processes shared this file, one of them would lack what the other one ran."""
    if hasattr(request.config, "workerinput") and not request.config.getoption("loadgroup"):
        pytest.skip("tests are shared out singly")
    files = [item for item in request.session.items if item.path == request.path]
    before = [item.nodeid for item in files[: files.index(request.node)]]
    assert set(before) <= set(_RUN_HERE)
