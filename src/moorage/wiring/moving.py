"""Stores of an import, of its records and of an export, over a database."""

from moorage.metadata.exports import ExportStore
from moorage.metadata.import_records import ImportRecords
from moorage.metadata.imports import ImportStore
from moorage.metadata.sql.exports import SqlExports
from moorage.metadata.sql.import_records import SqlImportRecords
from moorage.metadata.sql.imports import SqlImports
from moorage.sql.base import Database


def import_store(database: Database) -> ImportStore:
    """Return what an import writes to."""
    return SqlImports(database)


def import_records(database: Database) -> ImportRecords:
    """Return where an import is recorded."""
    return SqlImportRecords(database)


def export_store(database: Database) -> ExportStore:
    """Return what an export reads from."""
    return SqlExports(database)
