"""Writing of a site from a ``gitlab.rb``, with what a person has to be told about it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.config import load
from moorage.errors import ConfigurationError, Mistake
from moorage.gitlab_site.conversion import (
    SECRETS_NAME,
    Conversion,
    convert,
    planned_files,
    read_secrets,
    read_text,
    write_site,
)
from moorage.gitlab_site.site_files import (
    CONFIG,
    CONTROL,
    ENVIRONMENT,
    KEYS,
    NGINX,
    fronts,
    needs_keys,
    signs_tokens,
    unheard_endpoints,
)
from moorage.permissions import reason_of
from moorage.token_server.key_ring import KeyFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRequest:
    """The file to read and the folder to write."""

    file: Path
    folder: Path
    secrets: Path | None = None
    """None: ``gitlab-secrets.json`` beside the file, if it is there."""
    is_strict: bool = False
    """True: a line about the registry that is not understood stops it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReport:
    """The files of a site and what became of each, remarks on lines, and what comes next."""

    files: Mapping[str, str]
    remarks: Sequence[str]
    next_steps: Sequence[str]


def write_gitlab_site(request: SiteRequest) -> SiteReport:
    """Read the settings of a Linux package and write the site.

    Raises:
        ConfigurationError: a setting, a file or the folder cannot be used; nothing is half written.
    """
    text = read_text(request.file)
    found = convert(text, _secrets(request))
    remarks = list(_remarks(found, request.file.name))
    if request.is_strict and remarks:
        raise ConfigurationError([Mistake("", remark) for remark in remarks])
    try:
        said = _said_by(found, request.folder)
        written = write_site(found.site, request.folder)
        if needs_keys(found.site):
            KeyFolder(request.folder.absolute() / KEYS).prepare(time.time())
    except (OSError, ValueError) as exc:
        reason = reason_of(exc, request.folder, "write") if isinstance(exc, OSError) else str(exc)
        raise ConfigurationError([Mistake("--to", f"cannot write {request.folder}: {reason}")]) from None
    return SiteReport(
        files={str(one.path): one.change for one in written},
        remarks=[*remarks, *said],
        next_steps=list(_next_steps(found, request.folder)),
    )


def _secrets(request: SiteRequest) -> Mapping[str, str]:
    beside = request.file.with_name(SECRETS_NAME)
    path = request.secrets or (beside if beside.exists() else None)
    return read_secrets(path) if path else {}


def _remarks(found: Conversion, name: str) -> Iterator[str]:
    for odd in found.not_understood:
        yield f"{name}:{odd.line}: {odd.about or 'this line'} is not understood: {odd.reason}"
    for unknown in found.unknown:
        yield f"{name}:{unknown.line}: {unknown.name} has no place here and was left out"
    for endpoint in unheard_endpoints(found.site):
        yield (
            f"{name}: registry['notifications']: the Authorization of {endpoint} is not "
            "gitlab_rails['registry_notification_secret'], so that none of its events would be taken; write the same "
            "text in both"
        )


def _said_by(found: Conversion, folder: Path) -> Sequence[str]:
    """List what a start would say about the configuration, before there is any file of it.

    Raises:
        ConfigurationError: it could not be used; what is in the folder goes on serving.
    """
    [config] = [one for one in planned_files(found.site, folder) if one.name == CONFIG]
    loaded = load(config.content.decode(), {})
    unknown = [f"{CONFIG}: {path} is not known" for path in loaded.unknown]
    return [*(f"{CONFIG}: {warning}" for warning in loaded.warnings), *unknown]


def _next_steps(found: Conversion, folder: Path) -> Iterator[str]:
    site = found.site
    if not site.is_enabled:
        yield "the registry is off: set registry_external_url, or registry['enable'] = true; images are kept meanwhile"
    if site.runs_registry:
        variables = f"set -a; . {folder / ENVIRONMENT}; " if site.env else ""
        yield f"{variables}moorage config check {folder / CONFIG}, then moorage serve {folder / CONFIG}"
    if signs_tokens(site):
        yield f"moorage control check {folder / CONTROL}, then moorage control serve {folder / CONTROL}"
    else:
        yield "tokens come from another node, as the key of its certificate is not here: no control.yml is written"
    if fronts(site):
        yield f"include {folder / NGINX} from nginx's http block, then nginx -t and a reload"
