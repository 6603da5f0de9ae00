"""Faults in the text of a PEM file, found before anybody looks at what is in it.

OpenSSL passes over whatever does not stand on lines of its own, so that a file may be taken by one reader, and be
empty or cut to its first part for another.
"""

import re
from collections.abc import Sequence

_MARK = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,60})-----")
_BLANKS = b" \t\r"
_SEQUENCE = 0x30
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_KINDS_LIMIT = 5


def fault_of(data: bytes) -> str:
    """Say what is wrong, and what would be right; empty if nothing is wrong."""
    if not data.strip():
        return "is empty"
    if data.startswith(_WIDE):
        return "is UTF-16 text; write it as UTF-8"
    marks = list(_MARK.finditer(data))
    if not marks:
        is_der = data[0] == _SEQUENCE and b"-----BEGIN" not in data
        return "is DER, not PEM; openssl x509 (or pkey) -inform DER -in FILE -out NEW" if is_der else ""
    return next(filter(None, (_crowded(data, mark) for mark in marks)), "") or _unpaired(marks)


def said_of_text(path: str) -> str:
    """Say what is wrong with a path that is no path, but the text of a PEM file; empty if it is none.

    The text is never shown: it may be a private key.
    """
    if "-----BEGIN" not in path:
        return ""
    return "is the text of a PEM file; a path is needed: write the text into a file, and name that"


def kinds_of(data: bytes) -> str:
    """The kinds of blocks in it, as a part of a sentence; empty if there are none."""
    kinds = list(dict.fromkeys(mark[2].decode() for mark in _MARK.finditer(data) if mark[1] == b"BEGIN"))
    return f", but {', '.join(kinds[:_KINDS_LIMIT])}" if kinds else ""


def _crowded(data: bytes, mark: re.Match[bytes]) -> str:
    """Say what else is on the line that begins or ends a block."""
    number = data.count(b"\n", 0, mark.start()) + 1
    before = data[data.rfind(b"\n", 0, mark.start()) + 1 : mark.start()]
    after = data[mark.end() :].partition(b"\n")[0].strip(_BLANKS)
    if not before and not after:
        return ""
    if before == b"\xef\xbb\xbf":
        return "begins with a byte order mark, which hides its first block; write it without"
    if b"\\n" in before + after:
        return "has \\n written out where lines should end; write real line ends"
    if mark[1] == b"END" and after.startswith(b"-----BEGIN"):
        return f"has two blocks on one line, line {number}; each -----BEGIN needs a line of its own"
    name = f"-----{mark[1].decode()} {mark[2].decode()}-----"
    return f"has more than {name} on line {number}, which needs a line of its own"


def _unpaired(marks: Sequence[re.Match[bytes]]) -> str:
    begins, ends = ([mark[2] for mark in marks if mark[1] == word] for word in (b"BEGIN", b"END"))
    if len(begins) > len(ends):
        return f"ends in the middle of a block: there is no -----END {begins[-1].decode()}-----"
    return "" if begins == ends else "has -----BEGIN and -----END lines that do not belong together"
