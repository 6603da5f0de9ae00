"""Changes of clients that can be taken back while link files are adopted, and what taking one back should do."""

import copy
from dataclasses import dataclass

from moorage.metadata.base import Cause
from moorage.moorage_errors import AlreadyUndone, UndoConflict
from moorage.oci.names import RepositoryName
from property.adoption.nodes import Model, Repository


@dataclass(frozen=True)
class TakenAway:
    """A tag or a manifest that a request removed."""

    cause: Cause
    name: RepositoryName
    before: Repository
    after: Repository

    def undone(self, model: Model) -> "tuple[Model, object] | None":
        """What the registry should have after an undo, and what the undo answers; None: the model cannot tell."""
        now = model.get(self.name, Repository())
        gone = self.before.tags.keys() - self.after.tags.keys()
        if any(now.tags.get(tag, self.before.tags[tag]) != self.before.tags[tag] for tag in gone):
            return model, UndoConflict  # Somebody has pointed the tag at something else.
        if now == self.before:
            return model, AlreadyUndone
        if now != self.after:
            return None
        then = copy.deepcopy(model)
        then[self.name] = copy.deepcopy(self.before)
        return then, len(gone) + len(self.before.manifests - self.after.manifests)
