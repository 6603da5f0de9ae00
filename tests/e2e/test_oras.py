"""oras: artifacts, what refers to them, and copies of both."""

import json

from e2e.wire import Wire
from support.clients import Oras

PLAIN = "--plain-http"


def test_an_artifact_is_copied_with_all_that_refers_to_it(wire: Wire, repository: str, oras: Oras) -> None:
    first, second = (f"{wire.address}/{repository}/{name}:1" for name in ("first", "second"))
    oras("push", PLAIN, "--artifact-type", "application/vnd.example.data", f"{first},again", "report.json")
    for number, spec in enumerate(("v1.1-referrers-api", "v1.1-referrers-tag")):
        kind = f"application/vnd.example.sbom.v{number}"
        oras("attach", PLAIN, "--distribution-spec", spec, "--artifact-type", kind, first, "report.json")
    oras("copy", "--recursive", "--from-plain-http", "--to-plain-http", first, second)
    for name in (first, second):
        found = json.loads(oras("discover", PLAIN, "--format", "json", name))
        kinds = sorted(entry["artifactType"] for entry in found["referrers"])
        assert kinds == ["application/vnd.example.sbom.v0", "application/vnd.example.sbom.v1"]
    oras("pull", PLAIN, "--output", "back", second)
    assert (oras.folder / "back" / "report.json").read_text() == "{}"
    assert oras("repo", "tags", PLAIN, "--exclude-digest-tags", first.removesuffix(":1")).split() == ["1", "again"]
    oras("manifest", "delete", "--force", PLAIN, second)
    status, said = oras.attempt("pull", PLAIN, second)
    assert status != 0
    assert "not found" in said
