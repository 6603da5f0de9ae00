"""Every key of both registries is known, can be set in the file and by a variable, and is described."""

import json
from datetime import timedelta
from typing import Any

import pytest

from moorage.config import Config, KeyDescription, describe, load
from moorage.config.schema import Node, tree
from unit.config import keys
from unit.config.reading import parts_of, written

DESCRIBED = describe()
NAMED = {key.path.replace("<name>", "storage") for key in DESCRIBED}
_S3 = ("storage.s3", "storage.s3aws", "storage.s3_v2")
_AZURE: dict[str, object] = {
    "accountname": "others",
    "accountkey": "b3RoZXI=",
    "connectionstring": "AccountName=images;AccountKey=a2V5",
    "container": "others",
    "credentials": {"tenantid": "two"},
    "realm": "core.chinacloudapi.cn",
    "serviceurl": "https://images.example.com",
    "debug_log_events": ["Retry", "Request"],
}
_S3_WORDS = {
    "v4auth": True,  # False stops the start.
    "storageclass": "STANDARD_IA",
    "objectacl": "public-read",
    "loglevel": "logrequest",
    "checksum_algorithm": "CRC32",
    "encrypt": True,
}
_HEADERS = {"x-one": ["1", "2"]}
SAMPLES: dict[str, object] = {
    "version": "0.1",
    "http.addr": "127.0.0.1:5001",
    "http.debug.addr": "127.0.0.1:5002",
    "http.host": "https://registry.example.com",
    "http.debug.prometheus.path": "/metrics/here",
    "http.prefix": "/registry/",
    "http.tls.ciphersuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"],
    "http.tls.letsencrypt.hosts": ["registry.example.com", "images.example.com"],
    "http.tls.letsencrypt.directoryurl": "https://acme.example.com/directory",
    "http.headers": _HEADERS,
    "health.http[].headers": _HEADERS,
    "health.http[].uri": "https://up.example.com/ping",
    "health.tcp[].addr": "redis.example.com:6379",
    "notifications.endpoints[].headers": _HEADERS,
    "notifications.endpoints[].url": "https://others.example.com/events",
    "notifications.endpoints[].ignore.actions": ["pull", "mount"],
    "rate_limiter.limiters[].action.warn_threshold": 0.5,
    "http.trustedproxies": ["10.0.0.0/8", "2001:db8::1"],
    "storage.gcs.chunksize": 1 << 20,
    "middleware.<name>[].name": "urlcache",
    "middleware.<name>[].options": {"min_url_validity": "1m"},
    "auth.token.signingalgorithms": ["RS256", "EdDSA"],
    "auth.token.autoredirectpath": "/token",
    **{f"{driver}.{name}": value for driver in ("storage.azure", "storage.azure_v2") for name, value in _AZURE.items()},
    **{f"{driver}.{name}": 6 << 20 for driver in _S3 for name in ("chunksize", "multipartcopychunksize")},
    **{f"{driver}.{name}": value for driver in _S3 for name, value in _S3_WORDS.items()},
}
"""Values for keys that do not take any of their type."""
BY_TYPE: dict[str, object] = {
    "whole number": 77,
    "text": "some text",
    "duration": "77s",
    "list": ["one", "two"],
    "mapping": {"one": "two"},
}


def sample_of(key: KeyDescription) -> object:
    """A value that is not the default."""
    if key.path in SAMPLES:
        return SAMPLES[key.path]
    if key.type == "true or false":
        return key.default != "true"
    if "\\|" in key.type:
        return next(word for word in key.type.split(" \\| ") if word not in (key.default, "(empty)", "true"))
    return BY_TYPE[key.type]


def value_at(config: Config, path: str) -> object:
    """What *config* has, as a file would say it."""
    found: Any = config
    parts = parts_of("log.level" if path == "loglevel" else path)
    if parts[:2] == ["storage", config.storage.name]:
        parts[1] = "driver"
    if parts[0] == "auth":
        del parts[1]
    for part in parts:
        if part == "[]":
            found = found[0]
        else:
            found = found[part] if isinstance(found, dict) else getattr(found, {"from": "sender"}.get(part, part))
    if isinstance(found, timedelta):
        return f"{found.total_seconds():g}s"
    if isinstance(found, dict):
        return {name: list(item) if isinstance(item, tuple) else item for name, item in found.items()}
    return found


@pytest.mark.parametrize("path", keys.ALL)
def test_a_key_of_the_other_registries_is_described(path: str) -> None:
    assert path in NAMED


OLD = {"notifications.endpoints[].threshold"}
"""Keys that are used and warned of."""


@pytest.mark.parametrize("key", DESCRIBED, ids=lambda key: key.path)
def test_a_key_can_be_set_in_the_file(key: KeyDescription) -> None:
    sample = sample_of(key)
    loaded = load(written(key.path, sample), {})
    assert (loaded.unknown, bool(loaded.warnings)) == ((), key.path in OLD)
    assert value_at(loaded.config, key.path) == sample


@pytest.mark.parametrize("key", DESCRIBED, ids=lambda key: key.path)
def test_a_key_can_be_set_by_its_variable(key: KeyDescription) -> None:
    sample = sample_of(key)
    variable = key.variable.replace("<NAME>", "STORAGE")
    loaded = load(written(key.path, None), {variable: json.dumps(sample)})
    assert (loaded.unknown, bool(loaded.warnings)) == ((), key.path in OLD)
    assert value_at(loaded.config, key.path) == sample


@pytest.mark.parametrize(("path", "go_name"), keys.GO_NAMES.items())
def test_a_variable_may_have_the_name_that_go_has_for_a_key(path: str, go_name: str) -> None:
    (key, *_) = [key for key in DESCRIBED if key.path.startswith(path)]
    ours = path.replace("[]", "").rpartition(".")[2].upper()
    variable = f"_{key.variable}_".replace(f"_{ours}_", f"_{go_name}_", 1).strip("_")
    assert variable != key.variable
    sample = sample_of(key)
    loaded = load(written("version", "0.1"), {variable: json.dumps(sample)})
    assert loaded.warnings == ()
    assert value_at(loaded.config, key.path) == sample


def test_all_that_is_described_is_described_once() -> None:
    assert len({key.path for key in DESCRIBED}) == len(DESCRIBED)
    assert len({key.variable for key in DESCRIBED}) == len(DESCRIBED)
    assert [key.path for key in DESCRIBED if not key.description] == []


def test_no_field_of_the_models_is_left_out_of_the_description() -> None:
    def leaves(node: Node, path: str) -> list[str]:
        if node.children is not None:
            return [leaf for name, child in node.children.items() for leaf in leaves(child, f"{path}.{name}")]
        below = node.items or node.values
        return leaves(below, path) if below is not None else [path]

    described = [f".{key.path}".replace("[]", "").replace(".<name>", "") for key in DESCRIBED]
    assert sorted(described) == sorted(leaves(tree(), ""))
