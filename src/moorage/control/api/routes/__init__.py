"""Routers of the API, one for each resource. A view looks up, asks a rule, and calls a change of a room below."""
