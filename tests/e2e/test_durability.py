"""kill -9 in the middle of a storm of pushes: what was acknowledged is there, and nothing half-written is visible."""

import os
import random
import time
from pathlib import Path

import pytest

from e2e.checks import assert_everything_listed_is_whole, assert_folder_is_sound
from e2e.settings import config_for
from e2e.storm import Account, assert_kept, describe, start_storm
from e2e.wire import Wire, sha256
from support.daemon import Daemon

PUSHERS = 6


def storm_and_kill(daemon: Daemon, accounts: list[Account], seed: str) -> None:
    """Let the pushers work on a running daemon, kill it at a random moment, start it again."""
    pushers = start_storm(daemon.address, accounts, seed)
    time.sleep(random.Random(seed).uniform(0.2, 2.0))
    daemon.kill()
    for pusher in pushers:
        pusher.join(30)
        assert not pusher.is_alive(), "a pusher waits for a daemon that is gone"
    for account in accounts:
        assert account.refusals == []
    daemon.start()


def check(daemon: Daemon, accounts: list[Account]) -> None:
    with Wire(daemon.address, keep=True) as wire:
        for account in accounts:
            assert_kept(wire, account)
        assert_everything_listed_is_whole(wire)
        alive = [account.repository for account in accounts if account.manifests]
        assert set(alive) <= set(wire.catalogue())
        for account in accounts:
            if account.manifests:
                doubtful = {account.in_flight[0]} if account.in_flight else set()
                assert set(wire.tags(account.repository)) - doubtful == set(account.tags) - doubtful
    assert_folder_is_sound(daemon.data)


def survive(folder: Path, rounds: int) -> None:
    seed = os.environ.get("MOORAGE_TEST_SEED") or str(random.SystemRandom().randrange(1 << 32))
    # Printed for the one who must look into a failure.
    print(f"MOORAGE_TEST_SEED={seed}")  # noqa: T201 - the seed of a random test is shown with its failure
    acknowledged = 0
    with Daemon(folder, config=config_for(folder), workers=2) as daemon:
        for n in range(rounds):
            # New repositories each round keep a round's check short; the folder keeps all of them.
            accounts = [Account(f"storm/{n}/{k}") for k in range(PUSHERS)]
            storm_and_kill(daemon, accounts, f"{seed}/{n}")
            print(f"round {n}: {describe(accounts)}")  # noqa: T201 - as above
            check(daemon, accounts)
            acknowledged += sum(len(account.manifests) for account in accounts)
    assert acknowledged > rounds, "so few pushes show nothing"


@pytest.mark.timeout(200)
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    survive(tmp_path, rounds=3)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_what_was_acknowledged_survives_kill_9_thirty_times(tmp_path: Path) -> None:
    survive(tmp_path, rounds=30)


def test_uploads_in_flight_at_kill_9_go_on_where_they_were(tmp_path: Path) -> None:
    content = random.Random("in flight").randbytes(3_000_000)
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        wire = Wire(daemon.address)
        answer = wire.patch(wire.start_upload("t/resumed"), content[:1_000_000], 0)
        assert answer.status == 202
        daemon.kill()
        daemon.start()
        status = wire.request("GET", answer.location)
        assert (status.status, status.offset) == (204, 1_000_000)
        answer = wire.patch(status.location, content[1_000_000:], 1_000_000)
        assert answer.status == 202
        assert wire.finish(answer.location, sha256(content)).status == 201
        assert wire.blob("t/resumed", sha256(content)).body == content


def test_a_blob_damaged_on_disk_is_healed_by_pushing_it_again(tmp_path: Path) -> None:
    content = random.Random("damaged").randbytes(100_000)
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        wire = Wire(daemon.address)
        digest = wire.push_blob("t/healed", content)
        path = daemon.data / "docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"
        path.write_bytes(content[:50_000])
        wire.push_blob("t/healed", content)
        assert wire.blob("t/healed", digest).body == content
