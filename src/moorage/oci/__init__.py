"""The words of the field as values: names, digests, media types, manifests. Pure: no I/O, no clock."""
