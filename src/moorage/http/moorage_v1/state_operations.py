"""The rows of ``/moorage/v1/`` that are about the registry itself: its parts, and what goes on beside requests."""

from collections.abc import Sequence

from moorage.api import state_answers as answered
from moorage.http import rights
from moorage.http.moorage_v1.operation_rows import ALL, get
from moorage.http.operations import Documentation, Operation

SHOW_STATUS = get(
    "status",
    rights.catalogue,
    Documentation(
        id="status",
        summary="Whether everything is well",
        description="Each part of the registry with its state, since when, why, and what to do. Every part is asked "
        "within five seconds, and an answer stands for two; what does not answer is `broken`, and the status is 200 "
        "all the same. It is there without a metadata database too.",
        access=ALL,
        answer=answered.StatusAnswer,
    ),
)

SHOW_INTEGRITY = get(
    "integrity",
    rights.catalogue,
    Documentation(
        id="integrity",
        summary="What the last check has found",
        description="`moorage check` compares storage with the metadata, on any node; what it came to is kept in "
        "storage. It is there without a metadata database too.",
        access=ALL,
        answer=answered.IntegrityAnswer,
    ),
)

SHOW_MIGRATIONS = get(
    "background-migrations",
    rights.catalogue,
    Documentation(
        id="backgroundMigrations",
        summary="How background migrations stand",
        description="Those of the metadata database, which go on while the registry serves.",
        access=ALL,
        answer=answered.MigrationsAnswer,
    ),
)

SHOW_ADOPTION = get(
    "adoption",
    rights.catalogue,
    Documentation(
        id="adoption",
        summary="How far link files are taken over",
        description="What `moorage database adopt status` says.",
        access=ALL,
        answer=answered.AdoptionAnswer,
    ),
)

STATE_OPERATIONS: Sequence[Operation] = (SHOW_STATUS, SHOW_INTEGRITY, SHOW_MIGRATIONS, SHOW_ADOPTION)
