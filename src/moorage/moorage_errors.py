"""Errors of Moorage's own API only: a branch of the tree in ``errors.py``.

::

    Refused
    ├── TooManyTags             more tags in one request than are taken
    ├── RequestUnknown          a request that changed nothing, so that nothing can be taken back
    ├── RequestShared           an id that several may have used, so that nothing says whose changes are meant
    ├── NotificationUnknown     an event that is not kept, or not any more
    ├── UndoConflict            something was changed since by somebody else
    ├── AlreadyUndone           everything is as it was before
    ├── AdoptionUnderWay        a database that does not have all images yet, so that nothing may be collected
    ├── TwoDatabases            another copy of the database over the same storage, so that nothing may be removed
    └── ContentGone             garbage collection took what should come back
"""

from moorage.errors import Refused


class TooManyTags(Refused):
    """More tags in one request than are taken."""


class RequestUnknown(Refused):
    """The journal has no change by this request."""


class RequestShared(Refused):
    """The id of requests that changed several repositories, perhaps of several callers. Nothing was changed."""


class NotificationUnknown(Refused):
    """There is no such event: it has arrived, or was dropped, or never was."""


class UndoConflict(Refused):
    """An undo of things that somebody else has changed since. Nothing was changed."""


class AlreadyUndone(Refused):
    """Everything is as it was before the request that should be taken back."""


class ContentGone(Refused):
    """Garbage collection took what should come back. Nothing was changed."""


class AdoptionUnderWay(Refused):
    """Link files are still being taken over: what they need would be collected. Nothing was changed."""


class TwoDatabases(Refused):
    """Another copy of this database serves the storage: each would remove what the other needs. Nothing was changed."""
