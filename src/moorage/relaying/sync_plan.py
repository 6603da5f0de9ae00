"""A file of what ``moorage sync`` copies: registries and how they are reached, and rules from where to where."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from moorage.client.credentials import PASSWORD, TOKEN, USERNAME, Credentials
from moorage.client.places import ImagePlace, found_place, host_of, read_place, registry_url
from moorage.client.tls import CertificatesUnusable, trusting
from moorage.copying.shared_work import read_byte_rate
from moorage.errors import ConfigurationError, Mistake, Refused
from moorage.oci.names import RepositoryName
from moorage.oci.tag_patterns import TagPattern
from moorage.relaying.blob_copies import RepositoryPair
from moorage.relaying.plan_reading import PlanSection, read_yaml
from moorage.relaying.platforms import WantedPlatform
from moorage.relaying.registry_access import RegistryAccess
from moorage.relaying.tag_choice import TagChoice
from moorage.relaying.versions import VersionRange

_WILD = "*?["
_SECRETS = ("password", "token")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRule:
    """One entry: from where, to where, and which tags."""

    path: str
    """Its place in the file, for what is said."""
    source: ImagePlace
    """Its repository may be a pattern."""
    target: ImagePlace
    """A repository; below it, if the source is a pattern."""
    choice: TagChoice
    platform: WantedPlatform | None
    with_referrers: bool
    overwrites: bool
    deletes: bool

    @property
    def is_pattern(self) -> bool:
        """True if the source is a pattern of repositories."""
        return any(char in self.source.repository for char in _WILD)

    def is_about(self, repository: RepositoryName) -> bool:
        """Return whether the rule copies a repository of the source."""
        return not self.is_pattern or fnmatchcase(repository.text, self.source.repository)

    def pair(self, repository: RepositoryName) -> RepositoryPair:
        """Return where a repository of the source goes that the rule is about.

        Raises:
            NameInvalid: it would go to what is no name of a repository.
        """
        if not self.is_pattern:
            return RepositoryPair(repository, RepositoryName.parse(self.target.repository))
        fixed = re.split(r"[*?\[]", self.source.repository, maxsplit=1)[0]
        below = repository.text[fixed.rfind("/") + 1 :]
        return RepositoryPair(repository, RepositoryName.parse(f"{self.target.repository}{below}"))


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """All that a file asks for."""

    rules: Sequence[SyncRule]
    registries: Mapping[str, RegistryAccess] = field(repr=False)
    """By their URLs."""


def read_plan(text: str, environ: Mapping[str, str], usual: Callable[[str], Callable[[str], Credentials]]) -> SyncPlan:
    """Read the file; *usual* gives the credentials for a registry by its URL, where the file says nothing of them.

    Raises:
        ConfigurationError: it has mistakes; all are named.
    """
    mistakes: list[Mistake] = []
    whole = PlanSection(read_yaml(text), "", mistakes)
    found = whole.section("registries").sections()
    settings = {_host_in(key): _Settings.read(section, environ) for key, section in found}
    rules = [_rule(section, settings) for section in whole.entries("sync")]
    whole.end()
    good = [rule for rule in rules if rule is not None]
    _see_that_none_deletes_what_another_copies(good, mistakes)
    if mistakes:
        raise ConfigurationError(mistakes)
    accesses = {}
    for place in (place for rule in good for place in (rule.source, rule.target)):
        said = settings.get(host_of(place.url)) or _Settings()
        accesses[place.url] = said.access(place.url, usual(place.url))
    return SyncPlan(good, accesses)


@dataclass(frozen=True, slots=True)
class _Settings:
    """Settings of a registry, as the file has them."""

    access_of: Callable[[str], RegistryAccess] | None = None
    credentials: Callable[[str], Credentials] | None = None
    is_plain: bool = False

    @classmethod
    def read(cls, section: PlanSection, environ: Mapping[str, str]) -> "_Settings":
        for key in _SECRETS:
            if section.has(key):
                section.wrong(key, f"secrets are not kept in this file; give {key}_env or {key}_file")
                section.text(key)
        context = None
        if ca := section.text("ca"):
            try:
                context = trusting(ca, "ca")
            except CertificatesUnusable as exc:
                section.wrong("ca", str(exc).removeprefix("ca "))
        jobs, rate = section.number("jobs"), section.parsed("rate_limit", read_byte_rate)
        is_plain = section.truth("plain_http", otherwise=False)
        credentials = _credentials(section, environ)
        section.end()
        return cls(
            lambda url: RegistryAccess(
                url=url, credentials=lambda _name: Credentials(), context=context, jobs=jobs, bytes_per_s=rate
            ),
            credentials,
            is_plain,
        )

    def access(self, url: str, usual: Callable[[str], Credentials]) -> RegistryAccess:
        made = self.access_of(url) if self.access_of else RegistryAccess(url=url, credentials=usual)
        return replace(made, credentials=self.credentials or usual)


def _credentials(section: PlanSection, environ: Mapping[str, str]) -> Callable[[str], Credentials] | None:
    username, auth_file = section.text("username"), section.text("auth_file")
    password, token = (_secret(section, key, environ) for key in _SECRETS)
    if username and not password:
        section.wrong("username", "a password is needed besides: password_env or password_file")
    if password and not username:
        section.wrong("", "a password is there without a username")
    if auth_file:
        return lambda name: Credentials.of(
            {**environ, "REGISTRY_AUTH_FILE": auth_file}, repository=name, is_elsewhere=True
        )
    if username or token:
        given = {USERNAME: username, PASSWORD: password, TOKEN: token}
        return lambda name: Credentials.of(given, repository=name)
    return None


def _secret(section: PlanSection, key: str, environ: Mapping[str, str]) -> str:
    variable, path = section.text(f"{key}_env"), section.text(f"{key}_file")
    if variable:
        if not environ.get(variable):
            section.wrong(f"{key}_env", f"the environment has no {variable}, or it is empty")
        return environ.get(variable, "")
    if not path:
        return ""
    try:
        found = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as exc:
        section.wrong(f"{key}_file", f"{path} cannot be read: {getattr(exc, 'strerror', None) or 'it is no text'}")
        return ""
    if not found:
        section.wrong(f"{key}_file", f"{path} is empty")
    return found


def _host_in(key: str) -> str:
    return host_of(found_place(ImagePlace(registry_url(key), "x")).url)


def _rule(section: PlanSection, settings: Mapping[str, _Settings]) -> SyncRule | None:
    source, target = (_place(section, key, settings) for key in ("source", "target"))
    choice = TagChoice(
        globs=section.texts("tags"),
        patterns=tuple(filter(None, (_pattern(section, text) for text in section.texts("regex")))),
        versions=section.parsed("semver", VersionRange.parse),
        excluded=section.texts("exclude"),
        latest=section.number("latest"),
    )
    platform = section.parsed("platform", WantedPlatform.parse)
    with_referrers = section.truth("referrers", otherwise=True)
    overwrites = section.truth("overwrite", otherwise=True)
    deletes = section.truth("delete", otherwise=False)
    section.end()
    if source is None or target is None:
        return None
    rule = SyncRule(
        path=section.path,
        source=source,
        target=target,
        choice=choice,
        platform=platform,
        with_referrers=with_referrers,
        overwrites=overwrites,
        deletes=deletes,
    )
    _see_that_it_leads_somewhere(rule, section)
    return rule


def _place(section: PlanSection, key: str, settings: Mapping[str, _Settings]) -> ImagePlace | None:
    text = section.text(key, is_needed=True)
    if not text:
        return None
    place = read_place(text)
    if not place.url:
        section.wrong(key, f"{text} names no registry; give HOST/REPO")
        return None
    if place.tag or place.digest:
        section.wrong(key, f"{text} names a tag; tags stand under tags, regex and semver")
    place = found_place(place)
    said = settings.get(host_of(place.url))
    return replace(place, url=f"http://{host_of(place.url)}") if said is not None and said.is_plain else place


def _pattern(section: PlanSection, text: str) -> TagPattern | None:
    try:
        return TagPattern.parse(text)
    except Refused as exc:
        section.wrong("regex", f"{text}: {exc}")
        return None


def _see_that_it_leads_somewhere(rule: SyncRule, section: PlanSection) -> None:
    names = [("target", rule.target.repository)]
    if rule.is_pattern:
        if rule.target.repository and not rule.target.repository.endswith("/"):
            section.wrong("target", "the source is a pattern, so end the target with / : repositories go below it")
        names = [("target", f"{rule.target.repository.rstrip('/')}/x".lstrip("/"))]
    else:
        names.append(("source", rule.source.repository))
    for key, name in names:
        try:
            (RepositoryName.parse if key == "target" else RepositoryName.parse_stored)(name)
        except Refused as exc:
            section.wrong(key, str(exc))


def _see_that_none_deletes_what_another_copies(rules: Sequence[SyncRule], mistakes: list[Mistake]) -> None:
    for rule in rules:
        for other in rules:
            is_one_registry = rule is not other and rule.target.url == other.target.url
            if rule.deletes and is_one_registry and _can_meet(rule, other):
                message = f"it would delete what {other.path} copies to the same place; give it another target"
                mistakes.append(Mistake(f"{rule.path}.delete", message))


def _can_meet(one: SyncRule, other: SyncRule) -> bool:
    first, second = one.target.repository, other.target.repository
    return (
        first == second
        or (one.is_pattern and second.startswith(first))
        or (other.is_pattern and first.startswith(second))
    )
