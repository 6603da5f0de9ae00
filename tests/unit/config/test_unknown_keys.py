"""Keys that nobody knows are ignored with a warning that says where they may belong: CFP-003."""

import pytest

from unit.config.reading import mistakes_of, read


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("htpp: {addr: ':1'}", "htpp: unknown key, ignored; did you mean http?"),
        ("http: {adr: ':1'}", "http.adr: unknown key, ignored; did you mean http.addr?"),
        ("http: {relativeURLs: true}", "http.relativeURLs: unknown key, ignored; did you mean http.relativeurls?"),
        (
            "http: {tls: {minimumTLS: tls1.3}}",
            "http.tls.minimumTLS: unknown key, ignored; did you mean http.tls.minimumtls?",
        ),
        (
            "health: {tcp: [{addr: 'a:1'}, {addr: 'b:1', address: a}]}",
            "health.tcp[1].address: unknown key, ignored; did you mean health.tcp[1].addr?",
        ),
        (
            "storage: {filesystem: {rootdir: /a}}",
            "storage.filesystem.rootdir: unknown key, ignored; did you mean storage.filesystem.rootdirectory?",
        ),
        (
            "storage: {inmemory: , delete: {enable: true}}",
            "storage.delete.enable: unknown key, ignored; did you mean storage.delete.enabled?",
        ),
        ("addr: ':1'", "addr: unknown key, ignored; did you mean http.addr?"),
        ("rootdirectory: /a", "rootdirectory: unknown key, ignored; did you mean storage.filesystem.rootdirectory?"),
        (
            "uploadpurging: {enabled: false}",
            "uploadpurging: unknown key, ignored; did you mean storage.maintenance.uploadpurging?",
        ),
        ("http: {readonly: {}}", "http.readonly: unknown key, ignored; did you mean storage.maintenance.readonly?"),
        ("Addr: ':1'", "Addr: unknown key, ignored; did you mean http.addr?"),
        ("enabled: true", "enabled: unknown key, ignored"),
        ("migration: {enabled: true}", "migration: unknown key, ignored"),
        ("5: 6", "5: unknown key, ignored"),
        ("yes: 6", "yes: unknown key, ignored"),
        ("'': 6", ": unknown key, ignored"),
        ('"a\\nb\\e": 1', "a\\nb\\x1b: unknown key, ignored"),
        (f"{'x' * 500}: 1", f"{'x' * 60}…: unknown key, ignored"),
    ],
)
def test_an_unknown_key_is_a_warning_with_the_nearest_known_one(text: str, warning: str) -> None:
    loaded = read(text)
    assert loaded.warnings == (warning,)
    assert loaded.unknown == (warning.partition(": unknown")[0],)


def test_an_unknown_key_changes_nothing() -> None:
    assert read("htpp: {addr: ':1'}").config == read().config


def test_all_unknown_keys_are_named() -> None:
    loaded = read("a: 1\nhttp: {b: 1, tls: {c: 1}}\nlog: {fields: {d: 1}}")
    assert loaded.unknown == ("a", "http.b", "http.tls.c")


@pytest.mark.parametrize(
    "section",
    [
        "log",
        "http",
        "validation",
        "database",
        "redis",
        "gc",
        "health",
        "notifications",
        "rate_limiter",
        "middleware",
        "reporting",
        "profiling",
        "policy",
        "proxy",
        "catalog",
        "tags",
        "compatibility",
        "loglevel",
        "auth",
    ],
)
def test_an_empty_section_has_its_defaults(section: str) -> None:
    loaded = read(f"{section}:")
    assert loaded.config == read().config
    assert (loaded.warnings, loaded.not_implemented) == ((), ())


@pytest.mark.parametrize(
    "path", ["http: {tls: }", "http: {addr: }", "log: {level: ~}", "health: {http: }", "database: {pool: }"]
)
def test_an_empty_key_has_its_default(path: str) -> None:
    assert read(path).config == read().config


_READONLY_KEY = "storage.maintenance.readOnly"


@pytest.mark.parametrize(
    ("lines", "where", "meant"),
    [
        ("Auth: {htpasswd: {realm: r, path: /p}}", "Auth", "auth"),
        ("http: {auth: {htpasswd: {realm: r, path: /p}}}", "http.auth", "auth"),
        ("HTTP: {TLS: {certificate: /c, key: /k}}", "HTTP", "http.tls"),
        ("tls: {certificate: /c, key: /k}", "tls", "http.tls"),
        ("http: {tls: {certificate: /c, key: /k, clientCAs: [/a]}}", "http.tls.clientCAs", "http.tls.clientcas"),
        ("maintenance: {readonly: {enabled: true}}", "maintenance", "storage.maintenance.readonly"),
        ("http: {readonly: true}", "http.readonly", "storage.maintenance.readonly"),
        (
            "storage: {inmemory: {}, maintenance: {readOnly: {enabled: true}}}",
            _READONLY_KEY,
            "storage.maintenance.readonly",
        ),
    ],
)
def test_a_key_that_keeps_somebody_out_is_not_ignored_where_it_does_not_belong(
    lines: str, where: str, meant: str
) -> None:
    """With a warning alone the registry was open, and went on with what it was told to keep."""
    message = f"unknown key; did you mean {meant}? To ignore it would leave open what it protects"
    assert mistakes_of(lines)[where] == message


@pytest.mark.parametrize(
    "lines",
    [
        "Auth: none",
        "http: {readonly: {enabled: false}}",
        "maintenance: {uploadpurging: {enabled: false}}",
        "x-auth: {htpasswd: {realm: r, path: /p}}",
        "auth: {silly: {realm: r, service: s}}\nhttp: {auth: {htpasswd: {realm: r, path: /p}}}",
        "tls: {}",
    ],
)
def test_a_key_that_keeps_nobody_out_is_named_and_ignored(lines: str) -> None:
    assert "unknown key, ignored" in " ".join(read(lines).warnings)
