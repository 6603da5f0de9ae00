"""The Helm chart: rendered with several sets of values, held against Kubernetes' schemas, its configurations tried."""

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage import __version__
from moorage.config import load
from moorage.control.configuration import read_control
from moorage.token_server.key_ring import KeyFolder
from support.components import need

CHART = Path(__file__).parents[2] / "deploy" / "chart" / "moorage"
SETS = sorted((CHART / "ci").glob("*.yaml"))
KUBERNETES = ("1.31", "1.37")
STORAGE = "s3:\n  bucket: images\n  region: eu-west-1\n"
Objects = list[dict[str, Any]]


def helm(*words: str) -> "subprocess.CompletedProcess[str]":
    need("helm")
    return subprocess.run(["helm", *words], capture_output=True, text=True, check=False)


def rendered(values: Path, *settings: str, release: str = "r") -> Objects:
    version = ("--kube-version", KUBERNETES[0])
    done = helm("template", release, str(CHART), *version, "-f", str(values), *(f"--set={one}" for one in settings))
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def refused(*settings: str, values: Path = SETS[0]) -> str:
    words = (f"--set={one}" for one in settings)
    done = helm("template", "r", str(CHART), "--kube-version", KUBERNETES[0], "-f", str(values), *words)
    assert done.returncode != 0
    return done.stderr


def kind(objects: Objects, name: str, component: str = "registry") -> dict[str, Any]:
    label = "app.kubernetes.io/component"
    [found] = [one for one in objects if one["kind"] == name and one["metadata"]["labels"][label] == component]
    return found


def pods(objects: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in objects:
        if one["kind"] in {"Deployment", "Job"}:
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def environ_of(container: Mapping[str, Any]) -> dict[str, str]:
    """What Kubernetes gives a process: secrets by some value, and variables within variables."""
    given: dict[str, str] = {}
    for variable in container["env"]:
        secret = "ab" * 32 if variable["name"] != "REGISTRY_STORAGE" else STORAGE
        text = str(variable.get("value", secret))
        given[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda found: given[found[1]], text)
    return given


@pytest.fixture(scope="module", params=SETS, ids=lambda file: file.stem)
def objects(request: pytest.FixtureRequest) -> Objects:
    return rendered(request.param)


@pytest.mark.parametrize("values", SETS, ids=lambda file: file.stem)
def test_helm_finds_nothing_wrong(values: Path) -> None:
    done = helm("lint", "--strict", str(CHART), "-f", str(values))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_is_in_kubernetes_schemas(objects: Objects, version: str) -> None:
    # To load it takes two seconds of the processor, and every process of a run loads every test.
    import kubernetes_validate  # noqa: PLC0415 - see above

    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_registry_takes_its_configuration(objects: Objects) -> None:
    text = kind(objects, "ConfigMap")["data"]["config.yml"]
    [container] = kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    loaded = load(text, {name: value for name, value in environ_of(container).items() if name.startswith("REGISTRY_")})
    assert (loaded.refused, [str(one) for one in loaded.warnings if "AUTHENTICATION" not in str(one)]) == ((), [])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert (loaded.config.http.addr, loaded.config.http.debug.addr) == (f":{ports['registry']}", f":{ports['debug']}")


def test_the_control_plane_takes_its_configuration_and_hears_of_events(tmp_path: Path) -> None:
    objects = rendered(CHART / "ci" / "bucket-values.yaml")
    keys = KeyFolder(tmp_path / "keys")
    keys.prepare(time.time())
    text = kind(objects, "ConfigMap", "control")["data"]["control.yml"]
    (tmp_path / "control.yml").write_text(text.replace("/etc/moorage/key/registry-auth.key", str(tmp_path / "keys")))
    [container] = kind(objects, "Deployment", "control")["spec"]["template"]["spec"]["containers"]
    read = read_control(tmp_path / "control.yml", environ_of(container))
    assert not read.warnings
    [registry] = kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    [endpoint] = json.loads(environ_of(registry)["REGISTRY_NOTIFICATIONS_ENDPOINTS"])
    assert endpoint["headers"]["Authorization"] == [
        environ_of(container)["MOORAGE_CONTROL_REGISTRY_NOTIFICATIONSECRET"]
    ]
    assert endpoint["url"].startswith(f"http://{kind(objects, 'Service', 'control')['metadata']['name']}:8080/")


def test_nothing_runs_as_root_or_writes_to_its_root(objects: Objects) -> None:
    for name, pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"], name
        # With variables of services, one called moorage-control would set keys of the configuration.
        assert pod["enableServiceLinks"] is False, name
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            locked = container["securityContext"]
            assert (locked["readOnlyRootFilesystem"], locked["allowPrivilegeEscalation"]) == (True, False), name
            assert locked["capabilities"] == {"drop": ["ALL"]}, name


def test_what_is_mounted_is_there_and_what_is_there_is_mounted(objects: Objects) -> None:
    for name, pod in pods(objects):
        mounted = {
            mount["name"]
            for container in (*pod.get("initContainers", ()), *pod["containers"])
            for mount in container["volumeMounts"]
        }
        assert mounted == {volume["name"] for volume in pod["volumes"]}, name


def test_a_node_starts_after_the_job_of_migrations() -> None:
    objects = rendered(CHART / "ci" / "bucket-values.yaml")
    [migrations] = kind(objects, "Job", "migrations")["spec"]["template"]["spec"]["containers"]
    assert migrations["args"][:3] == ["database", "migrate", "up"]
    [waiting] = kind(objects, "Deployment")["spec"]["template"]["spec"]["initContainers"]
    assert "migrate status --up-to-date" in waiting["args"][0]


def test_names_of_gitlabs_chart_count() -> None:
    objects = rendered(CHART / "ci" / "gitlab-values.yaml")
    config = yaml.safe_load(kind(objects, "ConfigMap")["data"]["config.yml"])
    assert config["auth"]["token"]["realm"] == "https://gitlab.example.com/jwt/auth"
    assert config["auth"]["token"]["issuer"] == "gitlab-issuer"
    assert config["validation"]["manifests"]["referencelimit"] == 100
    gc, database = config["gc"], config["database"]
    assert (gc["manifests"]["interval"], gc["blobs"]["interval"], gc["blobs"]["storagetimeout"]) == (
        "500ms",
        "500ms",
        "8s",
    )
    assert (gc["noidlebackoff"], gc["transactiontimeout"]) == (True, "20s")
    assert (database["primary"], database["draintimeout"]) == ("primary.example.com", "2m")
    assert database["backgroundmigrations"] == {"enabled": True, "maxjobretries": 3, "jobinterval": "10s"}
    assert kind(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 2
    scaled = kind(objects, "HorizontalPodAutoscaler")["spec"]
    assert (scaled["minReplicas"], scaled["maxReplicas"]) == (3, 6)
    assert (database["loadbalancing"]["nameserver"], database["loadbalancing"]["record"]) == (
        "consul.example.com",
        "standbys.service.consul",
    )
    assert (config["auth"]["token"]["autoredirect"], config["reporting"]["sentry"]["environment"]) == (
        True,
        "production",
    )
    redis = config["redis"]
    assert (redis["cache"]["addr"], redis["cache"]["mainname"], redis["cache"]["db"]) == (
        "sentinel1.example.com:26380,sentinel2.example.com:26379",
        "redis.example.com",
        2,
    )
    assert redis["ratelimiter"]["addr"] == "redis1.example.com:6379,redis2.example.com:6380"
    assert redis["loadbalancing"] == {"enabled": True, "addr": "redis.example.com:6390"}
    [container] = kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    keys = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container["env"] if "REDIS" in one["name"]}
    assert keys == {
        "REGISTRY_REDIS_CACHE_PASSWORD": {"name": "registry-cache-password", "key": "redis-password"},
        "REGISTRY_REDIS_CACHE_SENTINELPASSWORD": {"name": "registry-sentinel-password", "key": "password"},
    }
    volumes = kind(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    secrets = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    assert secrets == {"gitlab-registry-secret", "registry-storage", "registry-service-tls"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["registry.database.loadBalancing.enabled=true"], "name the record that tells the standbys"),
        (["registry.hpa.minReplica=3"], "additional properties 'minReplica' not allowed"),
        (["registry.storage.secret="], "name a secret with the section `storage`"),
        (["registry.storage.persistence.enabled=true"], "take one of them"),
        (["registry.database.host="], "name PostgreSQL's host"),
        (["control.database.host="], "leave the control plane out"),
        (["control.enabled=false"], "registry.authEndpoint"),
        (["registry.storage.secret=", "registry.storage.persistence.enabled=true"], "is for one node"),
    ],
)
def test_what_cannot_go_well_is_refused_with_what_would(settings: list[str], words: str) -> None:
    assert words in refused(*settings)


def test_one_redis_is_for_all_kinds_with_its_password_and_a_kind_without_a_server_is_refused() -> None:
    on = [f"registry.redis.{name}.enabled=true" for name in ("cache", "rateLimiting", "loadBalancing")]
    objects = rendered(SETS[0], "registry.redis.addr=redis:6379", "registry.redis.password.secret=redis", *on)
    [container] = kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    environ = {name: value for name, value in environ_of(container).items() if name.startswith("REGISTRY_")}
    found = load(kind(objects, "ConfigMap")["data"]["config.yml"], environ).config.redis
    for one in (found, found.cache, found.ratelimiter, found.loadbalancing):
        assert (one.addr, bool(one.password)) == ("redis:6379", True)
    said = refused("registry.redis.addr=", "registry.redis.cache.enabled=true")
    assert "registry.redis.cache is on: name its server by registry.redis.cache.host" in said


def test_the_schema_has_the_keys_of_the_values_and_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(key: str, value: object, found: Mapping[str, Any]) -> None:
        if isinstance(value, dict) and "properties" in found:
            assert set(value) == set(found["properties"]), key
            assert found["additionalProperties"] is False, key
            for name, inner in value.items():
                compare(f"{key}.{name}", inner, found["properties"][name])

    compare("", values, schema)


def test_the_chart_has_the_version_of_the_program() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (__version__, __version__)
