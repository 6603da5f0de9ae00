"""The room that is kept beside an SQLite file."""

from pathlib import Path

import pytest

from moorage.room import MIB
from moorage.sql.sqlite import reserve as module
from moorage.sql.sqlite.reserve import Reserve
from support.clock import Clock

AMPLE_BYTES = 5 << 30


class Disk:
    """What the file system says is left, and how often it was asked."""

    def __init__(self) -> None:
        self.left_bytes = AMPLE_BYTES
        self.looks = 0

    def free_bytes(self, _folder: str) -> int:
        self.looks += 1
        return self.left_bytes


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(module, "free_bytes", made.free_bytes)
    return made


def test_where_gigabytes_are_left_nobody_looks_again_for_a_moment(tmp_path: Path, disk: Disk) -> None:
    clock = Clock(100.0)
    reserve = Reserve(tmp_path / "some.db", is_kept=False, monotonic=clock)
    for _ in range(10):
        assert not reserve.look()
    assert disk.looks == 1
    clock.now += 0.1
    disk.left_bytes = 8 * MIB  # From here on before each transaction.
    for _ in range(3):
        reserve.look()
    assert (disk.looks, reserve.log_pages) == (4, 100)


def test_a_reserve_that_is_to_be_made_is_asked_for_until_it_is_there(tmp_path: Path, disk: Disk) -> None:
    reserve = Reserve(tmp_path / "some.db", is_kept=True, monotonic=Clock(0.0))
    assert reserve.look()
    assert reserve.look()
    reserve.make()
    assert not reserve.look()
    assert disk.looks == 3
