"""What a registry tells of itself in the middle of work: checks, an adoption, background migrations."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from moorage.integrity.findings import Finding, FindingKind
from moorage.integrity.progress import State, new_state, written
from moorage.storage import paths

_LEFT_OUT = '[["manifest", "/docker/registry/v2/repositories/team/old/_manifests/revisions", "its payload is damaged"]]'


def check_state(*, share: float = 1.0) -> State:
    """A check that found two damaged blobs, of which one was moved to quarantine, and a dangling tag."""
    state = new_state(store="database", verifies=True, repairs=True)
    state.started_at -= timedelta(minutes=42)
    state.tally.blobs, state.tally.stored_bytes, state.tally.manifests = 18_204, 731 << 30, 6_120
    for number, repair in enumerate(("moved to quarantine", "")):
        subject = f"sha256:{number}{'5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e'}"
        state.tally.add(Finding(kind=FindingKind.DIGEST_DIFFERS, subject=subject, size_bytes=42 << 20, repair=repair))
    dangling = Finding(kind=FindingKind.TAG_DANGLING, subject="1.9.0-rc1", repository="team/app/api", size_bytes=1840)
    state.tally.add(dangling)
    state.phase, state.share, state.saved_at = "blobs", share, datetime.now(UTC)
    return state


def age_history(connection: sqlite3.Connection, repository: str) -> None:
    """Let what was done in a repository be eight hours apart, the last of it now."""
    hours = 8 * 3600 * 1_000_000
    connection.execute(
        "UPDATE journal SET at = at - ?2 * ((SELECT max(id) FROM journal WHERE repository = ?1) - id) "
        "WHERE repository = ?1",
        (repository, hours),
    )


def insert_work(connection: sqlite3.Connection) -> None:
    """Let an adoption be half done and wait for nobody, a migration run and another one be paused."""
    began = int((datetime.now(UTC) - timedelta(hours=3)).timestamp() * 1_000_000)
    connection.execute("INSERT INTO adoption_progress (id, began_at, repositories) VALUES (1, ?, 7)", (began,))
    for number in range(3):
        connection.execute(
            "INSERT INTO adoptions (path, state, holder, held_until, tags, manifests, left_out, first_left_out) "
            "VALUES (?, 'taken', '', 0, 40, 90, ?, ?)",
            (f"team/old-{number}", int(number == 0), _LEFT_OUT if number == 0 else "[]"),
        )
    for name, status in (("fill_sizes_of_manifests", 2), ("note_subjects_of_old_manifests", 0)):
        connection.execute(
            "INSERT INTO batched_background_migrations "
            "(name, max_value, batch_size, status, job_signature_name, table_name, column_name) "
            "VALUES (?, 100, 10, ?, 'fill', 'blobs', 'id')",
            (name, status),
        )


def write_check(data: Path, *, share: float, ago: timedelta = timedelta(0)) -> None:
    """Let a check be at work, so far; *ago*: since it was heard of."""
    state = check_state(share=share)
    state.saved_at = datetime.now(UTC) - ago
    _write(data, paths.CHECK, state)


@contextmanager
def registry_at_work(data: Path, database: Path) -> Iterator[None]:
    """Let the registry with this folder and this database tell of work, and no more afterwards."""
    last = check_state()
    last.ended_at = datetime.now(UTC) - timedelta(hours=5)
    last.started_at -= timedelta(hours=8)
    _write(data, paths.CHECKED, last)
    write_check(data, share=0.42)
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
            insert_work(connection)
            age_history(connection, "team/app/api")
        yield
    finally:
        for path in (paths.CHECKED, paths.CHECK):
            (data / path.lstrip("/")).unlink()
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
            for table in ("adoption_progress", "adoptions", "batched_background_migrations"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours


def _write(data: Path, path: str, state: State) -> None:
    file = data / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".new").write_bytes(written(state))
    file.with_suffix(".new").replace(file)
