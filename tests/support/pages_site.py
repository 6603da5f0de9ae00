"""A control plane with a registry behind it and people in it, for a browser: each person has a session already."""

from support.control_plane import ControlPlane
from support.images import (
    EMPTY,
    OCI_CONFIG,
    Image,
    blob,
    descriptor,
    encode,
    image_manifest,
    platform_index,
    push_image,
    push_manifest,
)
from support.registry_client import RegistryClient

KIMS_PASSWORD = "Tr0ub4dor-of-kim"
"""Of the one person there who signs in by the form."""
WAIT_MS = 60_000
"""For what a browser is to show: on a full machine a page of the site takes seconds."""
STEPS = (
    ("# debian.sh --arch 'amd64' out/ 'bookworm'", False),
    ("ENV TZ=Europe/Oslo", True),
    ("RUN /bin/sh -c apt-get update && apt-get install -y ca-certificates tzdata # buildkit", False),
    ("COPY dist/ /srv/app # buildkit", False),
    ('CMD ["/srv/app/serve", "--port", "8080"]', True),
)


class PagesSite(ControlPlane):
    """``with PagesSite(folder, api_url=daemon.url) as site:``; ``site.session("ada")`` is a cookie of hers."""

    inhabitants = "support.pages_inhabitants"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def session(self, username: str) -> str:
        return self.credentials[username][1]


def rich_image(seed: str, *, architecture: str = "amd64") -> Image:
    """An image with build steps, variables and labels, as builders make them."""
    layers = [
        blob(f"{seed} {text}", 40_000 + 9_000 * place) for place, (text, is_empty) in enumerate(STEPS) if not is_empty
    ]
    value = {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Env": ["PATH=/srv/bin:/usr/bin:/bin", "TZ=Europe/Oslo"],
            "Cmd": ["/srv/app/serve", "--port", "8080"],
            "Labels": {"org.opencontainers.image.revision": "4be19c2", "org.opencontainers.image.title": seed},
        },
        "history": [{"created_by": text, "empty_layer": is_empty} for text, is_empty in STEPS],
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }
    configuration = encode(value, OCI_CONFIG)
    return Image(image_manifest(configuration, layers), (configuration, *layers))


def push_site_images(address: str) -> None:
    """Push what the people of the site have in their repositories."""
    with RegistryClient(address) as pusher:
        for repository, tags in {
            "team/app/api": ["1.8.2", "1.9.0-rc1", "latest", *(f"mr-{number}" for number in range(2300, 2325))],
            "team/app/worker": ["1.0.0"],
            "team/app/loadtest": ["soak-07"],
            "team/open": ["1"],
        }.items():
            for tag in tags:
                _push(pusher, repository, tag)
        for turn in ("first", "second"):
            push_image(pusher, "team/app/api", "moved", rich_image(f"team/app/api:moved, the {turn}"))
        _attach_packages(pusher, rich_image("team/app/api:1.8.2"))


def _attach_packages(pusher: RegistryClient, about: Image) -> None:
    packages = [{"name": name, "versionInfo": "1.2.3", "licenseDeclared": "Zlib"} for name in ("zlib", "tzdata")]
    listed = encode({"spdxVersion": "SPDX-2.3", "packages": packages}, "application/spdx+json")
    fields = {"artifactType": "application/vnd.sign", "subject": descriptor(about.manifest)}
    push_image(pusher, "team/app/api", None, Image(image_manifest(EMPTY, [listed], **fields), (EMPTY, listed)))


def _push(pusher: RegistryClient, repository: str, tag: str) -> None:
    name = f"{repository}:{tag}"
    if tag != "1.9.0-rc1":
        push_image(pusher, repository, tag, rich_image(name))
        return
    children = {word: rich_image(f"{name} {word}", architecture=word) for word in ("amd64", "arm64")}
    for child in children.values():
        push_image(pusher, repository, None, child)
    push_manifest(pusher, repository, platform_index({word: one.manifest for word, one in children.items()}), tag)
