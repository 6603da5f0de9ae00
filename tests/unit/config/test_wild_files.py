"""Files in the manner of what sites have: each starts, with which warnings, or is refused, in which sentence.

They are our own; that other registries read them was looked up in their parsers.
"""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from moorage.auth.keys import import_key
from moorage.config import load
from moorage.errors import ConfigurationError
from moorage.starting.foreseeing import said_by_a_start
from support.authority import Authority
from support.tokens import certificate, pem, rsa_key

WILD = Path(__file__).parent / "wild"
OPEN = "NO AUTHENTICATION is configured"
THRESHOLD = "notifications.endpoints[0].threshold: old; write maxretries"
PLAIN = "auth.htpasswd without TLS"

GOOD: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "omnibus": ((), ()),
    "omnibus-database": ((), ()),
    "chart": (("http.tls.minimumTLS: unknown key, ignored; did you mean http.tls.minimumtls?",), ()),
    "chart-trace": ((), ()),
    "distribution-example": ((PLAIN,), ("storage.tag.concurrencylimit",)),
    "distribution-image": ((OPEN,), ()),
    "distribution-v2-loglevel": ((), ()),
    "distribution-logstash": ((), ()),
    "distribution-redis": ((), ("redis.maxidleconns", "redis.connmaxidletime")),
    "distribution-v2-redis": ((), ("redis.pool.maxidle", "redis.pool.idletimeout")),
    "htpasswd-tls": ((), ()),
    "letsencrypt": ((), ()),
    "jwks": ((), ()),
    "harbor": (
        ("redis.enableTLS: unknown key, ignored", PLAIN),
        ("redis.pool.maxidle", "redis.pool.idletimeout", "compatibility"),
    ),
    "gitea": ((), ()),
    "chart-s3": ((), ()),
    "s3": ((), ()),
    "webhook-disabled": ((), ()),
    "behind-a-prefix": ((), ()),
    "omnibus-geo-webhook": ((THRESHOLD,), ()),
    "portus": ((THRESHOLD,), ()),
    "host-without-scheme": (("http.host: it has no scheme and is not used",), ()),
    "cloudfront": (("middleware.storage[0]: cloudfront stands before a bucket",), ()),
    "tabs-and-a-tail": ((), ()),
    "readonly": ((), ()),
    "gcs": ((), ()),
    "azure": ((), ()),
    "sentry-and-redis-cache": ((), ()),
}
"""The warnings, by their beginnings, and what is named as not there yet."""

REFUSED = {
    "mirror": "proxy.remoteurl: there is no mirror yet, and without it everybody could push into its names; "
    "take proxy out",
    "swift": "storage: StorageDriver not registered: swift; there are filesystem, inmemory, s3, s3aws, s3_v2, gcs, "
    "azure, azure_v2",
    "two-drivers": "storage: must provide exactly one storage type. Provided: [filesystem s3]",
    "htpasswd-without-path": "auth.htpasswd.path: is needed",
    "htpasswd-elsewhere": "auth.htpasswd.path: /nowhere/htpasswd cannot be read: No such file or directory on this "
    "machine; check it where the registry will run",
    "http-twice": "line 4: not YAML: the key http is there twice, in lines 2 and 4; one of the two would be ignored",
    "tab-as-indentation": "line 3: not YAML: a tab where a line begins; write spaces",
    "readonly-as-a-word": "storage.maintenance.readonly: a mapping is needed",
    "misspelt": "storage: must provide exactly one storage type. Provided: [deletes filesystem]; did you mean delete?",
}


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with what the files name below ``/files`` and ``/data``."""
    made = Authority(tmp_path / "ca").certify("registry.example.com")
    files = tmp_path / "files"
    files.mkdir()
    (tmp_path / "data").mkdir()
    (files / "tls.crt").write_bytes(made.certificate.read_bytes())
    (files / "issuer.pem").write_bytes(pem(certificate(rsa_key())))
    (files / "tls.key").write_bytes(made.key.read_bytes())
    (files / "tls.key").chmod(0o600)
    (files / "users").write_text("ann:$2y$05$" + "." * 53 + "\n")
    public = import_key(load_pem_private_key(made.key.read_bytes(), None))
    (files / "jwks.json").write_text(json.dumps({"keys": [public.as_dict(private=False)]}))
    return tmp_path


def said(name: str, machine: Path) -> tuple[list[str], list[str], tuple[str, ...]]:
    """The mistakes, the warnings, and what is not there yet."""
    text = (WILD / f"{name}.yml").read_text().replace("/files/", f"{machine}/files/")
    try:
        loaded = load(text.replace("/data/", f"{machine}/data/"), {})
    except ConfigurationError as exc:
        return [str(mistake) for mistake in exc.mistakes], list(exc.warnings), ()
    if loaded.refused:
        return [str(mistake) for mistake in loaded.refused], list(loaded.warnings), loaded.not_implemented
    mistakes, concerns = said_by_a_start(loaded.config)
    return [str(mistake) for mistake in mistakes], [*loaded.warnings, *concerns], loaded.not_implemented


@pytest.mark.parametrize("name", GOOD)
def test_a_file_that_others_start_with_is_good(name: str, machine: Path) -> None:
    mistakes, warnings, later = said(name, machine)
    beginnings, wanted_later = GOOD[name]
    assert (mistakes, later) == ([], wanted_later)
    assert len(warnings) == len(beginnings), warnings
    assert all(warning.startswith(beginning) for warning, beginning in zip(warnings, beginnings, strict=True)), warnings


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_would_do_harm_is_refused_with_a_sentence(name: str, machine: Path) -> None:
    assert said(name, machine)[0] == [REFUSED[name]]


def test_every_file_has_its_verdict() -> None:
    assert {path.stem for path in WILD.glob("*.yml")} == {*GOOD, *REFUSED}
