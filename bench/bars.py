"""Pictures of bars, as SVG: one bar a value, with its name and its number, readable on light and on dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH = 720
_NAMES = 190
_NUMBERS = 80
_STEP = 26
_BAR = 16
_HEAD = 40
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px }
.ours { fill: #0969da } .other { fill: #8c959f } .floor { fill: #d0d7de }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .ours { fill: #4493f8 } .other { fill: #7d8590 } .floor { fill: #3d444d }
}"""


@dataclass(frozen=True, slots=True)
class Bar:
    """A value, its name, its number as it is to be read, and its kind: ``ours``, ``other`` or ``floor``."""

    name: str
    value: float
    number: str
    kind: str


def picture(title: str, bars: Sequence[Bar]) -> str:
    """The picture, whose title and description say the same in words. The longest bar takes all the room there is."""
    height = _HEAD + _STEP * len(bars) + 8
    longest = max((bar.value for bar in bars), default=0) or 1
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"',
        f'width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title words">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="words">{escape(in_words(bars))}</desc>',
        f"<style>\n{_STYLE}\n</style>",
        f'<text class="title" x="8" y="22">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        top = _HEAD + number * _STEP
        length = max(1.0, bar.value / longest * (_WIDTH - _NAMES - _NUMBERS))
        line = top + _BAR - 3
        lines += [
            f'<text x="{_NAMES - 8}" y="{line}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="{bar.kind}" x="{_NAMES}" y="{top}" width="{length:.1f}" height="{_BAR}" rx="2"/>',
            f'<text x="{_NAMES + length + 6:.1f}" y="{line}">{escape(bar.number)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


def in_words(bars: Sequence[Bar]) -> str:
    """The bars as a sentence, for whoever does not see them."""
    return ", ".join(f"{bar.name} {bar.number}" for bar in bars) + "."
