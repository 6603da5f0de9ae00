"""``moorage check`` beside pushes, deletes and garbage collection that never stop: nothing of it is a difference."""

import time
from pathlib import Path

import pytest
import yaml

from e2e.databases import postgres_config, sqlite_config
from e2e.storm import Account, Pusher, describe, start_storm
from e2e.wire import Wire, eventually
from support.checking import checked
from support.daemon import Daemon
from support.postgres import Postgres, migrated

STORM_S = 6.0
REVIEW_AFTER = "3s"
"""Much longer than any push here takes between a blob and the manifest that names it, and short enough that much of
what was untagged is collected while the checks run."""


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_no_check_finds_anything_while_everything_is_pushed_deleted_and_collected(
    request: pytest.FixtureRequest, store: str, tmp_path: Path
) -> None:
    config = sqlite_config(tmp_path)
    if store == "postgres":
        postgres: Postgres = request.getfixturevalue("postgres")
        config = postgres_config(tmp_path, postgres, migrated(postgres), secret="shared")
    quick = {"interval": "50ms"}
    gc = {"reviewafter": REVIEW_AFTER, "maxbackoff": "100ms", "blobs": quick, "manifests": quick}
    accounts = [Account(f"storm/{number}") for number in range(3)]
    with Daemon(tmp_path, config=yaml.safe_dump(yaml.safe_load(config) | {"gc": gc}), workers=2) as daemon:
        eventually("the delay holds", lambda: "review delay changed" in daemon.log)
        pushers = start_storm(daemon.address, accounts, f"check {store}")
        try:
            checks = _check_for(STORM_S, tmp_path / "config.yml", pushers)
            eventually("blobs are collected beside the checks", lambda: daemon.log.count("blob removed") > 10)
            checks += _check_for(0.0, tmp_path / "config.yml", pushers)
        finally:
            daemon.stop()
            for pusher in pushers:
                pusher.join()
        assert [account.refusals for account in accounts] == [[], [], []]
        assert checks > 2, describe(accounts)
        daemon.start()
        assert checked("--verify-digests", tmp_path / "config.yml", status=0)["blobs"] > 0
        for account in accounts:
            for tag in account.tags:
                assert Wire(daemon.address).manifest(account.repository, tag).status == 200


def _check_for(seconds: float, config: Path, pushers: list[Pusher]) -> int:
    """Check over and over, in every way; return how often."""
    until, checks, words = time.monotonic() + seconds, 0, ["--verify-digests", "--repair"]
    while time.monotonic() < until or checks < len(words) + 1:
        found = checked(*words[: checks % (len(words) + 1)], config, status=0)
        assert found["differences"] == {}
        assert all(pusher.is_alive() for pusher in pushers), "nobody pushes any more"
        checks += 1
    return checks
