"""Each value has to be right, for itself: CFL, CFH, CFS, CFD, CFX."""

import pytest

from moorage.config import load
from moorage.errors import ConfigurationError
from unit.config.reading import mistakes_of, read

FLAG = "true or false is needed"
WHOLE = "a whole number is needed"
TEXT = "text is needed"
LIST = "a list is needed"
MAPPING = "a mapping is needed"
WARN_THRESHOLD = "rate_limiter.limiters[0].action.warn_threshold"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("log: {level: loud}", {"log.level": "should be 'error', 'warn', 'info', 'debug' or 'trace'"}),
        ("loglevel: loud", {"loglevel": "should be 'error', 'warn', 'info', 'debug' or 'trace'"}),
        ("log: {formatter: xml}", {"log.formatter": "should be 'json', 'text' or 'logstash'"}),
        ("log: {output: /tmp/x}", {"log.output": "should be 'stdout', 'stderr' or 'discard'"}),
        ("log: {accesslog: {formatter: clf}}", {"log.accesslog.formatter": "should be 'json' or 'text'"}),
        ("log: {accesslog: {disabled: 1}}", {"log.accesslog.disabled": FLAG}),
        ("log: {fields: [a]}", {"log.fields": MAPPING}),
        ("http: hello", {"http": MAPPING}),
        ("http: [a]", {"http": MAPPING}),
        ("http: {net: udp}", {"http.net": "should be '', 'tcp' or 'unix'"}),
        ("http: {host: 'https://'}", {"http.host": "must be a URL, such as https://registry.example.com"}),
        ("http: {host: 'ftp://a'}", {"http.host": "must be a URL, such as https://registry.example.com"}),
        ('http: {host: "https://a\\r\\nX: y"}', {"http.host": "must be a URL, such as https://registry.example.com"}),
        ("http: {prefix: a/}", {"http.prefix": "must begin with a slash, such as /registry/"}),
        ("http: {secret: [a]}", {"http.secret": TEXT}),
        ("http: {relativeurls: 'true'}", {"http.relativeurls": FLAG}),
        ("http: {draintimeout: -1s}", {"http.draintimeout": "a duration of at least 0 is needed"}),
        ("http: {draintimeout: 1.5}", {"http.draintimeout": "a duration such as 30s, 1h30m or 500ms is needed"}),
        ("http: {draintimeout: yes}", {"http.draintimeout": "a duration such as 30s, 1h30m or 500ms is needed"}),
        (
            "http: {tls: {minimumtls: tls1.4}}",
            {"http.tls.minimumtls": "should be '', 'tls1.2' or 'tls1.3'"},
        ),
        ("http: {tls: {clientcas: /ca.pem}}", {"http.tls.clientcas": LIST}),
        ("http: {tls: {certificate: /c}}", {"http.tls.key": "is needed with http.tls.certificate"}),
        ("http: {tls: {key: /k}}", {"http.tls.certificate": "is needed with http.tls.key"}),
        (
            "http: {tls: {certificate: /c, key: /k, letsencrypt: {cachefile: /l, hosts: [a.example.com]}}}",
            {"http.tls.letsencrypt": "cannot specify both certificate and Let's Encrypt"},
        ),
        ("database: {enabled: maybe}", {"database.enabled": "true, false or prefer is needed"}),
        ("database: {enabled: 1}", {"database.enabled": "true, false or prefer is needed"}),
        ("database: {port: '5432'}", {"database.port": WHOLE}),
        ("database: {port: true}", {"database.port": WHOLE}),
        ("database: {port: 1.5}", {"database.port": WHOLE}),
        ("health: {http: [{}, {statuscode: ok}]}", {"health.http[1].statuscode": WHOLE}),
        ("health: {http: {uri: x}}", {"health.http": LIST}),
        ("notifications: {endpoints: [a]}", {"notifications.endpoints[0]": MAPPING}),
        ("middleware: {storage: {name: x}}", {"middleware.storage": LIST}),
        (
            "rate_limiter: {limiters: [{action: {warn_threshold: 2}}]}",
            {WARN_THRESHOLD: "should be less than or equal to 1"},
        ),
        ("rate_limiter: {limiters: [{action: {warn_threshold: true}}]}", {WARN_THRESHOLD: "a number is needed"}),
        (
            "rate_limiter: {limiters: [{action: {warn_threshold: .nan}}]}",
            {WARN_THRESHOLD: "should be less than or equal to 1"},
        ),
        (
            "validation: {manifests: {indexes: {platforms: some}}}",
            {"validation.manifests.indexes.platforms": "should be 'all', 'none' or 'list'"},
        ),
        ('http: {secret: "\\ud800"}', {"line 3": "not YAML: an escape that is no character"}),
        (
            'database: {sqlite: "/a\\0b"}',
            {"line 3": "not YAML: a null character, which no path, name or password can have"},
        ),
    ],
)
def test_a_value_that_is_not_right_is_refused(text: str, mistakes: dict[str, str]) -> None:
    assert mistakes_of(text) == mistakes


BOTH = "belongs to PostgreSQL and database.sqlite names another database; take one of the two out"
IN_MEMORY = "the path of a file is needed; every process opens it for itself, so it cannot be in memory"
BALANCED = "database: {enabled: true, host: db, dbname: r, loadbalancing: {enabled: true, hosts: [a]}}\n"
BALANCER = "\nredis: {loadbalancing: {enabled: true, addr: 'a:1'}}"
LOST = "is needed with database.enabled: {}, unless database.sqlite is set"
TRUE = "true is needed with database.loadbalancing.enabled"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("database: {enabled: true}", {f"database.{name}": LOST.format("true") for name in ("host", "dbname")}),
        ("database: {enabled: prefer, host: db}", {"database.dbname": LOST.format("prefer")}),
        ("database: {enabled: false, sqlite: m.db, host: db}", {}),
        ("database: {enabled: true, sqlite: m.db}", {}),
        ("database: {enabled: true, sqlite: m.db, pool: {maxopen: 5}, connecttimeout: 5s}", {}),
        (
            "database: {enabled: prefer, sqlite: m.db, host: db, sslmode: require, preparedstatements: true}",
            {"database.host": BOTH, "database.sslmode": BOTH, "database.preparedstatements": BOTH},
        ),
        ("database: {enabled: true, sqlite: ':memory:'}", {"database.sqlite": IN_MEMORY}),
        ("database: {enabled: true, sqlite: 'file:m.db?mode=memory'}", {"database.sqlite": IN_MEMORY}),
        (
            "database: {enabled: true, host: db, dbname: r, port: 65536}",
            {"database.port": "a port from 1 to 65535 is needed, or 0 for PostgreSQL's own"},
        ),
        (BALANCED, {"redis.loadbalancing.enabled": TRUE}),
        (BALANCED + "redis: {addr: 'a:1', loadbalancing: {addr: 'a:1'}}", {"redis.loadbalancing.enabled": TRUE}),
        (
            BALANCED + "redis: {addr: 'a:1', loadbalancing: {enabled: true}}",
            {"redis.loadbalancing.addr": "is needed with database.loadbalancing.enabled"},
        ),
        (BALANCED + BALANCER, {}),
        ("database: {enabled: false, loadbalancing: {enabled: true}}", {}),
        (
            "database: {enabled: true, sqlite: m.db, loadbalancing: {enabled: true}}" + BALANCER,
            {"database.loadbalancing.enabled": BOTH},
        ),
    ],
)
def test_a_database_is_named_once_and_whole(text: str, mistakes: dict[str, str]) -> None:
    assert mistakes_of(text) == mistakes


@pytest.mark.parametrize(
    ("redirect", "mistakes"),
    [
        ("true", {"storage.redirect": MAPPING}),
        ("{disable: 'true'}", {"storage.redirect.disable": FLAG}),
        (
            "{expirydelay: soon}",
            {"storage.redirect.expirydelay": "'soon' is no duration; write it as 30s, 1h30m or 500ms"},
        ),
        ("{exceptions: '^a$'}", {"storage.redirect.exceptions": LIST}),
        ("{exceptions: [5, ['a']]}", {"storage.redirect.exceptions[1]": TEXT}),
    ],
)
def test_redirect_is_checked(redirect: str, mistakes: dict[str, str]) -> None:
    assert mistakes_of(f"storage: {{inmemory: , redirect: {redirect}}}") == mistakes


@pytest.mark.parametrize("pattern", ["(", "[a", "a**", "(?=a)", "(?<!a)b", r"(a)\1", "\\"])
def test_patterns_are_those_of_re2(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    for text, path in (
        (f"validation: {{manifests: {{urls: {{deny: ['{pattern}']}}}}}}", "validation.manifests.urls.deny[0]"),
        (f"storage: {{inmemory: , redirect: {{exceptions: ['{pattern}']}}}}", "storage.redirect.exceptions[0]"),
    ):
        ((where, message),) = mistakes_of(text).items()
        assert where == path
        assert message.startswith("not a regular expression of RE2's syntax: ")
        assert "b'" not in message
    assert capfd.readouterr().err == ""  # RE2 itself would write to it.


@pytest.mark.parametrize("pattern", [r"^https?://([^/]+\.)*example\.com/", "(?i)a", r"\pL+", "(?P<name>a)", ""])
def test_patterns_of_re2_are_taken(pattern: str) -> None:
    loaded = read(f"validation: {{manifests: {{urls: {{allow: ['{pattern}']}}}}}}")
    assert loaded.config.validation.manifests.urls.allow == [pattern]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("{X-One: [a, b]}", {"X-One": ("a", "b")}),
        ("{X-One: a}", {"X-One": ("a",)}),
        ("{X-One: []}", {}),
        ("{X-One: }", {}),
        ("{X-One: [5, true]}", {"X-One": ("5", "true")}),
        ('{X-One: "a\\tb"}', {"X-One": ("a\tb",)}),
    ],
)
def test_headers_are_lists_of_values(headers: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert read(f"http: {{headers: {headers}}}").config.http.headers == expected


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ("[a]", "http.headers"),
        ("{X One: a}", "http.headers"),
        ("{'X-One:': a}", "http.headers"),
        ("{Ä: a}", "http.headers"),
        ("{'': a}", "http.headers"),
        ('{X-One: "a\\r\\nX-Two: b"}', "http.headers"),
        ('{X-One: ["a", "b\\x01"]}', "http.headers"),
        ("{X-One: [a, {b: c}]}", "http.headers.X-One[1]"),
        ("{X-One: {b: c}}", "http.headers.X-One[0]"),
        ("{X-One: [~]}", "http.headers.X-One[0]"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: str, path: str) -> None:
    assert list(mistakes_of(f"http: {{headers: {headers}}}")) == [path]


@pytest.mark.parametrize("addr", [":5000", "127.0.0.1:0", "[::1]:5000", "localhost:65535"])
def test_addresses_are_taken(addr: str) -> None:
    assert read(f"http: {{addr: '{addr}'}}").config.http.addr == addr
    assert read(f"http: {{addr: '127.0.0.1:5999', debug: {{addr: '{addr}'}}}}").config.http.debug.addr == addr


@pytest.mark.parametrize("addr", ["5000", "localhost", "localhost:", ":65536", ":http", ":٣", ":²", "", "[::1]", ":-1"])
def test_addresses_without_a_port_are_refused(addr: str) -> None:
    assert mistakes_of(f"http: {{addr: '{addr}'}}") == {
        "http.addr": f"{addr!r} is no address; write host:port, such as 127.0.0.1:5000"
    }


def test_the_address_of_the_debug_server_is_checked_too() -> None:
    assert list(mistakes_of("http: {debug: {addr: here}}")) == ["http.debug.addr"]


def test_a_socket_may_have_any_path() -> None:
    assert read("http: {net: unix, addr: /run/moorage.sock}").config.http.addr == "/run/moorage.sock"


@pytest.mark.parametrize("words", ["log: {level: INFO}", "log: {formatter: JSON, output: StdOut}", "loglevel: Info"])
def test_the_case_of_some_words_does_not_matter(words: str) -> None:
    assert read(words).config == read().config


def test_what_a_message_says_can_be_printed() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load('version: 0.1\nstorage: {"\\e[31m": {}}\nauth: {"\\e\\0": {}}', {})
    assert all(str(mistake).isprintable() for mistake in raised.value.mistakes)


@pytest.mark.parametrize("key", ["age", "interval"])
def test_a_purge_after_a_bare_number_is_refused_as_it_would_take_every_upload(key: str) -> None:
    purging = {"enabled": "true", "age": "168h", "interval": "24h", "dryrun": "false", key: "168"}
    text = ", ".join(f"{name}: {value}" for name, value in purging.items())
    with pytest.raises(ConfigurationError) as caught:
        load(f"version: 0.1\nstorage: {{inmemory: {{}}, maintenance: {{uploadpurging: {{{text}}}}}}}", {})
    assert [mistake.path for mistake in caught.value.mistakes] == [f"storage.maintenance.uploadpurging.{key}"]
