"""Azure Blob Storage, spoken to over its REST interface; only tokens need the vendor's library."""
