"""The installed daemon against real clients, a real peer, real signals and a real full disk."""
