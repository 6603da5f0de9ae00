"""Pages of keys. The service begins a list at its beginning or at a mark it gave before, never behind a given key.

So marks are kept, and a list that goes on behind a key begins at the last mark before it: the next page of a folder of
100,000 tags costs what the first did.

Source: "List Blobs" of Azure's documentation of the Blob service.
"""

import bisect
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from moorage.errors import StorageUnavailable
from moorage.storage.azure.answers import error_of
from moorage.storage.azure.container import ContainerLine
from moorage.storage.remote.keys import is_marker
from moorage.storage.remote.paging import PAGE, KeyPage

LARGEST = 5000
"""Names of a page, as many as the service gives."""
_OK = 200
_BAD_REQUEST = 400
_FOLDERS = 128
_MARKS = 256
_SEPARATOR = "\n"
_LIST = "EnumerationResults"


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """A key, and the version of what it has."""

    key: str
    etag: str
    modified: str
    """The time at which it was written, as the service says it."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BlobPage:
    """Blobs and folders in the order of their keys, and the mark where the next page begins."""

    blobs: Sequence[ListedBlob]
    folders: Sequence[str]
    mark: str

    @property
    def keys(self) -> list[str]:
        """All of them, folders with a slash at their end."""
        return sorted([*(blob.key for blob in self.blobs), *self.folders])

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of the blobs, by key."""
        return {blob.key: blob.size_bytes for blob in self.blobs}


class _MarkRefused(StorageUnavailable):
    def __init__(self, prefix: str) -> None:
        super().__init__(f"a list of {prefix} cannot be gone on with where it was left")


class _Marks:
    """Marks by folder, each with the last key before it; the folders that were not asked for longest are forgotten."""

    def __init__(self) -> None:
        self._folders: OrderedDict[str, list[tuple[str, str]]] = OrderedDict()

    def keep(self, prefix: str, key: str, mark: str) -> None:
        marks = self._folders.setdefault(prefix, [])
        self._folders.move_to_end(prefix)
        at = bisect.bisect_left(marks, (key, ""))
        if at == len(marks) or marks[at][0] != key:
            marks.insert(at, (key, mark))
        if len(marks) > _MARKS:
            del marks[::2]
        while len(self._folders) > _FOLDERS:
            self._folders.popitem(last=False)

    def before(self, prefix: str, key: str) -> tuple[str, str]:
        """The last key and its mark that are not behind *key*; empty: the beginning."""
        marks = self._folders.get(prefix, [])
        at = bisect.bisect_right(marks, (key, "\U0010ffff"))
        return marks[at - 1] if at else ("", "")

    def forget(self, prefix: str) -> None:
        self._folders.pop(prefix, None)


class BlobList:
    """Lists of a container; as a call, what :class:`~moorage.storage.remote.paging.FoldedKeys` says."""

    def __init__(self, line: ContainerLine) -> None:
        self._line = line
        self._marks = _Marks()

    async def __call__(self, prefix: str, *, after: str = "", token: str = "", limit: int = PAGE) -> KeyPage:
        """See the protocol. A token is a mark, and the last key of its page that has been given already."""
        if token:
            mark, _, skip = token.partition(_SEPARATOR)
            reached = ""
        else:
            skip = after
            reached, mark = self._marks.before(prefix, after) if after else ("", "")
        while True:
            # What is passed over is best passed over in few requests.
            size = limit if not skip or skip == reached else LARGEST
            try:
                page = await self._folded(prefix, mark=mark, size=size)
            except _MarkRefused:
                if not reached:
                    raise
                self._marks.forget(prefix)  # It was kept too long: from the beginning, then.
                reached = mark = ""
                continue
            keys = [key for key in page.keys if key > skip and key != prefix]
            if keys or not page.mark:
                break
            mark = page.mark
        if len(keys) > limit:
            return KeyPage(keys[:limit], f"{mark}{_SEPARATOR}{keys[limit - 1]}", page.sizes)
        return KeyPage(keys, f"{page.mark}{_SEPARATOR}" if page.mark else "", page.sizes)

    async def below(self, prefix: str) -> AsyncIterator[Sequence[ListedBlob]]:
        """Yield all blobs whose keys begin with *prefix*, a page at a time."""
        mark = ""
        while True:
            page = await self._page(prefix, mark=mark, size=LARGEST, delimiter="")
            yield page.blobs
            mark = page.mark
            if not mark:
                break

    async def first(self, prefix: str) -> ListedBlob | None:
        """Return the first blob whose key begins with *prefix* and is no mark of a folder."""
        mark = ""
        while True:
            page = await self._page(prefix, mark=mark, size=1, delimiter="")
            for blob in page.blobs:
                if not is_marker(blob.key):
                    return blob
            mark = page.mark
            if not mark:
                return None

    async def _folded(self, prefix: str, *, mark: str, size: int) -> BlobPage:
        page = await self._page(prefix, mark=mark, size=size, delimiter="/")
        if page.mark and page.keys:
            self._marks.keep(prefix, page.keys[-1], page.mark)
        return page

    async def _page(self, prefix: str, *, mark: str, size: int, delimiter: str) -> BlobPage:
        query = {"restype": "container", "comp": "list", "prefix": prefix, "maxresults": str(size)}
        if delimiter:
            query["delimiter"] = delimiter
        if mark:
            query["marker"] = mark
        answer = await self._line.ask("ListBlobs", "GET", query=query)
        if answer.status != _OK:
            if mark and answer.status == _BAD_REQUEST:
                raise _MarkRefused(prefix)
            raise error_of(answer, f"container {self._line.place.container}", what="ListBlobs")
        return _parsed(answer.body)


def _parsed(body: bytes) -> BlobPage:
    try:
        root = ET.fromstring(body)  # noqa: S314 - of the store that has everybody's bytes, and bounded
    except ET.ParseError:
        root = None
    if root is None or root.tag != _LIST:  # Else a page of a proxy would say that nothing is there.
        msg = "a list of the container cannot be read: the answer is none of Azure's"
        raise StorageUnavailable(msg)
    # Accounts with a hierarchical namespace list their folders as if they were blobs.
    blobs = [
        ListedBlob(
            _name(element),
            element.findtext("Properties/Etag") or "",
            element.findtext("Properties/Last-Modified") or "",
            int(element.findtext("Properties/Content-Length") or 0),
        )
        for element in root.iterfind("Blobs/Blob")
        if element.findtext("Properties/ResourceType") != "directory"
    ]
    folders = [_name(element) for element in root.iterfind("Blobs/BlobPrefix")]
    return BlobPage(blobs, folders, root.findtext("NextMarker") or "")


def _name(element: ET.Element) -> str:
    name = element.find("Name")
    if name is None or not name.text:
        msg = "a list of the container has a blob without a name"
        raise StorageUnavailable(msg)
    return unquote(name.text) if name.get("Encoded") == "true" else name.text
