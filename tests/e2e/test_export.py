"""The way back: what was pushed to a database, or imported into it, is served by Distribution from link files."""

from pathlib import Path

from e2e.databases import sqlite_config
from e2e.images import build_image
from e2e.settings import config_for
from e2e.tagged import assert_serves, one_of_each_kind, push
from e2e.test_import import DATABASE_LOCK, FILESYSTEM_LOCK, command
from e2e.wire import Wire
from support.components import need
from support.daemon import Daemon
from support.peer import COMMAND, Peer


def test_there_and_back_distribution_serves_every_tag_and_digest(tmp_path: Path) -> None:
    need(COMMAND)
    config = sqlite_config(tmp_path)
    theirs = Peer(tmp_path / "peer", tmp_path / "data")
    with theirs:
        push(Wire(theirs.address), "lib/app", one_of_each_kind())
    assert command(tmp_path, config).returncode == 0
    left = one_of_each_kind()
    subject = left["oci"].manifest
    signature = build_image("signature", layers=1, subject=subject)
    with Daemon(tmp_path, config=config) as daemon:
        wire = Wire(daemon.address)
        push(wire, "lib/new", one_of_each_kind())
        wire.push_image("lib/app", signature.manifest.digest, signature)
        assert wire.delete("lib/app", "manifests", "schema2").status == 202
        left["list"] = build_image("moved", family="docker")
        push(wire, "lib/app", {"list": left["list"]})
        online = command(tmp_path, config, name="export")
        assert online.returncode == 0, online.stderr
        assert "takes pushes" in command(tmp_path, config, "--switch", name="export").stderr
        push(wire, "lib/app", {"last": build_image("last")})
    del left["schema2"]
    left["last"] = build_image("last")
    ended = command(tmp_path, config, "--switch", "--verify", name="export")
    assert (ended.returncode, "0 differences" in ended.stdout) == (0, True), ended.stdout + ended.stderr
    assert (tmp_path / "data" / FILESYSTEM_LOCK).exists()
    assert not (tmp_path / "data" / DATABASE_LOCK).exists()
    with theirs:
        wire = Wire(theirs.address)
        assert wire.catalogue() == ["lib/app", "lib/new"]
        assert_serves(wire, "lib/app", left)
        assert_serves(wire, "lib/new", one_of_each_kind())
        assert wire.manifest("lib/app", signature.manifest.digest).body == signature.manifest.content
        push(wire, "lib/app", {"theirs": build_image("theirs")})
    with Daemon(tmp_path, config=config_for(tmp_path)) as daemon:
        wire = Wire(daemon.address)
        assert_serves(wire, "lib/app", {**left, "theirs": build_image("theirs")})
        listed = wire.request("GET", f"/v2/lib/app/referrers/{subject.digest}").json()["manifests"]
        assert isinstance(listed, list)
        assert [entry["digest"] for entry in listed] == [signature.manifest.digest]
