"""Errors of GitLab's API only: a branch of the tree in ``errors.py``.

::

    Refused
    ├── PathTagInvalid          a tag outside the grammar, in a path of GitLab's API
    ├── TagUnknown              no such tag in the repository, for GitLab's API
    ├── QueryValueInvalid       a query parameter of GitLab's API outside what is allowed
    ├── QueryTypeInvalid        a query parameter of GitLab's API that is not of its type
    ├── BodyNotJSON             a request body that is no JSON object of the expected form
    ├── BodyValueInvalid        a value in a request body outside what is allowed
    ├── BodyTypeInvalid         a value in a request body that is missing or malformed
    ├── RenameConflict          a new name for a repository that is taken
    ├── TooManyRepositories     more repositories than can be renamed at once
    ├── ProjectUnknown          a token that does not say which project a repository is of
    └── ProjectMismatch         a token for a project with another path
"""

from moorage.errors import Refused, TagInvalid


class PathTagInvalid(TagInvalid):
    """A tag outside the specification's grammar, in a path of GitLab's API."""


class TagUnknown(Refused):
    """The tag is not in the repository. For GitLab's API, which tells it from a manifest that is not there."""


class QueryValueInvalid(Refused):
    """A query parameter of GitLab's API whose value is outside what is allowed."""


class QueryTypeInvalid(Refused):
    """A query parameter of GitLab's API whose value is not of its type."""


class BodyNotJSON(Refused):
    """The request's body is no JSON object of the expected form."""


class BodyValueInvalid(Refused):
    """A value in the request's body is outside what is allowed."""


class BodyTypeInvalid(Refused):
    """A value in the request's body is missing or malformed."""


class RenameConflict(Refused):
    """The new name of a repository is taken, or about to be. Nothing was changed."""


class TooManyRepositories(Refused):
    """More repositories than can be renamed at once. Nothing was changed."""


class ProjectUnknown(Refused):
    """The token does not say which project the repository belongs to."""


class ProjectMismatch(Refused):
    """The token says that the repository belongs to a project with another path."""
