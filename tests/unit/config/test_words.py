"""Words that both registries document for a key: what passes the check can be used by what reads it."""

import re

import pytest

from moorage.config import Config, load
from moorage.errors import ConfigurationError
from moorage.sql.database_place import postgres_settings
from moorage.starting.foreseeing import open_files
from moorage.telemetry import configure, get_log
from moorage.web.access_log import AccessLog
from moorage.wiring.guards import guard
from moorage.wiring.log_settings import log_settings
from moorage.wiring.storage import storage_driver
from support.authority import Authority
from unit.config.reading import written

LEVELS = "error warn info debug trace"
WORDS = {
    "log.level": f"{LEVELS} INFO fatal panic warning",
    "loglevel": LEVELS,
    "log.formatter": "text json logstash JSON",
    "log.output": "stdout stderr discard",
    "log.accesslog.formatter": "text json",
    "http.net": "tcp unix tcp4",
    "http.tls.minimumtls": "tls1.0 tls1.1 tls1.2 tls1.3",
    "http.tls.clientauth": "request-client-cert require-any-client-cert verify-client-cert-if-given "
    "require-and-verify-client-cert",
    "http.debug.tls.minimumtls": "tls1.2 tls1.3",
    "storage.cache.blobdescriptor": "inmemory redis none",
    "storage.cache.layerinfo": "inmemory redis none",
    "validation.manifests.indexes.platforms": "all none list ALL",
    "database.sslmode": "disable allow prefer require verify-ca verify-full",
    "database.enabled": "true false prefer",
    "auth.token.signingalgorithms[]": "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA HS256",
}
NOT_TAKEN = {
    ("log.level", "fatal"),
    ("log.level", "panic"),
    ("log.level", "warning"),
    ("http.net", "tcp4"),
    ("http.tls.minimumtls", "tls1.0"),
    ("http.tls.minimumtls", "tls1.1"),
    ("http.tls.clientauth", "request-client-cert"),
    ("http.tls.clientauth", "require-any-client-cert"),
    ("auth.token.signingalgorithms[]", "HS256"),
}


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    made = authority.certify("registry.example.com")
    return {
        "/c.pem": str(made.certificate),
        "/k.pem": str(made.key),
        "/ca.pem": str(authority.certificate),
        "/b": str(made.certificate),
    }


def use(config: Config) -> None:
    """Make what a start makes before it listens."""
    settings = log_settings(config)
    configure(settings)
    get_log("words").info("a line")
    AccessLog(settings)
    open_files(config)
    guard(config)
    storage_driver(config)
    if config.database.host:
        postgres_settings(config.database)


@pytest.mark.parametrize(("path", "word"), [(path, word) for path, words in WORDS.items() for word in words.split()])
def test_a_word_that_is_taken_can_be_used(path: str, word: str, pems: dict[str, str]) -> None:
    text = re.sub("/(?:c|k|ca)[.]pem|(?<= )/b$", lambda found: pems[found[0]], written(path, word), flags=re.MULTILINE)
    needed = {"REGISTRY_REDIS_ADDR": "localhost:6379"} if path.startswith("storage.cache.") and word == "redis" else {}
    try:
        config = load(text, needed).config
    except ConfigurationError as exc:
        assert (path, word) in NOT_TAKEN, [str(mistake) for mistake in exc.mistakes]
        return
    assert (path, word) not in NOT_TAKEN
    use(config)
