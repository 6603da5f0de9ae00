"""The volume goes away under a running registry: nothing is acknowledged that would be lost when it is back."""

from pathlib import Path

import pytest
import yaml

from e2e.images import build_image
from e2e.settings import config_for
from e2e.wire import Wire, eventually
from support.daemon import Daemon


@pytest.mark.parametrize("kind", ["sqlite", "layout"])
def test_pushes_are_refused_while_the_volume_is_away_and_go_on_by_themselves(kind: str, tmp_path: Path) -> None:
    database = {"enabled": True, "sqlite": str(tmp_path / "moorage.db")} if kind == "sqlite" else {"enabled": False}
    config = config_for(tmp_path) + yaml.safe_dump({"database": database})
    data, away = tmp_path / "data", tmp_path / "away"
    with Daemon(tmp_path, config=config, workers=1) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("app", "1", build_image("first"))
        data.rename(away)
        data.mkdir()
        second = build_image("second")
        for blob in second.blobs:
            assert wire.try_blob("app", blob.content, "monolithic").status == 503
        assert wire.put_manifest("app", "2", second.manifest).status in {400, 404, 503}
        assert not list(data.rglob("*"))
        data.rmdir()
        away.rename(data)
        eventually("pushes go on", lambda: wire.try_blob("app", b"again", "monolithic").status == 201)
        wire.push_image("app", "2", second)
        assert "writes are refused" in daemon.log
