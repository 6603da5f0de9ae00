"""The files of `moorage up`, as far as they depend on the addresses that are given."""

from pathlib import Path

import yaml

from moorage.config import load
from moorage.control.configuration import read_control
from moorage.control.serving.first_folder import HTTPSSite, prepare_folder


def test_who_listens_everywhere_is_called_by_a_name_that_can_be_called(tmp_path: Path) -> None:
    made = prepare_folder(tmp_path, registry_addr="0.0.0.0:5000", control_addr="[::]:8080")
    config, control = (yaml.safe_load(file.read_text()) for file in (made.config, made.control))
    assert (config["http"]["addr"], control["http"]["addr"]) == ("0.0.0.0:5000", "[::]:8080")
    assert config["auth"]["token"]["realm"] == "http://localhost:8080/jwt/auth"
    [endpoint] = config["notifications"]["endpoints"]
    assert endpoint["url"] == "http://127.0.0.1:8080/api/v4/container_registry_event/events"
    assert control["registry"]["host"] == "localhost"
    assert control["registry"]["api_url"] == "http://127.0.0.1:5000/"


def test_the_registry_of_one_machine_has_the_name_of_its_realm(tmp_path: Path) -> None:
    for number, host in enumerate(("127.0.0.1", "[::1]", "0.0.0.0")):
        made = prepare_folder(tmp_path / str(number), registry_addr=f"{host}:5000", control_addr=f"{host}:8080")
        config, control = (yaml.safe_load(file.read_text()) for file in (made.config, made.control))
        assert config["auth"]["token"]["realm"] == "http://localhost:8080/jwt/auth"
        assert control["registry"]["host"] == "localhost"
        assert read_control(made.control, {}).configuration.registry.port == 5000
        assert read_control(made.control, {}).warnings == ()
    made = prepare_folder(tmp_path / "other", registry_addr="127.0.0.2:5000", control_addr="127.0.0.2:8080")
    assert read_control(made.control, {}).configuration.registry.host == "127.0.0.2"


def test_a_folder_of_an_older_start_with_two_names_for_one_machine_is_warned_of(tmp_path: Path) -> None:
    made = prepare_folder(tmp_path, registry_addr="127.0.0.1:5000", control_addr="127.0.0.1:8080")
    text = made.control.read_text()
    assert "  host: localhost\n" in text
    made.control.write_text(text.replace("  host: localhost\n", "  host: 127.0.0.1\n"))
    (warning,) = read_control(made.control, {}).warnings
    assert warning.startswith("registry.host: it is 127.0.0.1, and http.host has localhost: ")
    assert warning.endswith("write localhost, and call the registry so")


def test_a_site_with_a_name_has_pages_on_443_the_registry_on_5050_and_sends_people_on_from_80(tmp_path: Path) -> None:
    https = HTTPSSite("example.com", "example.com")
    made = prepare_folder(tmp_path, registry_addr="0.0.0.0:5050", control_addr="0.0.0.0:443", https=https)
    loaded, control = load(made.config.read_text(), {}), read_control(made.control, {}).configuration
    assert (loaded.refused, loaded.warnings) == ((), ())
    assert loaded.config.http.host == "https://example.com:5050"
    assert (control.http.host, control.http.redirect) == ("https://example.com", "0.0.0.0:80")
    assert (control.registry.host, control.registry.port) == ("example.com", 5050)
    cache = str(tmp_path / "certificates")
    issued = (loaded.config.http.tls.letsencrypt, control.http.tls.letsencrypt)
    assert [(one.cachefile, one.hosts) for one in issued] == [(cache, ["example.com"])] * 2


def test_the_control_plane_has_the_check_of_the_registrys_own_name_too(tmp_path: Path) -> None:
    https = HTTPSSite("example.com", "registry.example.com")
    made = prepare_folder(tmp_path, registry_addr="0.0.0.0:5050", control_addr="0.0.0.0:443", https=https)
    control = read_control(made.control, {}).configuration
    assert control.http.tls.letsencrypt.hosts == ["example.com", "registry.example.com"]
    assert control.registry.api_url == "https://registry.example.com:5050/"
