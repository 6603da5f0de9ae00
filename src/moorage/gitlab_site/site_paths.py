"""Paths of a GitLab site that its registry calls, or sends clients to. The control plane answers at the same ones."""

EVENTS_PATH = "/api/v4/container_registry_event/events"
"""The registry's notifications come here."""
TOKENS_PATH = "/jwt/auth"
"""Clients of the registry get their tokens here."""
