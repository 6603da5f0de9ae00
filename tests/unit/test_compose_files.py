"""The compose files: in the specification's grammar, with names that lead somewhere, and configurations that start."""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from moorage.config import load
from moorage.control.configuration import read_control
from moorage.control.serving.first_folder import prepare_folder
from moorage.token_server.key_ring import KeyFolder
from support.components import need

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
FILES = sorted(FOLDER.glob("*.yml"))
GIVEN = {"DOMAIN": "example.com"}
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}")
_CALL = re.compile(r"(?:proxy_pass http://|reverse_proxy |server |http://)([a-z][a-z0-9-]*):(\d+)")


def filled(text: str) -> str:
    """What compose reads: variables by their value, else their default, else some secret."""
    return _VARIABLE.sub(lambda found: GIVEN.get(found[1], found[2] or "ab" * 32), text).replace("$$", "$")


def services_of(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(filled(file.read_text()))["services"])


def environ_of(service: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def mounts_of(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for volume in service.get("volumes", ()):
        source, target, *_ = volume.split(":")
        yield source, target


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_in_the_specifications_grammar(file: Path) -> None:
    read = yaml.safe_load(filled(file.read_text()))
    extensions = {name for name in read if name.startswith("x-")}
    spec = PyCompose.from_yaml(yaml.safe_dump({name: read[name] for name in read if name not in extensions}))
    spec.validate()
    spec.to_spec()
    assert set(spec.to_dict()["services"]) == set(read["services"])


def test_the_grammar_knows_a_key_that_is_none() -> None:
    with pytest.raises(Exception, match="restrat"):
        PyCompose.from_yaml("services: {a: {image: b, restrat: always}}").validate()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_name_in_a_file_leads_somewhere(file: Path) -> None:
    read = yaml.safe_load(filled(file.read_text()))
    used: set[str] = set()
    for service in read["services"].values():
        assert set(service.get("depends_on", ())) <= set(read["services"])
        assert set(service.get("networks", ())) <= set(read["networks"])
        for source, _ in mounts_of(service):
            if source == "./tls":
                continue  # The administrator's own certificate.
            assert not source.startswith(".") or (FOLDER / source).is_file(), source
            used |= {source} - {source if source.startswith(".") else ""}
    assert used == set(read["volumes"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_port_that_is_called_is_one_that_is_listened_at(file: Path) -> None:
    services, listened = services_of(file), {"s3": {8333}, "redis": {6379}, "postgres": {5432}}
    for name in services:
        if name.startswith("registry"):
            listened[name] = {5000, 5001}
        elif name in {"moorage", "control"}:
            listened[name] = {5000, 8080}
    listened["nginx"] = {8081}
    for config in (FOLDER / file.stem).iterdir():
        for name, port in _CALL.findall(config.read_text()):
            assert int(port) in listened[name], f"{config.name}: {name}:{port}"


def test_the_registry_takes_the_configuration_of_three_nodes_with_what_compose_sets() -> None:
    service = services_of(FOLDER / "three-nodes.yml")["registry-2"]
    loaded = load((FOLDER / "three-nodes" / "config.yml").read_text(), environ_of(service))
    assert (loaded.refused, loaded.warnings) == ((), ())
    assert loaded.config.http.host == "https://registry.example.com"
    assert loaded.config.database.password is not None


def test_the_control_plane_takes_the_configuration_of_three_nodes_with_what_compose_sets(tmp_path: Path) -> None:
    environ = environ_of(services_of(FOLDER / "three-nodes.yml")["control"])
    environ = {name: value for name, value in environ.items() if name != "MOORAGE_CONTROL"}
    keys = KeyFolder(tmp_path / "keys")
    keys.prepare(time.time())
    text = (FOLDER / "three-nodes" / "control.yml").read_text().replace("/etc/moorage/keys", str(tmp_path / "keys"))
    (tmp_path / "control.yml").write_text(text)
    read = read_control(tmp_path / "control.yml", environ)
    assert not read.warnings


def test_each_variable_for_one_machine_is_a_key(tmp_path: Path) -> None:
    environ = environ_of(services_of(FOLDER / "one-machine.yml")["moorage"])
    made = prepare_folder(tmp_path, registry_addr="0.0.0.0:5000", control_addr="0.0.0.0:8080")
    loaded = load(made.config.read_text(), {n: v for n, v in environ.items() if n.startswith("REGISTRY_")})
    assert not loaded.refused
    assert not [warning for warning in loaded.warnings if "REGISTRY_" in str(warning)]
    read = read_control(made.control, {n: v for n, v in environ.items() if n.startswith("MOORAGE_")})
    assert not read.warnings


def test_nginx_takes_the_site_of_three_nodes(tmp_path: Path) -> None:
    need("nginx", "openssl")
    site = filled((FOLDER / "three-nodes" / "nginx.conf").read_text())
    site = re.sub(r"\b(registry-\d|control):", "127.0.0.1:", site).replace("/etc/nginx/tls", str(tmp_path))
    site = re.sub(r"listen (80|443|8081)", "listen 127.0.0.1:1\\1", site)
    # Debian 12's nginx is older than the directive; the image's newer.
    site = site.replace("    http2 on;\n", "")
    key = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    subprocess.run([*key, "-keyout", tmp_path / "registry.key", "-out", tmp_path / "registry.crt"], check=True)
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{site}\n}}\n")
    command = ["nginx", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
