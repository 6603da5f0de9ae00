"""Who takes part in a comparison: Moorage on each store, and every other registry that is named or found."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from peers import (
    Distribution,
    GitLabRegistry,
    GitLabRegistryOnPostgres,
    NginxFiles,
    QuietOnLayout,
    QuietOnPostgres,
    QuietOnSqlite,
    Zot,
    go_version,
)
from postgres import Postgres
from subjects import Subject


@dataclass(frozen=True, slots=True)
class Kind:
    """A registry that may be there: how it is found, and how it is had where it is not."""

    programs: Sequence[str]
    """Names that it goes by on PATH."""
    how: str
    module: str = ""
    """What it has to be built from, where others have the same name."""


KINDS: Mapping[str, Kind] = {
    "docker-registry": Kind(["docker-registry"], "apt-get install docker-registry"),
    "distribution3": Kind(
        ["distribution3", "registry"],
        "go install github.com/distribution/distribution/v3/cmd/registry@latest",
        module="v3.",
    ),
    "gitlab": Kind(
        ["gitlab-registry"], "go build ./cmd/registry in a checkout of gitlab.com/gitlab-org/container-registry"
    ),
    "zot": Kind(["zot", "zot-minimal"], "go install zotregistry.dev/zot/v2/cmd/zot@latest"),
    "nginx": Kind(["nginx"], "apt-get install nginx-light"),
}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server of the comparison, and the name that it has in tables and pictures."""

    title: str
    subject: Subject
    is_ours: bool = False
    is_floor: bool = False
    """It serves files and is no registry."""


def found(named: Mapping[str, str]) -> dict[str, str]:
    """The program of each kind that is there: the *named* one, else one on PATH."""
    programs = {}
    for key, kind in KINDS.items():
        on_path = filter(None, (shutil.which(program) for program in kind.programs))
        fitting = (program for program in on_path if go_version(program).startswith(kind.module))
        program = named.get(key) or next(fitting, None)
        if program:
            programs[key] = program
    return programs


def ours(workers: int, server: Postgres) -> list[Contestant]:
    """Moorage on each store."""
    subjects = [QuietOnSqlite(workers), QuietOnPostgres(workers, server), QuietOnLayout(workers)]
    titles = ["Moorage, SQLite", "Moorage, PostgreSQL", "Moorage, link files"]
    return [Contestant(title, subject, is_ours=True) for title, subject in zip(titles, subjects, strict=True)]


def others(programs: Mapping[str, str], server: Postgres) -> list[Contestant]:
    """The other registries of *programs*, and nginx last."""
    made = []
    for key, program in programs.items():
        made += _MAKERS[key](program, server)
    return made


def _distribution(key: str, program: str) -> Contestant:
    subject = Distribution(key, program)
    return Contestant(f"Distribution {subject.version.lstrip('v').partition('+')[0]}", subject)


def _gitlab(program: str, server: Postgres) -> list[Contestant]:
    return [
        Contestant("GitLab's, link files", GitLabRegistry("gitlab", program)),
        Contestant("GitLab's, PostgreSQL", GitLabRegistryOnPostgres("gitlabdb", program, server)),
    ]


def _zot(program: str) -> Contestant:
    subject = Zot("zot", program)
    return Contestant(f"zot {subject.version.lstrip('v')}".strip(), subject)


_MAKERS: Mapping[str, Callable[[str, Postgres], list[Contestant]]] = {
    "docker-registry": lambda program, _: [_distribution("docker-registry", program)],
    "distribution3": lambda program, _: [_distribution("distribution3", program)],
    "gitlab": _gitlab,
    "zot": lambda program, _: [_zot(program)],
    "nginx": lambda program, _: [Contestant("nginx, files", NginxFiles("nginx", program), is_floor=True)],
}
