"""Traces: which part of a request, or of work in the background, took how long, for a service that collects them."""
