"""``middleware``: what stands between the registry and its storage."""

from moorage.config.section import (
    Flag,
    Section,
    Text,
    later,
)


class Middleware(Section):
    """``middleware.storage[]`` and its like."""

    name: Text = later("", "Which.")
    disabled: Flag = later(False, "True: it is left out.")
    options: dict[str, object] = later({}, "Its parameters.", repr=False)
