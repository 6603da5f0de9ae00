"""The files of `moorage up`, as far as they depend on the addresses that are given."""

from pathlib import Path

import yaml

from moorage.control.serving.first_folder import prepare_folder


def test_who_listens_everywhere_is_called_by_a_name_that_can_be_called(tmp_path: Path) -> None:
    made = prepare_folder(tmp_path, registry_addr="0.0.0.0:5000", control_addr="[::]:8080")
    config, control = (yaml.safe_load(file.read_text()) for file in (made.config, made.control))
    assert (config["http"]["addr"], control["http"]["addr"]) == ("0.0.0.0:5000", "[::]:8080")
    assert config["auth"]["token"]["realm"] == "http://localhost:8080/jwt/auth"
    [endpoint] = config["notifications"]["endpoints"]
    assert endpoint["url"] == "http://127.0.0.1:8080/api/v4/container_registry_event/events"
    assert control["registry"]["host"] == "localhost"
    assert control["registry"]["api_url"] == "http://127.0.0.1:5000/"
