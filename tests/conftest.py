"""Fixtures that every folder of tests may use, and the surroundings that the whole run has."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.daemon import Daemon
from support.logging_as_before import logging_as_before
from support.loop_watch import environment
from support.ports import let_go_of_ports
from support.postgres import Postgres
from support.scratch import FAILURES, SCRATCH, RunFolder, place_for_scratch
from support.second_tries import count_alone
from support.services import end_all
from support.sharing_out import WholeFiles, place_of
from support.surroundings import UMASK, hear_signals, isolate, new_folder, remove_folder

# The machine may be busy with other tests: how long an example takes says nothing.
settings.register_profile("moorage", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("moorage")

_LINES_OF_A_FIRST_TRY = 40
_LONGEST_ID = 60
_HOME = pytest.StashKey[Path]()
_FAILED = pytest.StashKey[bool]()
_SCRATCH = pytest.StashKey[RunFolder]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the run a scratch folder, and this process, and all that it starts, a home of its own.

    Raises:
        pytest.UsageError: the locale has another encoding than UTF-8, so that words for programs would be garbled.
    """
    if sys.getfilesystemencoding() != "utf-8":
        msg = f"the locale's encoding is {sys.getfilesystemencoding()}; run the tests by make, or with LC_ALL=C.UTF-8"
        raise pytest.UsageError(msg)
    os.umask(UMASK)
    if not hasattr(config, "workerinput"):  # Else the process that has begun the run has made it for all.
        run = config.stash[_SCRATCH] = RunFolder(place_for_scratch(os.environ))
        run.use(os.environ)
        config.option.basetemp = config.option.basetemp or str(run.path / "t")  # Short, as sockets lie below it.
    config.stash[_HOME] = new_folder()
    isolate(os.environ, config.stash[_HOME])
    hear_signals()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Settle who counts second tries, once the plugin for them has been configured."""
    count_alone(session.config)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Load tests without a look for garbage among them: they stay, and half of the time of loading went there."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> WholeFiles | None:
    """Hand out whole files."""
    if config.getoption("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False  # By the number of tests, and files of many have the quickest.
    return WholeFiles(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest where several processes share the tests."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place_of(item.nodeid, has_group=item.get_closest_marker("xdist_group") is not None))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind, but for what a test has left that failed."""
    end_all()
    let_go_of_ports()
    if _HOME in config.stash:
        remove_folder(config.stash[_HOME])
    if _SCRATCH in config.stash:
        config.stash[_SCRATCH].end(keep=config.stash.get(_FAILED, False))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long texts by their argument: keys and hashes are others in each process, and names must be the same."""
    return argname if isinstance(val, str | bytes) and len(val) > _LONGEST_ID else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down at once what failed: a run that is cut off never comes to its summary."""
    if report.failed and not hasattr(report, "node"):  # Which it has where another process has written it down.
        told = [f"{report.nodeid} ({report.when})", report.longreprtext, *(text for _, text in report.sections)]
        with (Path(os.environ[SCRATCH]) / FAILURES).open("a", errors="backslashreplace") as failures:
            failures.write("\n".join([*told, "\n"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Print what a test saw that was tried once more: only then can its fault be found; and where failed ones were."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("_", f"first try of {report.nodeid}")
        terminalreporter.write_line("\n".join(report.longreprtext.splitlines()[-_LINES_OF_A_FIRST_TRY:]))
    if exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED} and _SCRATCH in config.stash:
        config.stash[_FAILED] = True
        terminalreporter.write_line(
            f"Until the next run begins, {config.stash[_SCRATCH].path} has what tests have left, "
            f"and in {FAILURES} what they said."
        )


@pytest.fixture(scope="session")
def held_loops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where daemons and registries that are watched write who kept an event loop busy for too long."""
    return tmp_path_factory.mktemp("loops") / "held.txt"


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory, held_loops: Path) -> Iterator[Daemon]:
    """A two-worker daemon on its defaults, one for the whole session: tests use a repository name of their own."""
    with Daemon(tmp_path_factory.mktemp("daemon"), workers=2, env=environment(held_loops)) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the whole session, started when first asked for: tests make a database of their own in it."""
    with Postgres() as server:
        yield server


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Whatever a test sets up of logging, in this process, is taken back: later tests look for what is logged."""
    with logging_as_before():
        yield


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A repository name that no other test uses, made from the test's name: nor does a second try of the same test."""
    node: str = request.node.nodeid.lower()
    tries: int = getattr(request.node, "execution_count", 1)
    safe = "".join(c if c.isalnum() else "-" for c in Path(node).name)
    name = f"t/{'-'.join(part for part in safe.split('-') if part)[-120:]}"
    return name if tries == 1 else f"{name}-try{tries}"
