"""The driver of Google Cloud Storage, over the strict fake."""
