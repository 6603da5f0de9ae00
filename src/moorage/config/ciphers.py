"""Cipher suites by the names that Go's registries take, and what OpenSSL calls them."""

from moorage.config.shown_names import nearest

OPENSSL_NAMES = {
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA": "ECDHE-RSA-DES-CBC3-SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
}
"""Those of TLS 1.2. Source: ``cipherSuites`` in both registries' registry.go."""

TLS13_NAMES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
"""May stand in a list and have no effect: Go does not let them be chosen, and neither do we."""

DEFAULT_NAMES = tuple(OPENSSL_NAMES)[:6]
"""Ciphers if none is named, as in both registries: forward secrecy, and authenticated encryption."""


def check_suites(names: list[str]) -> list[str]:
    """*names*, if each of them is a suite's.

    Raises:
        ValueError: one is not; with the nearest that there is.
    """
    known = [*OPENSSL_NAMES, *TLS13_NAMES]
    for name in names:
        if name not in known:
            near = nearest(name.upper(), known, likeness=0.5)
            hint = f"; did you mean {near}?" if near else f"; take Go's names, such as {DEFAULT_NAMES[0]}"
            msg = f"there is no cipher suite {name[:60]!r}{hint}"
            raise ValueError(msg)
    return names
