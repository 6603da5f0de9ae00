"""The rows of ``/moorage/v1/`` that are about the registry itself: its parts, and what goes on beside requests."""

from collections.abc import Sequence

from moorage.api import state_answers as answered
from moorage.http import rights
from moorage.http.endpoints import Endpoint
from moorage.http.operations import Documentation, Operation

_ALL = "everything on the catalogue (`registry:catalog:*`)"

SHOW_STATUS = Operation(
    endpoint=Endpoint("/moorage/v1/status"),
    methods=("GET",),
    wanted=rights.catalogue,
    is_write=False,
    documented=Documentation(
        id="status",
        summary="Whether everything is well",
        description="Each part of the registry with its state, since when, why, and what to do. Every part is asked "
        "within five seconds, and an answer stands for two; what does not answer is `broken`, and the status is 200 "
        "all the same. It is there without a metadata database too.",
        access=_ALL,
        answer=answered.StatusAnswer,
    ),
)

SHOW_INTEGRITY = Operation(
    endpoint=Endpoint("/moorage/v1/integrity"),
    methods=("GET",),
    wanted=rights.catalogue,
    is_write=False,
    documented=Documentation(
        id="integrity",
        summary="What the last check has found",
        description="`moorage check` compares storage with the metadata, on any node; what it came to is kept in "
        "storage. It is there without a metadata database too.",
        access=_ALL,
        answer=answered.IntegrityAnswer,
    ),
)

SHOW_MIGRATIONS = Operation(
    endpoint=Endpoint("/moorage/v1/background-migrations"),
    methods=("GET",),
    wanted=rights.catalogue,
    is_write=False,
    documented=Documentation(
        id="backgroundMigrations",
        summary="How background migrations stand",
        description="Those of the metadata database, which go on while the registry serves.",
        access=_ALL,
        answer=answered.MigrationsAnswer,
    ),
)

SHOW_ADOPTION = Operation(
    endpoint=Endpoint("/moorage/v1/adoption"),
    methods=("GET",),
    wanted=rights.catalogue,
    is_write=False,
    documented=Documentation(
        id="adoption",
        summary="How far link files are taken over",
        description="What `moorage database adopt status` says.",
        access=_ALL,
        answer=answered.AdoptionAnswer,
    ),
)

STATE_OPERATIONS: Sequence[Operation] = (SHOW_STATUS, SHOW_INTEGRITY, SHOW_MIGRATIONS, SHOW_ADOPTION)
