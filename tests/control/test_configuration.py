"""control.yml: everything wrong with it is said at once, with its path; secrets come from files too."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moorage.cli.app import app
from moorage.control.configuration import ControlConfiguration, load_control
from moorage.errors import ConfigurationError
from moorage.token_server.key_ring import KeyFolder
from support.control_site import write_site

SECRET = "secret: 0123456789abcdef0123456789abcdef\n"


def mistakes(text: str, folder: Path, **variables: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_control(text, variables, folder=folder)
    return [str(mistake) for mistake in caught.value.mistakes]


def read(text: str, folder: Path, **variables: str) -> ControlConfiguration:
    return load_control(SECRET + text, variables, folder=folder).configuration


def test_a_site_is_read_as_it_was_written(tmp_path: Path) -> None:
    text = write_site(tmp_path).read_text()
    found = load_control(text, {}, folder=tmp_path).configuration
    assert (found.registry.enabled, found.registry.host_port) == (True, "registry.test:5000")
    assert (found.registry.api_url, found.registry.issuer) == ("http://127.0.0.1:1/", "moorage-control")
    assert found.registry.notification_secret == "secret-of-events"
    assert found.registry.key == str(tmp_path / "keys")
    assert found.database.sqlite == str(tmp_path / "control.db")
    assert found.gitlab.default_projects_features.container_registry


def test_all_mistakes_are_said_at_once_with_their_paths(tmp_path: Path) -> None:
    said = mistakes(
        "http: {addr: '', host: control.example.com, tls: {key: a.pem}}\n"
        "registry: {enabled: true, host: 'http://x', api_url: nowhere, isuer: me}\n",
        tmp_path,
    )
    assert [line.partition(":")[0] for line in said] == ["http.addr", "registry.isuer"]
    assert "did you mean registry.issuer?" in said[1]
    said = mistakes(
        "http: {host: control.example.com, tls: {key: a.pem}}\n"
        "registry: {enabled: true, host: 'http://x', api_url: here}\n",
        tmp_path,
    )
    assert [line.partition(":")[0] for line in said] == [
        "secret",
        "http.tls.certificate",
        "http.host",
        "registry.api_url",
        "registry.key",
        "registry.host",
    ]


def test_a_placeholder_of_a_guide_is_no_host(tmp_path: Path) -> None:
    text = write_site(tmp_path, api_url="'https://<external_registry_host>:5000'").read_text()
    (said,) = mistakes(text, tmp_path)
    assert said.startswith("registry.api_url: has a guide's placeholder")


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    (said,) = mistakes("registry: {host: a}\nregistry: {host: b}\n", tmp_path)
    assert said.startswith("line 2: not YAML: the key registry is there twice")


def test_secrets_come_from_files_and_not_from_two_places(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x" * 40 + "\n")
    found = load_control("secretfile: secret\n", {}, folder=tmp_path).configuration
    assert found.secret == "x" * 40
    assert mistakes(f"{SECRET}secretfile: secret\n", tmp_path) == [
        "secretfile: secret is there too; take one of the two out"
    ]
    (said,) = mistakes(f"{SECRET}database: {{host: db, dbname: m, passwordfile: gone}}\n", tmp_path)
    assert said.startswith(f"database.passwordfile: cannot read {tmp_path}/gone: ")


def test_a_variable_is_over_the_file_and_its_mistake_names_it(tmp_path: Path) -> None:
    found = read("http: {threads: 4}\n", tmp_path, MOORAGE_CONTROL_HTTP_THREADS="6", MOORAGE_CONTROL="ignored.yml")
    assert found.http.threads == 6
    found = read("", tmp_path, MOORAGE_CONTROL_GITLAB_DEFAULTPROJECTSFEATURES_CONTAINERREGISTRY="false")
    assert not found.gitlab.default_projects_features.container_registry
    (said,) = mistakes(SECRET, tmp_path, MOORAGE_CONTROL_HTTP_THREADS="many")
    assert said == "http.threads: a whole number is needed; the value is that of MOORAGE_CONTROL_HTTP_THREADS"


def test_no_secret_is_shown_with_a_mistake_or_a_value(tmp_path: Path) -> None:
    text = f"{SECRET}registry: {{notification_secret: hush, enabled: maybe}}\ndatabase: {{password: hush}}\n"
    assert "hush" not in "".join(mistakes(text, tmp_path))
    assert "hush" not in repr(read("registry: {notification_secret: hush}\n", tmp_path))


def test_postgresql_and_sqlite_are_not_mixed_up(tmp_path: Path) -> None:
    assert mistakes(f"{SECRET}database: {{dbname: moorage}}\n", tmp_path) == [
        "database.dbname: belongs to PostgreSQL; database.host is needed with it"
    ]
    assert mistakes(f"{SECRET}database: {{host: db}}\n", tmp_path) == ["database.dbname: is needed with database.host"]


def test_what_is_not_said_of_the_registry_has_gitlab_s_defaults_and_usual_ports_are_not_shown(tmp_path: Path) -> None:
    found = read("http: {host: 'http://control.test'}\n", tmp_path)
    assert (found.registry.enabled, found.registry.api_url) == (False, "http://localhost:5000/")
    assert (found.registry.host, found.registry.port, found.registry.path) == ("example.com", None, "shared/registry")
    assert found.gitlab.default_projects_features.container_registry
    shown = []
    for port in (80, 443, 5050):
        text = f"http: {{host: 'http://control.test'}}\nregistry: {{host: registry.test, port: {port}}}\n"
        shown.append(read(text, tmp_path).registry.host_port)
    assert shown == ["registry.test", "registry.test", "registry.test:5050"]


def test_https_is_from_one_place_and_plain_http_is_sent_on_to_a_name(tmp_path: Path) -> None:
    text = SECRET + "http: {redirect: ':80', tls: {letsencrypt: {cachefile: certificates}}}\n"
    assert [line.partition(":")[0] for line in mistakes(text, tmp_path)] == [
        "http.tls.letsencrypt.hosts",
        "http.redirect",
    ]
    both = "{certificate: a.crt, key: a.key, letsencrypt: {cachefile: c, hosts: [a.example.com]}}"
    [said] = mistakes(f"{SECRET}http: {{tls: {both}}}\n", tmp_path)
    assert said == "http.tls.letsencrypt: a certificate is named, too; take one of them"


GUIDE = """
registry:
  enabled: true
  host: "registry.gitlab.example.com"
  port: "5005"
  api_url: "https://registry.internal.example.com:5000"
  path: /var/lib/registry
  key: keys
  issuer: gitlab-issuer
gitlab:
  default_projects_features:
    issues: true
    merge_requests: true
    wiki: true
    snippets: false
    builds: true
    container_registry: false
"""


def test_sections_of_a_gitlab_yml_as_gitlabs_guide_shows_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    found = read(f"{GUIDE}database: {{host: db, dbname: m, port: '5433'}}\n", tmp_path)
    assert found.registry.host_port == "registry.gitlab.example.com:5005"
    assert not found.gitlab.default_projects_features.container_registry
    assert found.database.port == 5433


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default_projects_features: {container_registry: false}", "did you mean gitlab.default_projects_features?"),
        ("registry: {default_projects_features: {}}", "did you mean gitlab.default_projects_features?"),
        ("gitlab: {api_urll: a}", "did you mean registry.api_url?"),
        ("registry: {prot: 5}", "did you mean registry.port?"),
        ("gitlab: {host: a}", "there are default_projects_features"),
    ],
)
def test_an_unknown_key_is_told_where_it_may_belong(text: str, said: str, tmp_path: Path) -> None:
    (mistake,) = mistakes(f"{SECRET}{text}\n", tmp_path)
    assert mistake.partition(": ")[2] == f"unknown key; {said}"


def spoilt_keys(folder: Path) -> Iterator[tuple[str, str]]:
    """Have ``registry.key`` be one thing after another that signs nothing; yield what is to be said of each."""
    file = folder / "keys" / "keys.json"
    file.write_text("{}")
    yield "registry.key", f"{file} cannot be used: it is no file of keys"
    file.unlink()
    yield "registry.key", f"cannot read {file}: No such file or directory"
    (folder / "keys").rmdir()
    (folder / "keys").write_bytes((folder / "registry.pem").read_bytes())
    yield "registry.key", f"{folder / 'keys'} cannot be used"


def test_a_key_that_signs_nothing_is_told_by_check_and_stops_a_start(tmp_path: Path) -> None:
    control = str(write_site(tmp_path))
    keys = KeyFolder(tmp_path / "keys")
    keys.bundle.rename(tmp_path / "registry.pem")
    for file in (tmp_path / "keys").iterdir():
        if file != keys.private:
            file.unlink()
    for path, said in spoilt_keys(tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            CliRunner().invoke(app, ["control", "check", control], catch_exceptions=False)
        [mistake] = caught.value.mistakes
        assert str(mistake).startswith(f"{path}: {said}")
    serve = [sys.executable, "-m", "moorage", "control", "serve", control]
    ended = subprocess.run(serve, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"error: {mistake}"
    assert "Traceback" not in ended.stdout + ended.stderr
