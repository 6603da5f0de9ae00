"""Stores of an import and of an export, over a database."""

from moorage.metadata.exports import ExportStore
from moorage.metadata.imports import ImportStore
from moorage.metadata.sql.exports import SqlExports
from moorage.metadata.sql.imports import SqlImports
from moorage.sql.base import Database


def import_store(database: Database) -> ImportStore:
    """Return what an import writes to."""
    return SqlImports(database)


def export_store(database: Database) -> ExportStore:
    """Return what an export reads from."""
    return SqlExports(database)
