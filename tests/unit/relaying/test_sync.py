"""``moorage sync``: what a file may say, and what it does with two registries in this process."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from moorage.client.credentials import Credentials
from moorage.relaying.sync_plan import read_plan
from support.images import blob, config, image, image_manifest, push_blobs, push_image, push_manifest
from support.registry_client import RegistryClient

RUNNER = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})


class Mirror:
    """A source, a target, and a file between them."""

    def __init__(self, source: RegistryClient, target: RegistryClient, file: Path) -> None:
        self.source, self.target, self.file = source, target, file

    def sync(self, entries: str, *options: str, status: int = 0) -> list[tuple[str, str]]:
        """Run the command; return what became of each tag of the target."""
        text = f"sync:\n{entries}".replace("SOURCE", self.source.address).replace("TARGET", self.target.address)
        self.file.write_text(text)
        done = RUNNER.invoke(app, ["sync", str(self.file), "--json", *options])
        assert done.exit_code == status, (done.stdout, done.stderr, done.exception)
        self.printed = json.loads(done.stdout)
        return [(one["target"].partition("/")[2], one["result"]) for one in self.printed["references"]]

    def tags(self, repository: str) -> list[str]:
        found = self.target.list_tags(repository).json()["tags"]
        assert isinstance(found, list)
        return found


@pytest.fixture
def mirror(registries: tuple[RegistryClient, RegistryClient], tmp_path: Path) -> Mirror:
    return Mirror(*registries, tmp_path / "mirror.yml")


def test_repositories_of_a_pattern_go_below_the_target_and_their_latest_versions_only(mirror: Mirror) -> None:
    for repository in ("group/app", "group/deep/tool", "other/app"):
        for tag in ("1.9", "1.10", "1.2", "nightly"):
            push_image(mirror.source, repository, tag)
    entries = "- {source: SOURCE/group/*, target: TARGET/mirror/, semver: '^1', latest: 2}\n"
    assert sorted(mirror.sync(entries)) == [
        (f"mirror/{name}:{tag}", "copied") for name in ("app", "deep/tool") for tag in ("1.10", "1.9")
    ]


def test_only_tags_of_the_entry_that_are_gone_from_the_source_are_deleted_and_a_dry_run_says_so(
    mirror: Mirror,
) -> None:
    push_image(mirror.source, "app", "v1")
    for tag in ("v0", "ours"):
        push_image(mirror.target, "app", tag)
    entries = "- {source: SOURCE/app, target: TARGET/app, tags: ['v*'], delete: true}\n"
    assert mirror.sync(entries, "--dry-run") == [("app:v1", "to-copy"), ("app:v0", "to-delete")]
    assert mirror.tags("app") == ["ours", "v0"]
    assert mirror.sync(entries.replace("true", "false")) == [("app:v1", "copied")]
    assert mirror.sync(entries) == [("app:v1", "present"), ("app:v0", "deleted")]
    assert mirror.tags("app") == ["ours", "v1"]


def test_nothing_is_deleted_where_a_copy_failed_or_the_source_has_no_tags(mirror: Mirror) -> None:
    push_image(mirror.target, "app", "v0")
    made = push_image(mirror.source, "app", "v1")
    entries = "- {source: SOURCE/app, target: TARGET/app, delete: true}\n"
    assert mirror.source.delete_blob("app", made.blobs[1].digest).status == 202
    assert mirror.sync(entries, status=1) == [("app:v1", "failed")]
    assert "not all of app could be copied" in str(mirror.printed["notes"])
    assert mirror.source.delete_manifest("app", "v1").status == 202
    assert mirror.sync(entries) == []
    assert "has no tags at all" in str(mirror.printed["notes"])
    assert mirror.tags("app") == ["v0"]


def test_an_entry_that_is_about_nothing_is_noted(mirror: Mirror) -> None:
    push_image(mirror.source, "app", "nightly")
    entries = "- {source: SOURCE/app, target: TARGET/app, tags: ['V*']}\n- {source: SOURCE/ap/*, target: TARGET/}\n"
    entries += "- {source: SOURCE/app, target: TARGET/app, latest: 1}\n"
    assert mirror.sync(entries) == []
    assert mirror.printed["notes"] == [
        "sync[0]: no tag of app is meant, of 1",
        f"sync[1]: no repository of {mirror.source.address} matches ap/*",
        "sync[2]: no tag of app is meant, of 1",
    ]


def test_an_entry_that_fails_stops_no_other_and_blobs_are_mounted_from_the_one_before(mirror: Mirror) -> None:
    shared = blob("shared")
    for repository in ("one", "two"):
        configuration = config(repository)
        push_blobs(mirror.source, repository, [configuration, shared])
        push_manifest(mirror.source, repository, image_manifest(configuration, [shared]), "1")
    entries = "".join(f"- {{source: SOURCE/{name}, target: TARGET/{name}}}\n" for name in ("one", "none", "two"))
    assert [result for _, result in mirror.sync(entries, status=1)] == ["copied", "failed", "copied"]
    assert mirror.printed["blobs"]["mounted"]["count"] == 1


def test_a_tag_that_is_a_number_in_yaml_is_the_tag_that_was_written(mirror: Mirror) -> None:
    push_image(mirror.source, "app", "1.10", image("a"))
    push_image(mirror.source, "app", "1.1", image("b"))
    assert mirror.sync("- {source: SOURCE/app, target: TARGET/app, tags: [1.10]}\n") == [("app:1.10", "copied")]


def test_all_mistakes_of_a_file_are_said_at_once_with_their_places(tmp_path: Path) -> None:
    file = tmp_path / "mirror.yml"
    file.write_text(
        """
registries:
  a.example: {username: ada, password: s3cr3t, job: 3, ca: /none}
  b.example: {token_env: NOT_SET_ANYWHERE, rate_limit: fast}
sync:
- {source: a.example/group/*, target: b.example/mirror, latest: 0}
- {source: app, target: b.example/app:1, semver: newest, regex: ['(']}
- {source: a.example/x, target: b.example/x, delete: true, plattform: linux/arm64}
- {source: a.example/y, target: b.example/x, delete: perhaps}
- {target: b.example/Upper}
syncs: []
"""
    )
    done = RUNNER.invoke(app, ["sync", str(file)])
    assert done.exit_code == 2
    assert "s3cr3t" not in done.output
    said = [line.removeprefix(f"error: {file}: ") for line in done.stderr.splitlines()]
    assert [line.partition(": ")[0] for line in said] == [
        "registries.a.example.password",
        "registries.a.example.ca",
        "registries.a.example.username",
        "registries.a.example.job",
        "registries.b.example.rate_limit",
        "registries.b.example.token_env",
        "sync[0].latest",
        "sync[0].target",
        "sync[1].source",
        "sync[1].target",
        "sync[1].regex",
        "sync[1].semver",
        "sync[2].plattform",
        "sync[3].delete",
        "sync[4].source",
        "syncs",
        "sync[2].delete",
    ]
    assert "did you mean platform?" in done.stderr


@pytest.mark.parametrize("text", ["a: [", "- x", "", "sync: []", "sync: {a: b}"])
def test_a_file_that_says_nothing_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mirror.yml"
    file.write_text(text)
    done = RUNNER.invoke(app, ["sync", str(file)])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {file}: ")


def test_the_file_that_the_page_shows_is_good() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "copy-between-registries.md").read_text()
    (sample,) = re.findall(r"^```yml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    environ = {"MIRROR_PASSWORD": "s3cr3t"}
    # The file of certificates is the reader's own.
    plan = read_plan(sample.replace("ca: harbor.pem", "jobs: 2"), environ, lambda _url: lambda _name: Credentials())
    assert [rule.source.repository for rule in plan.rules] == ["group/app", "base/*", "tools/cli"]
    assert set(plan.registries) == {"https://registry.example", "https://harbor.example:5443", "http://localhost:5000"}


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["sync", str(tmp_path / "none.yml")])
    assert done.exit_code == 2
    assert "cannot be read" in done.stderr
