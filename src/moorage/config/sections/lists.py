"""``catalog`` and ``tags``: limits of lists."""

from moorage.config.section import (
    Count,
    Section,
    Whole,
    later,
    now,
)


class Catalog(Section):
    """``catalog``"""

    maxentries: Whole = now(1000, "Most repositories of one page; who asks for more is refused. 0 or less: 1000.")


class Tags(Section):
    """``tags``"""

    maxtags: Count = later(1000, "Distribution: tags of a page.")
