"""Copies of images between registries, over HTTP: of one reference, of many tags, and by a file of rules."""
