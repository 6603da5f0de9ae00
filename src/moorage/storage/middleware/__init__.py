"""URLs of what stands in front of a bucket: delivery networks, and a host of one's own (``middleware.storage``)."""
