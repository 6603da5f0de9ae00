"""The way of an image into a registry over a bucket and back, before and after a restart."""

from pathlib import Path

from e2e.images import build_image, layout_digests, write_layout
from e2e.wire import Wire
from support.clients import Skopeo
from support.daemon import Daemon


class RoundTrip:
    """An image that skopeo moves. Each step wants the *daemon* to run."""

    def __init__(self, daemon: Daemon, skopeo: Skopeo, folder: Path) -> None:
        self.image = build_image(f"round-trip/{folder.name}", layers=3, layer_bytes=300_000)
        self._daemon = daemon
        self._skopeo = skopeo
        self._folder = folder
        self._there = f"docker://{daemon.address}/group/app:v1"

    def push_and_pull(self) -> None:
        """Push it, and pull all of it."""
        source = write_layout(self._folder / "source", {"v1": self.image})
        self._skopeo.copy(f"oci:{source}:v1", self._there)
        self._pull("back")

    def pull_and_delete(self) -> None:
        """Pull all of it once more, and delete it."""
        self._pull("again")
        wire = Wire(self._daemon.address)
        assert wire.delete("group/app", "manifests", self.image.manifest.digest).status == 202
        assert wire.manifest("group/app", "v1").status == 404

    def _pull(self, name: str) -> None:
        self._skopeo.copy(self._there, f"oci:{self._folder / name}:v1")
        assert layout_digests(self._folder / name) == {part.digest for part in self.image.parts}
