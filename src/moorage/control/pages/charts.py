"""Shapes of charts as numbers for templates: areas of a treemap, points of a line. No I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

HEIGHT_RATIO = 0.4
"""The height of a treemap as a part of its width, for areas that are near squares."""
_WHOLE = 100.0
_FLOORS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MapArea:
    """An area of a treemap, in per cent of the whole map."""

    name: str
    address: str
    size: int
    ground: str
    """One of the four grounds of the stylesheet."""
    left: float
    top: float
    width: float
    height: float

    @property
    def has_name(self) -> bool:
        """True if a name fits."""
        return self.width > 6 and self.height > 8  # noqa: PLR2004 - per cent

    @property
    def has_size(self) -> bool:
        """True if a size fits below the name."""
        return self.width > 6 and self.height > 14  # noqa: PLR2004 - per cent

    @property
    def is_narrow(self) -> bool:
        """True if no text fits on a telephone."""
        return self.width < 22  # noqa: PLR2004 - per cent


@dataclass(frozen=True, slots=True)
class MapItem:
    """Something that a treemap shows; of one *kin* are those of one ground."""

    name: str
    address: str
    size: int
    kin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLine:
    """A line of sizes by day, in a box of 100 by 100 whose top is ``top``."""

    points: str
    area: str
    top: int
    middle: int
    first: date
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoLines:
    """Two lines of sizes by day in one box, as :class:`SizeLine`."""

    points: str
    other_points: str
    top: int
    middle: int
    first: date
    last: date


def treemap(items: Sequence[MapItem]) -> list[MapArea]:
    """Return the areas of *items*, which go from the largest to the smallest; those of nothing have none.

    Source: Bruls, Huizing and van Wijk, "Squarified Treemaps".
    """
    wanted = [item for item in items if item.size > 0]
    kins = list(dict.fromkeys(item.kin for item in wanted))
    grounds = {kin: f"k{min(place + 1, _FLOORS)}" for place, kin in enumerate(kins)}
    whole = sum(item.size for item in wanted)
    boxes = _squarified([item.size / whole * _WHOLE * _WHOLE * HEIGHT_RATIO for item in wanted]) if whole else []
    return [
        MapArea(
            name=item.name,
            address=item.address,
            size=item.size,
            ground=grounds[item.kin],
            left=round(left, 2),
            top=round(top / HEIGHT_RATIO, 2),
            width=round(width, 2),
            height=round(height / HEIGHT_RATIO, 2),
        )
        for item, (left, top, width, height) in zip(wanted, boxes, strict=False)
    ]


def size_line(days: Sequence[tuple[date, int]]) -> SizeLine | None:
    """Return the line of *days*, the oldest first; None: they are too few for a line."""
    if len(days) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    (first, _), (last, _) = days[0], days[-1]
    top = _rounded(max(size for _day, size in days))
    line = _points(days, top)
    area = f"0,{_WHOLE:.0f} {line} {_WHOLE:.0f},{_WHOLE:.0f}"
    return SizeLine(points=line, area=area, top=top, middle=top // 2, first=first, last=last)


def two_lines(days: Sequence[tuple[date, int, int]]) -> TwoLines | None:
    """Return the lines of two sizes by day, the oldest first; None: they are too few for a line."""
    first = size_line([(day, max(one, other)) for day, one, other in days])
    if first is None:
        return None
    return TwoLines(
        points=_points([(day, one) for day, one, _other in days], first.top),
        other_points=_points([(day, other) for day, _one, other in days], first.top),
        top=first.top,
        middle=first.middle,
        first=first.first,
        last=first.last,
    )


def _points(days: Sequence[tuple[date, int]], top: int) -> str:
    (first, _), (last, _) = days[0], days[-1]
    span = max(1, (last - first).days)
    return " ".join(
        f"{(day - first).days / span * _WHOLE:.2f},{_WHOLE - size / top * _WHOLE:.2f}" for day, size in days
    )


def _rounded(size: int) -> int:
    """The next size above that is one of few digits, so that the axis can be read."""
    unit = 1
    while unit * 1024 <= size:
        unit *= 1024
    for count in (1, 2, 4, 5, 8, 10, 20, 40, 50, 80, 100, 200, 400, 500, 800):
        if count * unit >= size:
            return max(2, count * unit)
    return unit * 1024


def _squarified(areas: Sequence[float]) -> Iterator[tuple[float, float, float, float]]:
    """Boxes that fill the whole map, row by row along the shorter side of what is left."""
    left, top, width, height = 0.0, 0.0, _WHOLE, _WHOLE * HEIGHT_RATIO
    at = 0
    while at < len(areas):
        side = min(width, height)
        count = _row_length(areas, at, side)
        row = areas[at : at + count]
        thick = sum(row) / side if side else 0.0
        along = 0.0
        for area in row:
            length = area / thick if thick else 0.0
            if width <= height:
                yield left + along, top, length, thick
            else:
                yield left, top + along, thick, length
            along += length
        if width <= height:
            top, height = top + thick, max(0.0, height - thick)
        else:
            left, width = left + thick, max(0.0, width - thick)
        at += count


def _row_length(areas: Sequence[float], at: int, side: float) -> int:
    """The number of areas from *at* on that make the best row: one more would make it worse."""
    count, worst = 1, _worst(areas[at : at + 1], side)
    while at + count < len(areas):
        found = _worst(areas[at : at + count + 1], side)
        if found > worst:
            break
        count, worst = count + 1, found
    return count


def _worst(row: Sequence[float], side: float) -> float:
    """The worst ratio of sides in a row: 1 is a square."""
    whole, low, high = sum(row), min(row), max(row)
    if not whole or not low or not side:
        return float("inf")
    return max(side * side * high / (whole * whole), whole * whole / (side * side * low))
