"""``http.tls``: each key does something or is refused with what would be right: CFH-008 to CFH-012, CFH-016."""

import pytest

from moorage.config.ciphers import OPENSSL_NAMES, TLS13_NAMES
from unit.config.reading import mistakes_of, read

ISSUED = "letsencrypt: {cachefile: /l, hosts: [a.example.com]}"
PAIR = "certificate: /c, key: /k"
HOST = "must be a host's full name, such as registry.example.com; no wildcard, port or address"


@pytest.mark.parametrize(
    ("tls", "mistakes"),
    [
        ("minimumtls: tls1.0", {"http.tls.minimumtls": "should be '', 'tls1.2' or 'tls1.3'"}),
        ("clientcas: [/ca]", {"http.tls.certificate": "is needed with http.tls.clientcas"}),
        (
            f"{PAIR}, clientauth: require-and-verify-client-cert",
            {"http.tls.clientcas": "is needed with http.tls.clientauth"},
        ),
        (
            f"{PAIR}, clientcas: [/ca], clientauth: require-any-client-cert",
            {
                "http.tls.clientauth": "require-any-client-cert takes any certificate unchecked, which proves nothing; "
                "take require-and-verify-client-cert"
            },
        ),
        (
            "ciphersuites: [ECDHE-RSA-AES128-GCM-SHA256]",
            {
                "http.tls.ciphersuites": "there is no cipher suite 'ECDHE-RSA-AES128-GCM-SHA256'; "
                "did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256?"
            },
        ),
        (
            "ciphersuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265]",
            {
                "http.tls.ciphersuites": "there is no cipher suite 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265'; "
                "did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256?"
            },
        ),
        (
            "ciphersuites: [strong]",
            {
                "http.tls.ciphersuites": "there is no cipher suite 'strong'; "
                "take Go's names, such as TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
            },
        ),
        (
            "ciphersuites: [TLS_AES_128_GCM_SHA256]",
            {
                "http.tls.ciphersuites": "names suites of TLS 1.3 only, which are always on; add some of TLS 1.2, "
                "or set minimumtls: tls1.3"
            },
        ),
        (
            "letsencrypt: {cachefile: /l}",
            {"http.tls.letsencrypt.hosts": "is needed with http.tls.letsencrypt.cachefile"},
        ),
        (
            "letsencrypt: {hosts: [a.example.com]}",
            {"http.tls.letsencrypt.cachefile": "is needed with http.tls.letsencrypt.hosts; it names a folder"},
        ),
        (
            "letsencrypt: {cachefile: /l, hosts: [a.example.com]}, clientcas: [/ca]",
            {
                "http.tls.clientauth": "the authority's check comes without a client certificate; "
                "take verify-client-cert-if-given, or a proxy"
            },
        ),
        (
            "letsencrypt: {cachefile: /l, hosts: [a.example.com], directoryurl: acme.example.com}",
            {"http.tls.letsencrypt.directoryurl": "must be a URL, such as https://registry.example.com"},
        ),
        *(
            (
                f"letsencrypt: {{cachefile: /l, hosts: [a.example.com, '{host}']}}",
                {"http.tls.letsencrypt.hosts[1]": f"{host!r} {HOST}"},
            )
            for host in (
                "*.example.com",
                "a.example.com:5000",
                "192.0.2.1",
                "localhost",
                "../a.example",
                "a..b",
                "[::1]",
            )
        ),
    ],
)
def test_what_cannot_be_kept_to_is_refused(tls: str, mistakes: dict[str, str]) -> None:
    assert mistakes_of(f"http: {{tls: {{{tls}}}}}") == mistakes


@pytest.mark.parametrize(
    "tls",
    [
        f"{PAIR}, clientcas: [/ca], clientauth: verify-client-cert-if-given",
        f"{PAIR}, ciphersuites: [{', '.join([*OPENSSL_NAMES, *TLS13_NAMES])}]",
        f"{PAIR}, minimumtls: tls1.3, ciphersuites: [TLS_AES_128_GCM_SHA256]",
        # Distribution's documentation gives both, and no folder for what is issued.
        f"{PAIR}, letsencrypt: {{email: a@example.com, hosts: [a.example.com]}}",
        f"{ISSUED}, clientcas: [/ca], clientauth: verify-client-cert-if-given",
    ],
)
def test_what_the_peers_take_is_taken(tls: str) -> None:
    assert mistakes_of(f"http: {{tls: {{{tls}}}}}") == {}


def test_names_of_hosts_are_compared_in_lower_case() -> None:
    loaded = read("http: {tls: {letsencrypt: {cachefile: /l, hosts: [Registry.Example.COM]}}}")
    assert loaded.config.http.tls.letsencrypt.hosts == ["registry.example.com"]


@pytest.mark.parametrize(
    ("debug", "mistakes"),
    [
        ("enabled: true", {"http.debug.tls.certificate": "is needed with http.debug.tls.enabled, here or in http.tls"}),
        ("enabled: true, key: /k", {"http.debug.tls.certificate": "is needed with http.debug.tls.key"}),
        ("enabled: true, certificate: /c, key: /k", {}),
        ("enabled: false, key: /k", {}),
    ],
)
def test_the_debug_server_needs_a_certificate_of_its_own_or_that_of_the_main_address(
    debug: str, mistakes: dict[str, str]
) -> None:
    assert mistakes_of(f"http: {{debug: {{addr: ':1', tls: {{{debug}}}}}}}") == mistakes
    assert mistakes_of(f"http: {{tls: {{{PAIR}}}, debug: {{addr: ':1', tls: {{enabled: true}}}}}}") == {}
