"""Google Cloud Storage: the driver, its account and its signed URLs. Needs the extra ``gcs`` (google-auth)."""
