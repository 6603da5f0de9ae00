"""Answers about the registry's own state: its parts, its last check, and work that goes on beside requests."""

from dataclasses import dataclass
from typing import Annotated, Literal

from moorage.api.marks import Said, Shown

PartState = Literal["good", "look", "broken", "off"]
CheckState = Literal["none", "unfinished", "ended"]
AdoptionWord = Literal["none", "taking", "waiting", "ending", "ended"]
MigrationWord = Literal["paused", "active", "finished", "failed", "running"]


@dataclass(kw_only=True, eq=False, repr=False)
class PartAnswer:
    """One part of a registry."""

    name: Annotated[str, Said("Such as `storage`, `database`, `redis.cache`; of a kind there may be several.")]
    kind: Annotated[
        str,
        Said(
            "`storage`, `database`, `replica`, `redis`, `check` (one of the configuration's), `blobs`, "
            "`notifications`, `collection`, `background-migrations`, `adoption` or `integrity`."
        ),
    ]
    state: Annotated[
        PartState,
        Said(
            "`good`; `look`: it works, and somebody should look; `broken`: it does not work; `off`: it is not in use."
        ),
    ]
    since: Annotated[Shown, Said("Since when the process that answers has seen it so.")]
    said: Annotated[str, Said("More about it, or why it is not good.")]
    next_step: Annotated[str, Said("What to do; empty: nothing.")]


@dataclass(kw_only=True, eq=False, repr=False)
class NodeAnswer:
    """A node that has said on the storage that it takes pushes."""

    name: str
    processes: Annotated[int, Said("How many of its processes say so; on a folder one speaks for all.")]


@dataclass(kw_only=True, eq=False, repr=False)
class StatusAnswer:
    """The state of a registry, as the node that answers sees it."""

    version: str
    node: Annotated[str, Said("The host of the node that answers.")]
    started_at: Annotated[Shown, Said("Since when the process that answers is there.")]
    metadata: Annotated[Literal["database", "link files"], Said("Where the metadata is.")]
    read_only: Annotated[bool, Said("Whether it is read-only for maintenance.")]
    state: Annotated[PartState, Said("The worst of its parts.")]
    parts: list[PartAnswer]
    nodes: list[NodeAnswer]


@dataclass(kw_only=True, eq=False, repr=False)
class DifferenceCount:
    """Differences of one kind."""

    kind: str
    meaning: str
    count: int
    size_bytes: int
    repaired: int


@dataclass(kw_only=True, eq=False, repr=False)
class DifferenceAnswer:
    """One difference between metadata and storage."""

    kind: str
    subject: Annotated[str, Said("A digest, a path in storage, or a tag: what the kind is about.")]
    repository: str
    size_bytes: int
    detail: str
    repair: Annotated[str, Said("The repair that was made; empty: none.")]


@dataclass(kw_only=True, eq=False, repr=False)
class CheckAnswer:
    """One run of `moorage check`."""

    started_at: Shown
    ended_at: Annotated[Shown | None, Said("Null: it has not come to its end.")]
    saved_at: Annotated[Shown | None, Said("When it was last heard of; one at work writes every few seconds.")]
    verified_digests: Annotated[bool, Said("Whether every byte was read.")]
    repaired: Annotated[bool, Said("Whether what could be repaired was.")]
    phase: Annotated[str, Said("Where it is: `blobs`, `manifests`, `links` or `parts`.")]
    share: Annotated[float, Said("The part of its phase that is done, from 0 to 1.")]
    blobs: int
    size_bytes: Annotated[int, Said("Of the blobs that were looked at.")]
    manifests: int
    differences: list[DifferenceCount]
    first: Annotated[list[DifferenceAnswer], Said("The first 100 of them.")]


@dataclass(kw_only=True, eq=False, repr=False)
class IntegrityAnswer:
    """The last check of storage against metadata, and one that has not ended."""

    state: Annotated[CheckState, Said("`none`: none has ever ended; `unfinished`: one has begun and not ended.")]
    last: Annotated[CheckAnswer | None, Said("The last that came to its end.")]
    unfinished: CheckAnswer | None


@dataclass(kw_only=True, eq=False, repr=False)
class MigrationAnswer:
    """One background migration."""

    name: str
    status: MigrationWord
    share: Annotated[float, Said("The part that is done, from 0 to 1; an estimate until it is finished.")]
    finished_jobs: int
    failed_jobs: int
    failure: Annotated[str | None, Said("Why it failed; null: it has not.")]


@dataclass(kw_only=True, eq=False, repr=False)
class MigrationsAnswer:
    """All background migrations, in the order in which they were added."""

    migrates: Annotated[bool, Said("Whether the node that answers does their work.")]
    migrations: list[MigrationAnswer]


@dataclass(kw_only=True, eq=False, repr=False)
class LeftOutAnswer:
    """A thing of link files that could not be taken over."""

    kind: str
    path: str
    reason: str


@dataclass(kw_only=True, eq=False, repr=False)
class AdoptionFaultAnswer:
    """A repository that could not be taken over yet."""

    path: str
    error: str


@dataclass(kw_only=True, eq=False, repr=False)
class AdoptionAnswer:
    """The adoption of link files into the database."""

    state: Annotated[
        AdoptionWord,
        Said(
            "`none`: there is none and was none; `taking`; `waiting`: somebody has to agree to what is left out; "
            "`ending`; `ended`."
        ),
    ]
    began_at: Shown | None
    ended_at: Shown | None
    done_at: Annotated[Shown | None, Said("When it will be done if it goes on as until now.")]
    repositories: Annotated[int | None, Said("Of link files; null: they are not counted yet.")]
    taken: int
    tags: int
    manifests: int
    left_out: int
    accepted: Annotated[bool, Said("Whether somebody has agreed to what is left out.")]
    first_left_out: Annotated[list[LeftOutAnswer], Said("The first 100.")]
    faults: int
    first_faults: Annotated[list[AdoptionFaultAnswer], Said("The first 100.")]
