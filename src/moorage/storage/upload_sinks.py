"""The choice of a sink by what a storage can do."""

from moorage.storage.base import StorageDriver
from moorage.storage.file_sink import FileSink
from moorage.storage.file_storage import keeps_files
from moorage.storage.piece_sink import PieceSink
from moorage.storage.uploads import UploadSink


def sink_of(storage: StorageDriver) -> UploadSink:
    """Return the sink for a storage that brings none of its own."""
    return FileSink(storage) if keeps_files(storage) else PieceSink(storage)
