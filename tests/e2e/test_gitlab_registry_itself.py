"""GitLab's own registry, built from its source: images that it keeps in its database are taken over.

``MOORAGE_TEST_GITLAB_REGISTRY`` names the program (``go build ./cmd/registry`` in its repository). There is no package
of it, so without the variable only ``test_gitlab_database.py`` shows the same, with tables of ours.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from e2e.databases import sqlite_config
from e2e.images import build_image
from e2e.tagged import assert_serves, one_of_each_kind, push
from e2e.test_import import done
from e2e.wire import Wire
from support.daemon import Daemon
from support.peer import Peer
from support.postgres import Postgres

PROGRAM = os.environ.get("MOORAGE_TEST_GITLAB_REGISTRY", "")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not PROGRAM, reason="MOORAGE_TEST_GITLAB_REGISTRY names no program of GitLab's registry"),
]


class GitLabRegistry(Peer):
    """GitLab's registry with its metadata in PostgreSQL."""

    def __init__(self, folder: Path, data: Path, postgres: Postgres, dbname: str) -> None:
        super().__init__(folder, data, command=PROGRAM)
        tree = yaml.safe_load(self.config_path.read_text()) | yaml.safe_load(postgres.config_section(dbname))
        self.config_path.write_text(yaml.safe_dump(tree))
        line = [PROGRAM, "database", "migrate", "up", str(self.config_path)]
        migrated = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        assert migrated.returncode == 0, migrated.stderr


def test_images_that_gitlabs_registry_has_in_its_database_are_taken_over(tmp_path: Path, postgres: Postgres) -> None:
    dbname = postgres.create_database()
    theirs = GitLabRegistry(tmp_path / "theirs", tmp_path / "data", postgres, dbname)
    tagged, moved, gone = one_of_each_kind(), build_image("moved"), build_image("gone")
    signature = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": moved.config.digest,
                "size": len(moved.config.content),
            },
            "layers": [],
            "subject": {
                "mediaType": moved.manifest.media_type,
                "digest": moved.manifest.digest,
                "size": len(moved.manifest.content),
            },
        }
    ).encode()
    with theirs:
        wire = Wire(theirs.address)
        push(wire, "group/app", tagged)
        push(wire, "group/app/deep/er", tagged)
        push(wire, "group/app", {"moving": gone})
        push(wire, "group/app", {"moving": moved, "gone": gone})
        assert wire.delete("group/app", "manifests", "gone").status == 202
        signed = wire.request(
            "PUT",
            "/v2/group/app/manifests/sig",
            signature,
            {"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
        )
        assert signed.status == 201, signed.body
    config = sqlite_config(tmp_path, tmp_path / "moorage.db")
    found = done(tmp_path, config, "--from-gitlab-database", postgres.dsn(dbname))
    assert (found["repositories"], found["tags"], found["left_out"]) == (2, 10, [])
    with Daemon(tmp_path, config=config) as daemon:
        wire = Wire(daemon.address)
        assert wire.catalogue() == ["group/app", "group/app/deep/er"]
        assert wire.manifest("group/app", "sig").body == signature
        assert wire.manifest("group/app", gone.manifest.digest).status == 200, "untagged, and not collected yet"
        wire.delete("group/app", "manifests", "sig")
        assert_serves(wire, "group/app", {**tagged, "moving": moved})
        assert_serves(wire, "group/app/deep/er", tagged)
        referrers = json.loads(wire.request("GET", f"/v2/group/app/referrers/{moved.manifest.digest}").body)
        assert [each["artifactType"] for each in referrers["manifests"]] == [
            "application/vnd.dev.cosign.artifact.sig.v1+json"
        ]
