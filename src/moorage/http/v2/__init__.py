"""The OCI distribution API below ``/v2/``."""
