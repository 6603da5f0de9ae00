"""Words for what the metadata tells of: changes, and what is reviewed. Nothing but words, so that all may use them."""

from enum import StrEnum
from typing import Literal

JournalSubject = Literal["tag", "manifest", "blob", "repository"]
"""The kinds of things that can be changed, and taken back."""

ObstacleReason = Literal["changed", "in use", "gone", "switched off"]
"""The reason why something is left as it is."""

Queue = Literal["blob", "manifest"]
"""A kind of things to be reviewed."""

Role = Literal["layer", "config", "child", "subject", "awaited"]
"""The part of a thing for its holder; ``awaited``: the holder named it before it was there."""

Verdict = Literal["kept", "goes", "claimed", "unscheduled"]


class JournalAction(StrEnum):
    """The action that a row of the journal notes."""

    TAG_CREATE = "tag_create"
    TAG_MOVE = "tag_move"
    TAG_DELETE = "tag_delete"
    MANIFEST_CREATE = "manifest_create"
    MANIFEST_DELETE = "manifest_delete"
    MANIFEST_RESTORE = "manifest_restore"
    BLOB_DELETE = "blob_delete"
    BLOB_RESTORE = "blob_restore"
    REPOSITORY_RENAME = "repository_rename"
