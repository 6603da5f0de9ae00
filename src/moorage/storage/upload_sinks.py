"""The choice of a sink by what a storage can do."""

from moorage.storage.base import StorageDriver
from moorage.storage.file_sink import FileSink, LoneFileSink
from moorage.storage.file_storage import keeps_files
from moorage.storage.piece_sink import PieceSink
from moorage.storage.uploads import UploadSink


def sink_of(storage: StorageDriver, *, has_list: bool = False) -> UploadSink:
    """Return the sink for a storage that brings none of its own.

    *has_list*: uploads are listed elsewhere, with the moments when they began.
    """
    if not keeps_files(storage):
        return PieceSink(storage)
    return LoneFileSink(storage) if has_list else FileSink(storage)
