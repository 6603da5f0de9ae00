"""The settings of GitLab's guide for registry and GitLab on nodes of their own: each node has one half of the pair.

Source: requirements S-104, S-105, S-108.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding

from moorage.errors import ConfigurationError
from moorage.starting.gitlab_site_start import SiteReport, SiteRequest, write_gitlab_site
from support.tokens import certificate, pem, rsa_key

KEY = rsa_key("separate")
PRIVATE = KEY.private_bytes(
    Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
CERTIFICATE = pem(certificate(KEY)).decode()
GITLAB_NODE = """external_url 'https://gitlab.example.com'
gitlab_rails['registry_enabled'] = true
gitlab_rails['registry_api_url'] = "http://10.0.0.7:5000"
gitlab_rails['registry_host'] = "registry.gitlab.example"
"""
REGISTRY_NODE = """external_url 'https://gitlab.example.com'
registry_external_url 'https://registry.gitlab.example'
registry['registry_http_addr'] = "10.0.0.7:5000"
registry['token_realm'] = "https://gitlab.example.com"
"""


def report_of(tmp_path: Path, text: str) -> SiteReport:
    (tmp_path / "gitlab.rb").write_text(text)
    return write_gitlab_site(SiteRequest(file=tmp_path / "gitlab.rb", folder=tmp_path / "site", is_strict=True))


def read(tmp_path: Path, name: str) -> Any:  # noqa: ANN401 - any tree of YAML
    return yaml.safe_load((tmp_path / "site" / name).read_text())


def in_one_line(text: str) -> str:
    return text.replace("\n", "\\n")


def test_a_gitlab_node_signs_by_the_key_at_the_path_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "registry.key").write_text(PRIVATE)
    report_of(tmp_path, f"{GITLAB_NODE}gitlab_rails['registry_key_path'] = '{tmp_path}/registry.key'\n")
    assert read(tmp_path, "control.yml")["registry"]["key"] == f"{tmp_path}/registry.key"
    [trusted] = x509.load_pem_x509_certificates((tmp_path / "site" / "gitlab-registry.crt").read_bytes())
    assert trusted.public_key() == KEY.public_key()
    assert not (tmp_path / "site" / "keys").exists()
    assert not (tmp_path / "site" / "gitlab-registry.key").exists()


def test_a_key_that_is_not_where_it_is_said_to_be_makes_no_site_with_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"line 5: gitlab_rails\['registry_key_path'\]: .*a new key is made"):
        report_of(tmp_path, f"{GITLAB_NODE}gitlab_rails['registry_key_path'] = '{tmp_path}/registry.key'\n")
    assert not (tmp_path / "site").exists()


def test_a_file_without_a_key_is_a_mistake_and_not_as_if_none_were_named(tmp_path: Path) -> None:
    (tmp_path / "registry.key").touch()
    with pytest.raises(ConfigurationError, match=r"line 5: .*registry.key must be a private key in PEM form"):
        report_of(tmp_path, f"{GITLAB_NODE}gitlab_rails['registry_key_path'] = '{tmp_path}/registry.key'\n")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("besides", ["", "gitlab_rails['registry_key_path'] = '/is/not/here.key'\n"])
def test_a_registry_node_trusts_the_certificate_that_it_is_given(tmp_path: Path, besides: str) -> None:
    line = f"registry['internal_certificate'] = \"{in_one_line(CERTIFICATE)}\"\n"
    report = report_of(tmp_path, REGISTRY_NODE + besides + line)
    assert (tmp_path / "site" / "gitlab-registry.crt").read_text() == CERTIFICATE
    trusted = read(tmp_path, "config.yml")["auth"]["token"]["rootcertbundle"]
    assert trusted == f"{tmp_path}/site/gitlab-registry.crt"
    assert not list((tmp_path / "site").glob("control.*"))
    assert "the key of its certificate is not here" in report.next_steps[1]
    assert "server_name gitlab.example.com;" not in (tmp_path / "site" / "nginx.conf").read_text()


def test_a_registry_node_trusts_the_certificate_at_the_path_that_it_names(tmp_path: Path) -> None:
    report_of(tmp_path, f"{REGISTRY_NODE}registry['rootcertbundle'] = '/etc/registry.crt'\n")
    assert read(tmp_path, "config.yml")["auth"]["token"]["rootcertbundle"] == "/etc/registry.crt"
    assert not (tmp_path / "site" / "control.yml").exists()
    assert not (tmp_path / "site" / "keys").exists()


def test_what_is_no_certificate_is_said_where_there_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"registry\['internal_certificate'\]: must be a certificate"):
        report_of(tmp_path, f"{REGISTRY_NODE}registry['internal_certificate'] = 'x'\n")
