"""``policy``: what content is taken."""

from moorage.config.section import Section, Text, unused


class RepositoryPolicy(Section):
    """``policy.repository``"""

    classes: list[Text] = unused([], "Classes of content that are taken.")


class Policy(Section):
    """``policy``"""

    why_unused = "Classes of content cannot be told apart safely; asking for it stops the start."

    repository: RepositoryPolicy = unused(RepositoryPolicy, "Of repositories.")
