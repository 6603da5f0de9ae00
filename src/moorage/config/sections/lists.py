"""``catalog`` and ``tags``: limits of lists."""

from moorage.config.section import Count, Section, Whole, now


class Catalog(Section):
    """``catalog``"""

    maxentries: Whole = now(1000, "Most repositories of one page; who asks for more is refused. 0 or less: 1000.")


class Tags(Section):
    """``tags``"""

    maxtags: Count = now(
        1000, "Distribution: most tags of a page where `n` asks for more; left out: as many as it asks for."
    )
