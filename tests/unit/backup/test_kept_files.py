"""A backup keeps every file that the two configurations name: without one of them a restored site does not start."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from moorage.backup.backing_up import make_backup
from moorage.backup.backup_folder import BackupFolder
from moorage.backup.kept_files import keep, named_by_control, named_by_registry, not_there, put_back
from moorage.backup.places import read_places
from moorage.config import Config
from moorage.config.load import load
from moorage.config.sections.middleware import STORAGE_MIDDLEWARE
from moorage.control.configuration import ControlConfiguration
from moorage.token_server.settings import TokenServerSettings
from moorage.work.reports import WorkReports
from support.other_user import as_other_user, folder_for_all

_NAMES_A_FILE = re.compile(r"\b(PEM files?|JSON file|File (that|of)|The file,|The folder where the account)\b")
_NOT_KEPT = {"sqlite", "profiling.stackdriver.keyfile"}
"""The database, which is kept as rows, and what is without function."""

REGISTRY = """
version: 0.1
storage: {gcs: {bucket: images, keyfile: /keep/gcs.json}}
middleware:
  storage: [{name: googlecdn, options: {baseurl: https://cdn.example.com, privatekey: /keep/cdn, keyname: one}}]
auth: {token: {realm: http://a/b, service: s, issuer: i, rootcertbundle: /keep/trusted.pem, jwks: /keep/jwks.json}}
http:
  tls: {certificate: /keep/web.pem, key: /keep/web.key, clientcas: [/keep/clients.pem]}
  debug: {addr: ":5001", tls: {enabled: true, certificate: /keep/debug.pem, key: /keep/debug.key, clientcas: [/keep/d]}}
database:
  {enabled: true, host: db, user: u, dbname: d, sslcert: /keep/sql.pem, sslkey: /keep/sql.key, sslrootcert: /keep/sqlca}
redis:
  tls: {enabled: true, certificate: /keep/redis.pem, key: /keep/redis.key, rootcas: [/keep/redis-ca.pem]}
  cache: {enabled: true, addr: "r:1", tls: {enabled: true, rootcas: [/keep/cache-ca.pem]}}
  ratelimiter: {enabled: true, addr: "r:1", tls: {enabled: true, rootcas: [/keep/rate-ca.pem]}}
"""
OWN_CERTIFICATE = """
version: 0.1
storage: {filesystem: {rootdirectory: /data}}
auth: {htpasswd: {realm: here, path: /keep/htpasswd}}
http: {host: https://a.example.com, tls: {letsencrypt: {cachefile: /keep/acme, hosts: [a.example.com], email: a@b.c}}}
"""
CONTROL = {
    "http": {"tls": {"certificate": "web.pem", "key": "web.key", "letsencrypt": {"cachefile": "acme"}}},
    "database": {"host": "db", "passwordfile": "db.password", "sslrootcert": "db.pem"},
    "secretfile": "secret",
    "registry": {"key": "keys", "notification_secretfile": "events"},
    "sign_in": {"oidc": {"client_secretfile": "oidc"}},
    "ldap": {"servers": {"main": {"passwordfile": "ldap", "tls_options": {"ca_file": "ldap.pem"}}}},
}


def file_keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """The last word of each key that is described as a file."""
    for name, field in model.model_fields.items():
        below = list(models_in(field.annotation))
        for each in below:
            yield from file_keys(each, f"{above}{name}.")
        is_known = name in _NOT_KEPT or f"{above}{name}" in _NOT_KEPT
        if not below and not is_known and _NAMES_A_FILE.search(field.description or ""):
            yield name


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from models_in(each)


def paths_in(text: str) -> set[str]:
    return set(re.findall(r"/keep/[\w.-]+", text))


def test_all_files_of_a_registrys_configuration_are_kept() -> None:
    for text in (REGISTRY, OWN_CERTIFICATE):
        config = load(text, {}).config
        assert {str(path) for _, path in named_by_registry(config)} == paths_in(text)


TOKENS = """
service: s
issuer: i
users: users
rules: ../rules.yml
keys: {folder}/signing
tls: {{certificate: web.pem, key: web.key}}
"""


def test_users_and_rules_of_a_registrys_own_token_server_are_kept(tmp_path: Path) -> None:
    server = tmp_path / "tokens" / "tokens.yml"
    server.parent.mkdir()
    server.write_text(TOKENS.format(folder=tmp_path))
    token = f"{{realm: http://a/b, service: s, issuer: i, rootcertbundle: {tmp_path}/all.pem, server: {server}}}"
    config = load(f"version: 0.1\nstorage: {{inmemory: {{}}}}\nauth: {{token: {token}}}", {}).config
    found = {str(path.resolve().relative_to(tmp_path)) for _, path in named_by_registry(config)}
    below = {f"tokens/{name}" for name in ("tokens.yml", "users", "web.pem", "web.key")}
    assert found == {"all.pem", "rules.yml", "signing", *below}
    keys = set(file_keys(TokenServerSettings)) | {"keys"}
    assert {key for key in keys if f"{key}:" not in TOKENS} == set()


def test_a_token_server_of_another_folder_looks_for_its_files_where_they_are_now(tmp_path: Path) -> None:
    was, now, files = tmp_path / "was", tmp_path / "now", tmp_path / "files"
    for folder in (was, files):
        folder.mkdir()
    (was / "tokens.yml").write_text(TOKENS.format(folder=was))
    put_back(keep([("auth.token.server", was / "tokens.yml")], files), tmp_path, was=was, now=now)
    assert TokenServerSettings.read(now / "tokens.yml").keys == str(now / "signing")


def test_all_files_of_a_control_planes_configuration_are_kept() -> None:
    configuration = ControlConfiguration.model_validate(CONTROL)
    found = {str(path.relative_to("/site")) for _, path in named_by_control(configuration, Path("/site"))}
    assert found == {
        *("web.pem", "web.key", "acme", "db.password", "db.pem", "secret", "keys"),
        *("events", "oidc", "ldap", "ldap.pem"),
    }


def test_no_key_that_names_a_file_was_forgotten_here() -> None:
    keys = set(file_keys(Config)) | {key for each in STORAGE_MIDDLEWARE.values() for key in file_keys(each)}
    assert {key for key in keys if not re.search(rf"\b{key}: \[?/keep/", REGISTRY + OWN_CERTIFICATE)} == set()
    assert {key for key in file_keys(ControlConfiguration) if f"'{key}'" not in str(CONTROL)} == set()


def refusal_to_keep(keys: Path, target: Path) -> str:
    try:
        keep([("keys of auth.token.server", keys)], target)
    except OSError as exc:
        return f"{exc.filename}: {exc.strerror}"
    return ""


@pytest.mark.parametrize("hidden", ["keys", "keys/older"])
def test_a_folder_of_keys_that_may_not_be_looked_into_ends_a_backup(hidden: str) -> None:
    with folder_for_all() as place:
        (place / "keys" / "older").mkdir(parents=True)
        (place / "files").mkdir()
        (place / "files").chmod(0o777)
        (place / hidden / "one.pem").write_text("a key")
        (place / hidden).chmod(0)
        said = as_other_user(refusal_to_keep, place / "keys", place / "files")
        (place / hidden).chmod(0o700)
    assert said == f"{place / hidden}: Permission denied"


@pytest.mark.parametrize("with_blobs", [True, False])
def test_a_file_that_is_named_and_not_there_is_said(tmp_path: Path, *, with_blobs: bool) -> None:
    """A backup from another machine, or as another user, would lack users, and say that it is whole."""
    config = tmp_path / "config.yml"
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "storage")}}
    auth = {"htpasswd": {"realm": "r", "path": str(tmp_path / "users")}}
    tree = {"version": "0.1", "storage": storage, "database": {"enabled": False}, "auth": auth}
    config.write_text(json.dumps(tree))
    (tmp_path / "storage").mkdir()
    places = read_places(config, None)
    folder = BackupFolder(tmp_path / "backups")
    made = asyncio.run(make_backup(places, folder, with_blobs=with_blobs, reports=WorkReports()))
    assert made.record.problems == [f"{tmp_path / 'users'} is not there: auth.htpasswd.path"]
    assert made.record.problem_count == 1


def test_what_a_server_makes_when_it_needs_it_may_not_be_there_yet(tmp_path: Path) -> None:
    named = [("control: http.tls.letsencrypt.cachefile", tmp_path / "a"), ("http.tls.letsencrypt.cachefile", tmp_path)]
    assert not_there(named) == []
    assert not_there([("registry.key", tmp_path / "key")]) == [f"{tmp_path / 'key'} is not there: registry.key"]
