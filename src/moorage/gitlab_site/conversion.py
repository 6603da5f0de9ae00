"""A site of the Linux package made a site of Moorage: its files, and all that was not understood."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moorage.atomic_writes import write_whole
from moorage.errors import ConfigurationError, Mistake
from moorage.gitlab_site.gitlab_rb import GitLabRb, NotUnderstood, read_gitlab_rb
from moorage.gitlab_site.linux_package import FrontEnd, KeyPair, PackageSite, package_site
from moorage.gitlab_site.package_settings import PackageSettings, UnknownSetting
from moorage.gitlab_site.signing_pair import pair_with_key_file, whole_pair
from moorage.gitlab_site.site_files import HEADER, SiteFile, site_files
from moorage.permissions import reason_of

FILE_LIMIT_BYTES = 4 << 20
SECRETS_NAME = "gitlab-secrets.json"
_HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]+")
_NEEDED = {
    re.compile(r"registry\[['\"](storage|database)['\"]\]|gitlab_rails\[['\"]registry_path['\"]\]"): (
        "is needed, as it says where the images are"
    ),
    re.compile(
        r"registry\[['\"](internal_key|internal_certificate|rootcertbundle)['\"]\]"
        r"|gitlab_rails\[['\"]registry_key_path['\"]\]"
    ): "is needed, as it says by which key tokens are signed",
}
"""Settings without which the site would be an empty one, or one that refuses the tokens of the other nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """All that was understood of a ``gitlab.rb``."""

    site: PackageSite
    not_understood: Sequence[NotUnderstood]
    unknown: Sequence[UnknownSetting]
    others: int
    """Number of settings about other parts of GitLab."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of the site, and what became of it."""

    path: Path
    change: str
    """``new``, ``changed`` or ``unchanged``."""


def convert(text: str, secrets: Mapping[str, str]) -> Conversion:
    """Read the text of a ``gitlab.rb``; *secrets* are those of :func:`read_secrets`.

    Raises:
        ConfigurationError: a setting has a value that cannot be used; with every mistake.
    """
    found: GitLabRb = read_gitlab_rb(text)
    settings = PackageSettings(found.assignments)
    site = package_site(settings, secrets)
    mistakes = [*settings.mistakes, *_addresses(site), *_needed(found.not_understood)]
    try:
        site = replace(site, pair=_pair(site))
    except ConfigurationError as exc:
        mistakes += [settings.located(mistake) for mistake in exc.mistakes]
    if mistakes:
        raise ConfigurationError(mistakes)
    return Conversion(
        site=site,
        not_understood=found.not_understood,
        unknown=list(settings.unknown()),
        others=settings.number_of_others(),
    )


def _pair(site: PackageSite) -> KeyPair:
    """The pair in the settings, or the key where they say that it is."""
    pair = site.pair
    if site.key_path and not pair.private and (pair.certificate or not site.certificate_path):
        pair = pair_with_key_file(pair, site.key_path)
    return whole_pair(pair)


def _addresses(site: PackageSite) -> list[Mistake]:
    """List what would not be an address in the files that are written."""
    fronts = {"external_url": site.site, "registry_external_url": site.registry}
    odd = [name for name, front in fronts.items() if isinstance(front, FrontEnd) and not _HOST.fullmatch(front.host)]
    if not _HOST.fullmatch(site.addr):
        odd.append("registry['registry_http_addr']")
    found = [Mistake(name, "has a character that no address has") for name in odd]
    if site.runs_registry and not site.token_realm:
        message = "is needed, such as 'https://gitlab.example.com': clients get their tokens there"
        found.append(Mistake("external_url", message))
    if site.key_path and not Path(site.key_path).is_absolute():
        found.append(Mistake("gitlab_rails['registry_key_path']", "must be a path that begins with a slash"))
    return found


def _needed(not_understood: Sequence[NotUnderstood]) -> list[Mistake]:
    """List the settings that are not understood, and without which the site would be another one."""
    return [
        Mistake(f"line {one.line}: {one.about}", f"{why}; write it without Ruby: {one.reason}")
        for one in not_understood
        for pattern, why in _NEEDED.items()
        if pattern.match(one.about)
    ]


def read_text(path: Path) -> str:
    """Read a file of the package.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(FILE_LIMIT_BYTES + 1)
    except OSError as exc:
        raise ConfigurationError([Mistake("", f"cannot read {path}: {reason_of(exc, path, 'read')}")]) from None
    if len(content) > FILE_LIMIT_BYTES:
        raise ConfigurationError([Mistake("", f"{path} is larger than {FILE_LIMIT_BYTES >> 20} MiB")])
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigurationError([Mistake("", f"{path} is not UTF-8 text")]) from None


def read_secrets(path: Path) -> Mapping[str, str]:
    """Read the registry's part of a ``gitlab-secrets.json``.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        found = json.loads(read_text(path))
    except ValueError:
        raise ConfigurationError([Mistake("", f"{path} is not JSON")]) from None
    part = found.get("registry") if isinstance(found, dict) else None
    return {name: value for name, value in part.items() if isinstance(value, str)} if isinstance(part, dict) else {}


def write_site(site: PackageSite, folder: Path) -> Sequence[WrittenFile]:
    """Write the files of a site into *folder*; what is there and the same is left alone.

    Raises:
        ConfigurationError: a file is there that was made by hand; nothing is written.
        OSError: the folder cannot be written.
    """
    found = planned_files(site, folder)
    if by_hand := [one.name for one in found if _is_by_hand(one, folder)]:
        message = "was not written by this command; move it away, or name another folder with --to"
        raise ConfigurationError([Mistake(str(folder / name), message) for name in by_hand])
    return [_write(one, folder) for one in found]


def planned_files(site: PackageSite, folder: Path) -> Sequence[SiteFile]:
    """Return the files that a site is to have in *folder*, with the secrets that are there already."""
    return list(site_files(site, folder.absolute(), kept=lambda name: _text_of(folder / name)))


def _is_by_hand(one: SiteFile, folder: Path) -> bool:
    header = HEADER.encode()
    return one.content.startswith(header) and not _text_of(folder / one.name, HEADER).startswith(HEADER)


def _write(one: SiteFile, folder: Path) -> WrittenFile:
    path, mode = folder / one.name, 0o600 if one.is_secret else 0o644
    is_elsewhere = Path(one.name).is_absolute()
    try:
        before: bytes | None = path.read_bytes()
    except FileNotFoundError:
        before = None
    # What is elsewhere may be another program's too, with an owner and a mode that it needs.
    if before == one.content and (is_elsewhere or path.stat().st_mode & 0o777 == mode):
        return WrittenFile(path, "unchanged")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, one.content, mode=mode)
    return WrittenFile(path, "new" if before is None else "changed")


def _text_of(path: Path, default: str = "") -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return default
