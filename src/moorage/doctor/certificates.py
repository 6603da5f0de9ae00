"""The certificate that this node itself shows: its time, its names, its chain."""

import urllib.parse
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509

from moorage.config import Config
from moorage.doctor.clocks import Now
from moorage.doctor.diagnosis import Report

CHECK = "certificate"
SOON = timedelta(days=14)
"""Whoever renews by itself has done so by then."""


def check_certificate(config: Config, report: Report, now: Now) -> None:
    """Look at ``http.tls.certificate``; that its key fits, the check of the configuration has found."""
    tls = config.http.tls
    if not tls.certificate:
        said = "http.tls.letsencrypt: it renews its own" if tls.is_on else "http.tls is off: plain HTTP is served"
        report.skip(CHECK, said)
        return
    chain = x509.load_pem_x509_certificates(Path(tls.certificate).read_bytes())
    if not chain:
        report.fail(CHECK, f"{tls.certificate} holds no certificate")
        return
    ends = min(found.not_valid_after_utc for found in chain)
    begins = max(found.not_valid_before_utc for found in chain)
    if (said := said_of_time(begins, ends, now())) or (said := _said_of_names(config, chain[0])):
        report.fail(CHECK, f"{tls.certificate}: {said}", "renew it; a changed file is read without a restart")
    elif said := _said_of_chain(chain):
        report.warn(CHECK, f"{tls.certificate}: {said}", "append the authority's intermediate certificates in order")
    elif ends - now() < SOON:
        report.warn(CHECK, f"{tls.certificate} ends on {ends:%Y-%m-%d}", "renew it; a changed file is read")
    else:
        report.good(CHECK, f"it is good until {ends:%Y-%m-%d}")


def said_of_time(begins: datetime, ends: datetime, now: datetime) -> str:
    """Say why a certificate is not good at this time; empty if it is."""
    if ends <= now:
        return f"it has expired on {ends:%Y-%m-%d %H:%M} UTC"
    return f"it is not valid before {begins:%Y-%m-%d %H:%M} UTC" if begins > now else ""


def _said_of_names(config: Config, leaf: x509.Certificate) -> str:
    host = urllib.parse.urlsplit(config.http.host).hostname
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "it has no names (subjectAltName), so no client takes it"
    names = found.get_values_for_type(x509.DNSName)
    addresses = list(map(str, found.get_values_for_type(x509.IPAddress)))
    if not host or config.http.host.startswith("http:") or host in addresses or any(_fits(host, n) for n in names):
        return ""
    return f"it is for {', '.join([*names, *addresses][:5])} and not for {host}, which http.host names"


def _fits(host: str, name: str) -> bool:
    if name.startswith("*."):
        return host.partition(".")[2].lower() == name[2:].lower()
    return host.lower() == name.lower()


def _said_of_chain(chain: Sequence[x509.Certificate]) -> str:
    for lower, upper in pairwise(chain):
        if lower.issuer != upper.subject:
            return f"its chain is broken: {upper.subject.rfc4514_string()} did not issue what stands before it"
    leaf = chain[0]
    if len(chain) == 1 and leaf.issuer != leaf.subject:
        name = leaf.issuer.rfc4514_string()
        return f"it stands alone: clients that do not know {name} by themselves do not trust it"
    return ""
