"""``policy``: what content is taken."""

from moorage.config.section import (
    Section,
    Text,
    later,
)


class RepositoryPolicy(Section):
    """``policy.repository``"""

    classes: list[Text] = later([], "Classes of content that are taken.")


class Policy(Section):
    """``policy``"""

    repository: RepositoryPolicy = later(RepositoryPolicy, "Of repositories.")
