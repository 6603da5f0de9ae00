"""``control.yml``: the control plane's configuration, with GitLab's keys for the registry and ours.

Everything wrong with it is said at once, each with its path. Paths in it are relative to its folder.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from moorage.auth.addresses import is_localhost
from moorage.config.documents import NotYAML, plain, read_document
from moorage.config.environment import Overrides
from moorage.config.messages import mistakes_of
from moorage.config.near_keys import near_key
from moorage.config.schema import tree_of
from moorage.config.section import DriverCount, DriverWhole, Flag, Required, Secret, Section, Text, Whole, now
from moorage.config.sections.http import LetsEncrypt
from moorage.control.configured_ldap import LDAPKeys, checked_ldap, settled_ldap
from moorage.control.configured_sign_in import SignInKeys, checked_sign_in, settled_sign_in
from moorage.control.configured_values import ControlSection, http_url, is_host, secret_of
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of

VARIABLE_PREFIX = "MOORAGE_CONTROL_"
"""Of variables that override the file: ``MOORAGE_CONTROL_REGISTRY_APIURL``."""
FILE_LIMIT_BYTES = 1 << 20
SECRET_LENGTH_LEAST = 32


class ControlLetsEncrypt(ControlSection, LetsEncrypt):
    """``http.tls.letsencrypt``: as in the registry's configuration; both may have one folder."""


class ControlTLS(ControlSection):
    """``http.tls``: HTTPS of the control plane."""

    certificate: Text = now("", "PEM file of the certificate and its chain. Read on change.")
    key: Text = now("", "PEM file of its key. Read on change.")
    letsencrypt: ControlLetsEncrypt = now(
        ControlLetsEncrypt, "Certificates from Let's Encrypt, or another authority with ACME."
    )

    @property
    def is_on(self) -> bool:
        """True if HTTPS is served."""
        return bool(self.certificate or self.letsencrypt.cachefile)


class ControlHTTP(ControlSection):
    """``http``: where the control plane is reached."""

    addr: Required = now("127.0.0.1:8080", "Where to listen.")
    host: Text = now(
        "", "URL that people and clients use, such as `https://control.example.com`; empty: by each request."
    )
    tls: ControlTLS = now(ControlTLS, "HTTPS; else a proxy in front has to speak it.")
    redirect: Text = now("", "Address, such as `:80`, where plain HTTP is sent on to `host`; empty: none.")
    trustedproxies: list[str] = now([], "Addresses and networks of proxies whose `X-Forwarded-For` is believed.")
    threads: Annotated[Whole, Field(ge=1, le=64)] = now(8, "Requests that one process answers at once.")
    workers: Annotated[Whole, Field(ge=1, le=64)] = now(1, "Processes.")

    @property
    def origin(self) -> str:
        """Scheme and host of ``host``, as browsers say where a form is from; empty if it is not known."""
        scheme, _, rest = self.host.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}".lower() if rest else ""


class ControlDatabase(ControlSection):
    """``database``: SQLite in one file, or PostgreSQL for several nodes."""

    sqlite: Text = now("control.db", "File of SQLite, where no `host` is given.")
    host: Text = now("", "PostgreSQL's host, or the folder of its socket.")
    port: Annotated[DriverCount, Field(lt=1 << 16)] = now(0, "PostgreSQL's port; 0: its own.")
    dbname: Text = now("", "Name of the database.")
    user: Text = now("", "Who connects.")
    password: Secret = now("", "The password.")
    passwordfile: Text = now("", "File that has the password.")
    sslmode: Literal["", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = now(
        "", "PostgreSQL's word for how much TLS is asked for."
    )
    sslrootcert: Text = now("", "PEM file of the authorities that are trusted.")


class RegistryKeys(ControlSection):
    """``registry``: the registry that these accounts are for, by GitLab's keys."""

    enabled: Flag = now(False, "False hides the feature and keeps every image.")
    host: Text = now("example.com", "The registry's host as people type it.")
    port: Annotated[DriverWhole, Field(ge=1, lt=1 << 16)] | None = now(None, "Its port; 80 and 443 are not shown.")
    api_url: Text = now("http://localhost:5000/", "Where the control plane reaches the registry.")
    key: Text = now("", "PEM file of the private key that signs tokens, or a folder as `moorage token` keeps one.")
    path: Text = now("shared/registry", "GitLab's folder of images; it is not used.")
    issuer: Required = now("gitlab-issuer", "Name in tokens; the registry's `auth.token.issuer`.")
    notification_secret: Secret = now("", "What the registry's events have as `Authorization`.")
    notification_secretfile: Text = now("", "File that has it.")

    @property
    def host_port(self) -> str:
        """The registry's address as people type it."""
        return self.host if self.port in (None, 80, 443) else f"{self.host}:{self.port}"


class ProjectFeatures(ControlSection):
    """``gitlab.default_projects_features``: what new projects have."""

    container_registry: Flag = now(True, "True: new projects have a registry.")
    issues: Flag = now(True, "GitLab's; it is not used.")
    merge_requests: Flag = now(True, "GitLab's; it is not used.")
    wiki: Flag = now(True, "GitLab's; it is not used.")
    snippets: Flag = now(False, "GitLab's; it is not used.")
    builds: Flag = now(True, "GitLab's; it is not used.")


class GitLabKeys(ControlSection):
    """``gitlab``: keys that a GitLab's file has."""

    default_projects_features: ProjectFeatures = now(ProjectFeatures, "What new projects have.")


class ControlConfiguration(ControlSection):
    """The whole of ``control.yml``."""

    http: ControlHTTP = now(ControlHTTP, "Where the control plane is reached.")
    database: ControlDatabase = now(ControlDatabase, "Where accounts and projects are kept.")
    secret: Secret = now("", "At least 32 random characters, the same on every node: sessions are signed with it.")
    secretfile: Text = now("", "File that has them.")
    registry: RegistryKeys = now(RegistryKeys, "The registry.")
    gitlab: GitLabKeys = now(GitLabKeys, "Keys of GitLab's own.")
    sign_in: SignInKeys = now(SignInKeys, "How people sign in.")
    ldap: LDAPKeys = now(LDAPKeys, "Directories whose people sign in.")
    log: Literal["json", "text"] = now("json", "How log lines look.")
    accesslog: Flag = now(True, "A line for each request, as the registry writes it.")

    def has_https(self) -> bool:
        """Return whether people reach it by HTTPS, so that cookies must not go without."""
        return self.http.host.startswith("https://") or self.http.tls.is_on


@dataclass(frozen=True, slots=True)
class LoadedControl:
    """A configuration that can be used, and what should be said about it."""

    configuration: ControlConfiguration
    folder: Path
    """Folder of the file; paths are already below it."""
    warnings: tuple[str, ...] = ()


def read_control(path: Path, environ: Mapping[str, str]) -> LoadedControl:
    """Read the file, with ``MOORAGE_CONTROL_*`` variables over it.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(FILE_LIMIT_BYTES).decode("utf-8-sig")
    except OSError as exc:
        raise ConfigurationError([Mistake("", f"cannot read {path}: {reason_of(exc, path, 'read')}")]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([Mistake("", f"{path} is not UTF-8 text")]) from None
    return load_control(text, environ, folder=path.absolute().parent)


def load_control(text: str, environ: Mapping[str, str], *, folder: Path) -> LoadedControl:
    """Read the text of a ``control.yml`` that is in *folder*.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
    """
    try:
        given = read_document(text)
    except NotYAML as exc:
        raise ConfigurationError([Mistake(f"line {exc.line}" if exc.line else "", f"not YAML: {exc}")]) from None
    if given is not None and not isinstance(given, dict):
        message = "the file must be a mapping of keys, such as registry: {enabled: true}"
        raise ConfigurationError([Mistake("", message)])
    schema = tree_of(ControlConfiguration)
    overrides = Overrides(schema, prefix=VARIABLE_PREFIX)
    data = overrides.apply({str(key): value for key, value in (given or {}).items()}, environ)
    mistakes = list(overrides.mistakes)
    try:
        found = ControlConfiguration.model_validate(_without_empty(plain(data)))
    except ValidationError as exc:
        mistakes += mistakes_of(exc, "", hint=partial(near_key, schema))
        raise ConfigurationError([overrides.named(one) for one in mistakes], overrides.warnings) from None
    found, more = _settled(found, folder)
    mistakes += [*more, *_checked(found)]
    if mistakes:
        raise ConfigurationError([overrides.named(one) for one in mistakes], overrides.warnings)
    return LoadedControl(found, folder, (*overrides.warnings, *_concerns(found)))


def _without_empty(value: object) -> object:
    """*value* without the keys that are given empty: those have their defaults."""
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item is not None}
    return value


def _settled(found: ControlConfiguration, folder: Path) -> tuple[ControlConfiguration, list[Mistake]]:
    """The configuration with whole paths, and with secrets in place of the files that have them."""
    mistakes: list[Mistake] = []

    def secret(path: str, given: str, file: str) -> str:
        value, mistake = secret_of(path, given, file, folder=folder)
        mistakes.extend(mistake)
        return value

    database, registry, tls = found.database, found.registry, found.http.tls
    changes: dict[str, Any] = {
        "secret": secret("secret", found.secret, found.secretfile),
        "database": database.model_copy(
            update={
                "password": secret("database.password", database.password, database.passwordfile),
                **_below(folder, database, ["sqlite", "sslrootcert"]),
            }
        ),
        "registry": registry.model_copy(
            update={
                "notification_secret": secret(
                    "registry.notification_secret", registry.notification_secret, registry.notification_secretfile
                ),
                **_below(folder, registry, ["key"]),
            }
        ),
        "sign_in": settled_sign_in(found.sign_in, secret),
        "ldap": settled_ldap(found.ldap, secret, folder),
        "http": found.http.model_copy(
            update={
                "tls": tls.model_copy(
                    update={
                        **_below(folder, tls, ["certificate", "key"]),
                        "letsencrypt": tls.letsencrypt.model_copy(
                            update=_below(folder, tls.letsencrypt, ["cachefile"])
                        ),
                    }
                )
            }
        ),
    }
    return found.model_copy(update=changes), mistakes


def _below(folder: Path, section: Section, names: Sequence[str]) -> dict[str, str]:
    return {name: str(folder / value) for name in names if (value := getattr(section, name))}


def _checked(found: ControlConfiguration) -> Iterator[Mistake]:
    """Find what one key alone does not show."""
    if len(found.secret) < SECRET_LENGTH_LEAST:
        yield Mistake("secret", f"{SECRET_LENGTH_LEAST} random characters or more are needed, or secretfile")
    for check in (_checked_http, _checked_database, _checked_registry):
        yield from check(found)
    yield from checked_sign_in(found.sign_in)
    yield from checked_ldap(found.ldap)


def _checked_http(found: ControlConfiguration) -> Iterator[Mistake]:
    tls = found.http.tls
    if bool(tls.certificate) != bool(tls.key):
        missing, other = ("key", "certificate") if tls.certificate else ("certificate", "key")
        yield Mistake(f"http.tls.{missing}", f"is needed with http.tls.{other}")
    if tls.certificate and tls.letsencrypt.cachefile:
        yield Mistake("http.tls.letsencrypt", "a certificate is named, too; take one of them")
    if bool(tls.letsencrypt.cachefile) != bool(tls.letsencrypt.hosts):
        missing, other = ("hosts", "cachefile") if tls.letsencrypt.cachefile else ("cachefile", "hosts")
        yield Mistake(f"http.tls.letsencrypt.{missing}", f"is needed with http.tls.letsencrypt.{other}")
    if found.http.redirect and not found.http.host.startswith("https://"):
        yield Mistake("http.redirect", "needs http.host with https://, as that is where it sends people")
    if found.http.host:
        yield from http_url("http.host", found.http.host)


def _checked_database(found: ControlConfiguration) -> Iterator[Mistake]:
    database = found.database
    if database.host and not database.dbname:
        yield Mistake("database.dbname", "is needed with database.host")
    given: Callable[[str], bool] = lambda name: bool(getattr(database, name))  # noqa: E731 - one question
    for name in ("port", "dbname", "user", "password", "sslmode", "sslrootcert"):
        if not database.host and given(name):
            yield Mistake(f"database.{name}", "belongs to PostgreSQL; database.host is needed with it")


def _checked_registry(found: ControlConfiguration) -> Iterator[Mistake]:
    registry = found.registry
    if not registry.enabled:
        return
    yield from http_url("registry.api_url", registry.api_url)
    if not registry.key:
        yield Mistake("registry.key", "is needed with registry.enabled: tokens are signed with it")
    elif not Path(registry.key).exists():
        yield Mistake("registry.key", f"{registry.key} is not there")
    if not is_host(registry.host):
        yield Mistake("registry.host", "a host without scheme, port and path is needed, such as registry.example.com")


def _concerns(found: ControlConfiguration) -> Iterator[str]:
    """Say what can be used, and does not help everybody."""
    registry, own = found.registry, urlsplit(found.http.host).hostname
    if registry.enabled and own == "localhost" and registry.host != own and is_localhost(registry.host.strip("[]")):
        yield (
            f"registry.host: it is {registry.host}, and http.host has localhost: new clients such as oras do not "
            "log in to one name with a token of another; write localhost, and call the registry so"
        )
