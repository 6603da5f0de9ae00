"""OMN-016 to OMN-022: sections of the Linux package that become sections of ``config.yml``."""

from pathlib import Path

import yaml

from moorage.config import load
from moorage.starting.gitlab_site_start import SiteRequest, write_gitlab_site

GITLAB_RB = """\
external_url 'https://gitlab.example.com'
registry_external_url 'https://registry.example.com'
registry['log_level'] = 'debug'
registry['log_formatter'] = 'json'
registry['debug_addr'] = '127.0.0.1:5001'
registry['validation_enabled'] = true
registry['health_storagedriver_enabled'] = false
registry['storage_delete_enabled'] = false
registry['autoredirect'] = true
registry['database'] = {
  'enabled' => true, 'host' => 'db.internal', 'port' => 5432, 'user' => 'registry', 'password' => 'secret',
  'dbname' => 'registry', 'sslmode' => 'require'
}
registry['gc'] = { 'disabled' => false, 'blobs' => { 'interval' => '10s' } }
registry['redis'] = { 'cache' => { 'enabled' => true, 'addr' => 'redis.internal:6379' } }
registry['reporting'] = { 'sentry' => { 'enabled' => false } }
"""


def test_what_the_package_passes_on_is_a_section_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "gitlab.rb").write_text(GITLAB_RB)
    write_gitlab_site(SiteRequest(file=tmp_path / "gitlab.rb", folder=tmp_path / "site", is_strict=True))
    text = (tmp_path / "site" / "config.yml").read_text()
    found = yaml.safe_load(text)
    assert not load(text, {}).unknown
    assert (found["log"]["level"], found["log"]["formatter"]) == ("debug", "json")
    assert found["log"]["fields"] == {"service": "registry", "environment": "production"}
    assert found["http"]["debug"] == {"addr": "127.0.0.1:5001", "prometheus": {"enabled": True, "path": "/metrics"}}
    assert found["validation"] == {"disabled": False}
    assert found["health"]["storagedriver"]["enabled"] is False
    assert found["storage"]["delete"] == {"enabled": False}
    assert found["auth"]["token"]["autoredirect"] is True
    assert (found["database"]["host"], found["database"]["sslmode"]) == ("db.internal", "require")
    assert found["gc"]["blobs"] == {"interval": "10s"}
    assert found["redis"]["cache"]["addr"] == "redis.internal:6379"
    assert found["reporting"] == {"sentry": {"enabled": False}}


def test_what_is_not_validated_by_the_package_is_not_validated_here(tmp_path: Path) -> None:
    (tmp_path / "gitlab.rb").write_text(GITLAB_RB.splitlines()[0] + "\n" + GITLAB_RB.splitlines()[1] + "\n")
    write_gitlab_site(SiteRequest(file=tmp_path / "gitlab.rb", folder=tmp_path / "site", is_strict=True))
    found = yaml.safe_load((tmp_path / "site" / "config.yml").read_text())
    assert found["validation"] == {"disabled": True}
    assert "debug" not in found["http"]
    assert "database" not in found


def test_an_endpoint_named_geo_event_has_the_secret_of_events(tmp_path: Path) -> None:
    line = """registry['notifications'] = [
      { 'name' => 'other', 'url' => 'https://a.example.com', 'headers' => { 'Authorization' => ['not this one'] } },
      { 'name' => 'geo_event', 'url' => 'https://b.example.com', 'headers' => { 'Authorization' => ['old', 'new'] } },
    ]
"""
    (tmp_path / "gitlab.rb").write_text("\n".join(GITLAB_RB.splitlines()[:2]) + f"\n{line}")
    write_gitlab_site(SiteRequest(file=tmp_path / "gitlab.rb", folder=tmp_path / "site", is_strict=True))
    assert (tmp_path / "site" / "notification.secret").read_text() == "new\n"


def test_an_endpoint_of_the_control_plane_without_its_secret_is_told_of(tmp_path: Path) -> None:
    line = """registry['notifications'] = [
      { 'name' => 'ours', 'url' => 'https://gitlab.example.com/api/v4/container_registry_event/events',
        'headers' => { 'Authorization' => ['AUTHORIZATION_EXAMPLE_TOKEN'] } },
      { 'name' => 'another', 'url' => 'https://listener.example.com/api/v4/container_registry_event/events' },
    ]
"""
    secret = "gitlab_rails['registry_notification_secret'] = "
    for more, told in (("", 1), (f"{secret}'other'\n", 1), (f"{secret}'AUTHORIZATION_EXAMPLE_TOKEN'\n", 0)):
        (tmp_path / "gitlab.rb").write_text("\n".join(GITLAB_RB.splitlines()[:2]) + f"\n{line}{more}")
        report = write_gitlab_site(SiteRequest(file=tmp_path / "gitlab.rb", folder=tmp_path / "site"))
        assert len(report.remarks) == told
        assert all("the Authorization of ours is not" in remark for remark in report.remarks)
