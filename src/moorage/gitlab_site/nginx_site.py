"""The sites of nginx: the registry's and the control plane's, by what people type and by what answers."""

from importlib.resources import files

from moorage.gitlab_site.linux_package import FrontEnd

_TEMPLATE = "nginx_site.conf"
_TLS = """
    ssl_certificate     {certificate};
    ssl_certificate_key {key};
    ssl_protocols       TLSv1.2 TLSv1.3;
    ssl_session_cache   shared:moorage:10m;
    ssl_session_timeout 1d;
    ssl_session_tickets off;
"""
_REDIRECT = """server {{
    listen 80;
    server_name {host};
    # 308 keeps the method, so that a push is not turned into a pull.
    return 308 {url}$request_uri;
}}

"""


def nginx_site(front: FrontEnd, upstream: str) -> str:
    """Write the site of one host, in front of *upstream*, such as ``http://127.0.0.1:5000``.

    Addresses must have been checked: they are put in as they are.
    """
    text = (files("moorage.gitlab_site") / _TEMPLATE).read_text(encoding="utf-8")
    values = {
        "REDIRECT": _REDIRECT.format(host=front.host, url=front.url) if front.redirects_http else "",
        "LISTEN": f"{front.listen_port} ssl http2" if front.has_tls else str(front.listen_port),
        "HOST": front.host,
        "TLS": _TLS.format(certificate=_quoted(front.certificate), key=_quoted(front.key)) if front.has_tls else "",
        "UPSTREAM": upstream,
        "SCHEME": front.scheme,
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _quoted(path: str) -> str:
    """A path in nginx's quotation marks, where it has a character that would end it."""
    if not set(path) & set(" ;{}\"'\\$\t\n"):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
