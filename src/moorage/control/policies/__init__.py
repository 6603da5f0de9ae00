"""Cleanup policies: what they delete, when they run, what each run did."""
