"""The port by which long work tells people how far it is."""


class WorkReports:
    """Listener to long work. By itself it tells nobody."""

    def begins(self, part: str, total: float | None = 1.0) -> None:
        """Hear that a part of the work begins, with so much to do; None: nobody knows how much."""

    def advanced(self, part: str, count: float = 1) -> None:
        """Hear that so much more of a part is done."""

    def moved(self, part: str, done: float, *, total: float | None = None, said: str = "") -> None:
        """Hear that so much of a part is done by now, of a new *total* if one is given, and what is to be said of it.

        A part that did not begin begins here.
        """

    def says(self, text: str) -> None:
        """Hear what is worth a line of its own."""
