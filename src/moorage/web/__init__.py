"""The web toolkit under every server of ours: connections, requests, bodies, answers. Nothing about registries."""
