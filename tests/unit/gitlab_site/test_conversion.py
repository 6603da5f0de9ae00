"""A site of GitLab's Linux package written as one of Moorage: the examples of the guide, and mistakes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from moorage.config import load
from moorage.control.configuration import read_control
from moorage.errors import ConfigurationError
from moorage.gitlab_site.conversion import convert
from moorage.starting.gitlab_site_start import SiteReport, SiteRequest, write_gitlab_site

SITE = "external_url 'https://gitlab.example.com'\n"
REGISTRY = f"{SITE}registry_external_url 'https://gitlab.example.com:5050'\n"


class Written:
    """A site as it was written."""

    def __init__(self, folder: Path, report: SiteReport) -> None:
        self.folder, self.report = folder, report
        self.config: dict[str, Any] = yaml.safe_load(self.text("config.yml"))
        self.control: dict[str, Any] = yaml.safe_load(self.text("control.yml"))

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


def written(tmp_path: Path, text: str, *, is_strict: bool = True) -> Written:
    """The site for a ``gitlab.rb``; both of its configurations can be used."""
    file, folder = tmp_path / "gitlab.rb", tmp_path / "site"
    file.write_text(text)
    found = Written(folder, write_gitlab_site(SiteRequest(file=file, folder=folder, is_strict=is_strict)))
    assert not load(found.text("config.yml"), {}).unknown
    read_control(folder / "control.yml", {})
    return found


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        convert(text, {})
    return [str(one) for one in caught.value.mistakes]


def test_the_registry_under_the_domain_of_the_site(tmp_path: Path) -> None:
    found = written(tmp_path, REGISTRY)
    assert found.control["registry"] | {"key": ""} == {
        "enabled": True,
        "host": "gitlab.example.com",
        "port": 5050,
        "api_url": "http://127.0.0.1:5000",
        "key": "",
        "path": "/var/opt/gitlab/gitlab-rails/shared/registry",
        "issuer": "omnibus-gitlab-issuer",
    }
    token = found.config["auth"]["token"]
    assert token["realm"] == "https://gitlab.example.com/jwt/auth"
    assert (token["service"], token["issuer"]) == ("container_registry", "omnibus-gitlab-issuer")
    assert Path(token["rootcertbundle"]).exists()
    assert found.config["storage"] == {
        "filesystem": {"rootdirectory": "/var/opt/gitlab/gitlab-rails/shared/registry"},
        "cache": {"blobdescriptor": "inmemory"},
        "delete": {"enabled": True},
    }
    assert found.config["health"] == {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}}
    assert "listen 5050 ssl" in found.text("nginx.conf")
    assert "/etc/gitlab/ssl/gitlab.example.com.crt;" in found.text("nginx.conf")


def test_certificates_with_other_places(tmp_path: Path) -> None:
    lines = """registry_nginx['ssl_certificate'] = "/path/to/certificate.pem"
    registry_nginx['ssl_certificate_key'] = "/path/to/certificate.key"
"""
    nginx = written(tmp_path, REGISTRY + lines).text("nginx.conf")
    assert "ssl_certificate     /path/to/certificate.pem;" in nginx
    assert "ssl_certificate_key /path/to/certificate.key;" in nginx


def test_an_arbitrary_port_behind_a_balancer(tmp_path: Path) -> None:
    lines = """registry_external_url 'https://registry-gitlab.example.com'
registry_nginx['redirect_http_to_https'] = true
registry_nginx['listen_port'] = 5678
"""
    found = written(tmp_path, SITE + lines)
    assert (found.control["registry"]["host"], found.control["registry"]["port"]) == (
        "registry-gitlab.example.com",
        443,
    )
    assert "listen 5678 ssl" in found.text("nginx.conf")
    assert "return 308 https://registry-gitlab.example.com$request_uri;" in found.text("nginx.conf")


def test_a_domain_of_its_own(tmp_path: Path) -> None:
    found = written(tmp_path, f"{SITE}registry_external_url 'https://registry.gitlab.example.com'\n")
    assert "/etc/gitlab/ssl/registry.gitlab.example.com.key;" in found.text("nginx.conf")
    assert "server_name registry.gitlab.example.com;" in found.text("nginx.conf")


def test_the_certificates_of_lets_encrypt_switch_the_registry_on(tmp_path: Path) -> None:
    found = written(tmp_path, f"{SITE}letsencrypt['enable'] = true\n")
    assert found.control["registry"]["port"] == 5050
    assert "return 308" not in found.text("nginx.conf")


def test_without_a_url_the_registry_is_off(tmp_path: Path) -> None:
    found = written(tmp_path, SITE)
    assert found.control["registry"]["enabled"] is False
    assert "set registry_external_url" in found.report.next_steps[0]


def test_the_registry_switched_off_keeps_its_images(tmp_path: Path) -> None:
    found = written(tmp_path, f"{REGISTRY}registry['enable'] = false\n")
    assert found.control["registry"]["enabled"] is False
    assert "images are kept" in found.report.next_steps[0]


def test_new_projects_without_a_registry(tmp_path: Path) -> None:
    line = "gitlab_rails['gitlab_default_projects_features_container_registry'] = false\n"
    assert written(tmp_path, REGISTRY + line).control["gitlab"] == {
        "default_projects_features": {"container_registry": False}
    }


def test_another_folder_of_images(tmp_path: Path) -> None:
    found = written(tmp_path, f"{REGISTRY}gitlab_rails['registry_path'] = \"/path/to/registry/storage\"\n")
    assert found.config["storage"]["filesystem"] == {"rootdirectory": "/path/to/registry/storage"}


def test_another_address_inside(tmp_path: Path) -> None:
    found = written(tmp_path, f"{REGISTRY}registry['registry_http_addr'] = \"localhost:5010\"\n")
    assert found.config["http"]["addr"] == "localhost:5010"
    assert found.control["registry"]["api_url"] == "http://localhost:5010"
    assert "proxy_pass http://localhost:5010;" in found.text("nginx.conf")


S3 = """registry['storage'] = {
  's3' => {
    'accesskey' => 's3-access-key',
    'secretkey' => 's3-secret-key-for-access-key',
    'bucket' => 'your-s3-bucket',
    'region' => 'eu-west-1',%s
  }%s
}
"""


@pytest.mark.parametrize(
    ("key", "beside", "expected"),
    [
        ("\n 'regionendpoint' => 'https://s3.example.com', 'pathstyle' => false", "", {"pathstyle": False}),
        ("\n 'maxrequestspersecond' => 100", "", {"maxrequestspersecond": 100}),
        ("\n 'encrypt' => true", "", {"encrypt": True}),
        ("", ",\n 'redirect' => {\n 'disable' => true\n }", {}),
    ],
)
def test_a_bucket_of_s3(tmp_path: Path, key: str, beside: str, expected: dict[str, Any]) -> None:
    storage = written(tmp_path, REGISTRY + S3 % (key, beside)).config["storage"]
    assert storage["s3"].items() >= ({"bucket": "your-s3-bucket", "accesskey": "s3-access-key"} | expected).items()
    assert storage.get("redirect") == ({"disable": True} if beside else None)
    assert storage["cache"] == {"blobdescriptor": "inmemory"}


def test_a_bucket_of_s3_with_a_role(tmp_path: Path) -> None:
    text = "registry['storage'] = {\n 's3' => {\n 'bucket' => 'b',\n 'region' => 'eu-west-1'\n }\n}\n"
    assert written(tmp_path, REGISTRY + text).config["storage"]["s3"] == {"bucket": "b", "region": "eu-west-1"}


def test_a_bucket_of_google(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    text = f"""registry['storage'] = {{
      'gcs' => {{
        'bucket' => 'BUCKET_NAME',
        'keyfile' => '{tmp_path}/key.json',
        # If you have the bucket shared with other apps beyond the registry, uncomment the following:
        # 'rootdirectory' => '/gcs/object/name/prefix'
      }}
    }}
"""
    storage = written(tmp_path, REGISTRY + text).config["storage"]
    assert storage["gcs"] == {"bucket": "BUCKET_NAME", "keyfile": f"{tmp_path}/key.json"}


def test_a_container_of_azure(tmp_path: Path) -> None:
    text = """registry['storage'] = {
  'azure' => {
    'accountname' => 'account', 'accountkey' => 'a2V5', 'container' => 'container', 'trimlegacyrootprefix' => true
  }
}
"""
    assert written(tmp_path, REGISTRY + text).config["storage"]["azure"]["trimlegacyrootprefix"] is True


def test_read_only_for_garbage_collection(tmp_path: Path) -> None:
    text = """registry['storage'] = {
      'filesystem' => { 'rootdirectory' => "/images" },
      'maintenance' => { 'readonly' => { 'enabled' => true } }
    }
"""
    assert written(tmp_path, REGISTRY + text).config["storage"]["maintenance"] == {"readonly": {"enabled": True}}


def test_notifications_with_the_defaults_of_the_package(tmp_path: Path) -> None:
    text = """registry['notifications'] = [
  {
    'name' => 'test_endpoint',
    'url' => 'https://gitlab.example.com/api/v4/container_registry_event/events',
    'threshold' => 7, # DEPRECATED: use `maxretries` instead.
    'headers' => {
      "Authorization" => ["AUTHORIZATION_EXAMPLE_TOKEN"]
    }
  }
]

gitlab_rails['registry_notification_secret'] = 'AUTHORIZATION_EXAMPLE_TOKEN' # Must match the auth token
"""
    found = written(tmp_path, REGISTRY + text)
    [endpoint] = found.config["notifications"]["endpoints"]
    assert endpoint == {
        "name": "test_endpoint",
        "url": "https://gitlab.example.com/api/v4/container_registry_event/events",
        "timeout": "500ms",
        "maxretries": 7,
        "backoff": "1s",
        "headers": {"Authorization": ["AUTHORIZATION_EXAMPLE_TOKEN"]},
    }
    loaded = read_control(found.folder / "control.yml", {})
    assert loaded.configuration.registry.notification_secret == "AUTHORIZATION_EXAMPLE_TOKEN"


def test_a_registry_on_another_machine(tmp_path: Path) -> None:
    text = """gitlab_rails['registry_enabled'] = true
gitlab_rails['registry_api_url'] = "https://registry.internal:5000"
gitlab_rails['registry_issuer'] = "gitlab-issuer"
gitlab_rails['registry_host'] = "registry.gitlab.example.com"
gitlab_rails['registry_port'] = "5005"
"""
    found = written(tmp_path, SITE + text)
    assert found.control["registry"] | {"key": "", "path": ""} == {
        "enabled": True,
        "host": "registry.gitlab.example.com",
        "port": 5005,
        "api_url": "https://registry.internal:5000",
        "issuer": "gitlab-issuer",
        "key": "",
        "path": "",
    }
    assert "moorage serve" not in " ".join(found.report.next_steps)


def private_key() -> str:
    made = rsa.generate_private_key(65537, 2048)
    plain = serialization.NoEncryption()
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain
    ).decode()


def test_a_key_of_the_site_gets_its_certificate(tmp_path: Path) -> None:
    key = private_key()
    in_one_line = key.replace("\n", "\\n")
    found = written(tmp_path, f"{REGISTRY}registry['internal_key'] = \"{in_one_line}\"\n")
    assert found.text("gitlab-registry.key") == key
    assert (found.folder / "gitlab-registry.key").stat().st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate(found.text("gitlab-registry.crt").encode())
    private = serialization.load_pem_private_key(key.encode(), None)
    assert certificate.public_key() == private.public_key()
    assert found.config["auth"]["token"]["rootcertbundle"] == str(found.folder / "gitlab-registry.crt")
    assert found.control["registry"]["key"] == str(found.folder / "gitlab-registry.key")


def test_the_key_is_written_where_the_site_wants_it(tmp_path: Path) -> None:
    path, key, fresh = tmp_path / "etc" / "other" / "registry.key", private_key(), private_key()
    for text in (key, fresh):
        in_one_line = text.replace("\n", "\\n")
        lines = f"registry['internal_key'] = \"{in_one_line}\"\ngitlab_rails['registry_key_path'] = '{path}'\n"
        found = written(tmp_path, REGISTRY + lines)
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o600
        assert found.control["registry"]["key"] == str(path)
        assert not (found.folder / "gitlab-registry.key").exists()
    path.chmod(0o640)
    again = written(tmp_path, REGISTRY + lines)
    assert (again.report.files[str(path)], path.stat().st_mode & 0o777) == ("unchanged", 0o640)
    [mistake] = mistakes(REGISTRY + lines.replace(str(path), "etc/registry.key"))
    assert "registry_key_path']: must be a path that begins with a slash" in mistake


def test_the_secrets_beside_the_file_count(tmp_path: Path) -> None:
    key = private_key()
    secrets = {"registry": {"http_secret": "the secret", "internal_key": key}, "gitlab_rails": {"secret_key_base": "x"}}
    (tmp_path / "gitlab-secrets.json").write_text(json.dumps(secrets))
    found = written(tmp_path, REGISTRY)
    assert found.config["http"]["secret"] == "the secret"
    assert found.text("gitlab-registry.key") == key


def test_the_guide_s_shortened_key_is_refused_in_words() -> None:
    line = "registry['internal_key'] = \"---BEGIN RSA PRIVATE KEY---\\nMIIEpQIBAA\\n\"\n"
    [mistake] = mistakes(REGISTRY + line)
    assert "registry['internal_key']: must be a private key in PEM form" in mistake


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("registry_external_url 'gitlab.example.com:5050'", "must include a scheme and a full host name"),
        ("registry_external_url 'ftp://gitlab.example.com'", "must include a scheme"),
        ("registry_external_url 'https://gitlab.example.com/registry'", "must have no path"),
        ("registry_external_url 'https://gitlab.example.com:5000'", "must not be the registry's own"),
        ("registry_external_url 'https://gitlab.example.com:x'", "is no URL"),
        ("registry_external_url 'https://a;b'", "has a character that no address has"),
        ("registry['registry_http_addr'] = \"x;\\ninclude /etc/passwd\"", "has a character that no address has"),
        ("registry_nginx['listen_port'] = 'many'", "line 3: registry_nginx['listen_port']: must be a port"),
        ("registry['enable'] = 'false'", "must be true or false, without quotation marks"),
        ("registry['storage'] = 'filesystem'", "must be a hash"),
        ("gitlab_rails['registry_host'] = ['a']", "must be a string"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_line(line: str, words: str) -> None:
    [mistake] = mistakes(f"{REGISTRY}{line}\n")
    assert words in mistake
    assert "line 3" in mistake or "address" in mistake


def test_without_the_address_of_the_site_nobody_could_get_a_token() -> None:
    assert "external_url: is needed" in mistakes("registry['enable'] = true\n")[0]


def test_a_second_run_changes_nothing_and_keeps_the_secrets(tmp_path: Path) -> None:
    first = written(tmp_path, REGISTRY)
    again = written(tmp_path, REGISTRY)
    assert set(first.report.files.values()) == {"new"}
    assert set(again.report.files.values()) == {"unchanged"}
    other = written(tmp_path, f"{REGISTRY}registry['log_level'] = 'debug'\n")
    assert [Path(path).name for path, change in other.report.files.items() if change == "changed"] == ["config.yml"]
    assert other.config["http"]["secret"] == first.config["http"]["secret"]


def test_a_file_made_by_hand_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "config.yml").write_text("version: 0.1\n")
    with pytest.raises(ConfigurationError, match="was not written by this command"):
        written(tmp_path, REGISTRY)
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["config.yml"]


def test_what_is_not_understood_is_said_and_strict_writes_nothing(tmp_path: Path) -> None:
    text = f"{REGISTRY}registry['foo'] = 1\nregistry['http_secret'] = File.read('x')\npostgresql['enable'] = false\n"
    with pytest.raises(ConfigurationError):
        written(tmp_path, text)
    assert not (tmp_path / "site").exists()
    found = written(tmp_path, text, is_strict=False)
    assert [remark.partition(" ")[0] for remark in found.report.remarks] == ["gitlab.rb:4:", "gitlab.rb:3:"]


def test_variables_of_the_service_are_quoted_for_a_shell(tmp_path: Path) -> None:
    line = "registry['env'] = { 'REGISTRY_HTTP_RELATIVEURLS' => true, 'X' => 'a b; echo' }\n"
    found = written(tmp_path, REGISTRY + line)
    assert found.text("registry.env").splitlines()[1:] == ["REGISTRY_HTTP_RELATIVEURLS=true", "X='a b; echo'"]


def test_the_command_prints_what_it_wrote_and_what_comes_next(tmp_path: Path) -> None:
    (tmp_path / "gitlab.rb").write_text(f"{REGISTRY}registry['foo'] = 1\n")
    command = [sys.executable, "-m", "moorage", "config", "from-gitlab-rb", "gitlab.rb", "--to", "site"]
    found = subprocess.run(
        command, cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 0
    assert "new        site/config.yml" in found.stdout
    assert "next: include site/nginx.conf" in found.stdout
    assert found.stderr == "warning: gitlab.rb:3: registry['foo'] has no place here and was left out\n"
