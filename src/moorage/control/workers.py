"""All workers of the control plane, which ``moorage control serve`` has run beside requests."""

from collections.abc import Sequence

from moorage.control.images.deletion import GroupsDeletion, ImageDeletion, ProjectsDeletion
from moorage.control.images.late_pushes import LatePushes
from moorage.control.images.move_steps import ImageMoves
from moorage.control.images.registry_facts import RegistryFacts
from moorage.control.jobs.astray import AstrayRows
from moorage.control.jobs.loop import Worker
from moorage.control.policies.jobs import BulkTagDeletion, PolicyCleanup
from moorage.control.policies.undo_job import RunUndoing
from moorage.control.sign_in.directory_users import DirectoryChecks
from moorage.control.usage.measuring import UsageMeasurement


def all_workers() -> Sequence[Worker]:
    """Return each worker once; nodes share the work by the database."""
    return (
        ImageDeletion(),
        ProjectsDeletion(),
        GroupsDeletion(),
        ImageMoves(),
        LatePushes(),
        PolicyCleanup(),
        BulkTagDeletion(),
        RunUndoing(),
        UsageMeasurement(),
        DirectoryChecks(),
        RegistryFacts(),
        AstrayRows(),
    )
