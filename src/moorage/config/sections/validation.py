"""``validation``: what pushed content must be like."""

from typing import Annotated, Literal

from moorage.config.section import Count, Flag, Lower, Pattern, Section, Text, now


class URLs(Section):
    """``validation.manifests.urls``"""

    allow: list[Pattern] = now([], "Layers elsewhere need a URL that matches one of these (RE2).")
    deny: list[Pattern] = now([], "… and none of these.")


class PlatformSection(Section):
    """``validation.manifests.indexes.platformlist[]``"""

    architecture: Text = now("", "Such as amd64.")
    os: Text = now("", "Such as linux.")


class Indexes(Section):
    """``validation.manifests.indexes``"""

    platforms: Annotated[Literal["all", "none", "list"], Lower] = now(
        "all", "Whose images must be there when an index is pushed."
    )
    platformlist: list[PlatformSection] = now([], "For `list`: these.")


class ManifestValidation(Section):
    """``validation.manifests``"""

    referencelimit: Count = now(0, "References that a manifest may have; 0: any number.")
    payloadsizelimit: Count = now(0, "Bytes that a manifest may have; never more than 4 MiB, which 0 means.")
    urls: URLs = now(URLs, "Where layers that are not pushed may be.")
    indexes: Indexes = now(Indexes, "What an index needs.")
    sparse: Flag = now(False, "True: manifests may refer to blobs and manifests that are absent.")


class Validation(Section):
    """``validation``"""

    enabled: Flag = now(False, "Old; it is on unless `disabled`.")
    disabled: Flag = now(False, "True: URLs and limits are not checked.")
    manifests: ManifestValidation = now(ManifestValidation, "Of pushed manifests.")
