"""HTTPS with certificates that an authority issues by ACME: which is shown to whom. Getting them is ``acme``'s."""

import ssl
from collections.abc import Callable
from pathlib import Path

from moorage.config.sections.http import LetsEncrypt
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of
from moorage.server.tls.acme_files import IssuedFiles
from moorage.server.tls.certificates import now, read_pair
from moorage.server.tls.client_hello import ACME, PeekedHandshake
from moorage.server.tls.tls_contexts import ServerTLS, Terms, Tries, make_context, stamps
from moorage.telemetry import get_log

_log = get_log("tls")


class IssuedTLS(ServerTLS):
    """A certificate for each host, read from the folder into which one process puts them."""

    def __init__(self, terms: Terms, settings: LetsEncrypt) -> None:
        """Prepare the folder, and read what is there.

        Raises:
            ConfigurationError: the folder cannot be used. A certificate that cannot be used will be issued anew.
        """
        self.settings = settings
        self.files = IssuedFiles(Path(settings.cachefile))
        try:
            self.files.prepare()
        except OSError as exc:
            message = f"{settings.cachefile} cannot be used as a folder: {reason_of(exc, settings.cachefile, 'write')}"
            raise ConfigurationError([Mistake("http.tls.letsencrypt.cachefile", message)]) from exc
        self._terms = terms
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._tries = {host: Tries() for host in settings.hosts}
        super().__init__(self._front())
        self.refresh()

    def refresh(self, *, at_once: bool = False) -> None:
        """Read the certificates that have changed. They are replaced as a whole, so there is nothing to wait for."""
        del at_once
        for host in self.settings.hosts:
            path = self.files.certificate(host)
            (stamp,) = stamps([path])
            tries = self._tries[host]
            if stamp is None or not tries.is_due(stamp):
                continue
            try:
                self._contexts[host] = self._of_host(path)
                tries.note(stamp)
            except ConfigurationError as exc:
                if tries.note(stamp, str(exc)):
                    _log.error("a certificate cannot be used", host=host, error=str(exc))

    def begin_issuing(self) -> Callable[[], None]:
        """Begin to get what is missing and to renew what is old, in a thread."""
        from moorage.server.tls.acme_renewal import Issuing  # noqa: PLC0415 - of all processes only this one needs it

        issuing = Issuing(self.settings, self.files)
        issuing.start()
        return issuing.stop

    def _of_host(self, path: Path) -> ssl.SSLContext:
        pair = read_pair("http.tls.letsencrypt", path, path)
        context = _loaded(make_context(self._terms), path)
        _log.info("certificate", host=path.name, valid_until=f"{pair.leaf.not_valid_after_utc:%Y-%m-%d %H:%M}")
        for warning in pair.warnings(now()):
            _log.warning(warning, certificate=str(path))
        return context

    def _front(self) -> ssl.SSLContext:
        front = make_context(self._terms)
        front.sslobject_class = PeekedHandshake
        front.sni_callback = self._choose
        return front

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        """Give a handshake the context of the host that it names; one that names none gets the first's."""
        host = (name or self.settings.hosts[0]).lower()
        if isinstance(connection, PeekedHandshake) and connection.is_check:
            context = self._for_check(host)
        else:
            context = self._contexts.get(host)
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        return None

    def _for_check(self, host: str) -> ssl.SSLContext | None:
        """Return the context for the authority's check; None if no check is going on. Source: RFC 8737 § 3."""
        if host not in self.settings.hosts:
            return None
        context = make_context(self._terms)
        context.set_alpn_protocols([ACME.decode()])
        try:
            return _loaded(context, self.files.check(host))
        except ConfigurationError:
            return None


def _loaded(context: ssl.SSLContext, path: Path) -> ssl.SSLContext:
    try:
        context.load_cert_chain(path)
    except (OSError, ValueError) as exc:
        raise ConfigurationError([Mistake("http.tls.letsencrypt", f"{path} cannot be used: {exc}")]) from exc
    return context
