"""``compatibility``: old formats."""

from moorage.config.section import (
    Flag,
    Section,
    Text,
    later,
)


class Schema1(Section):
    """``compatibility.schema1``"""

    enabled: Flag = later(False, "Docker manifests of schema 1 are always refused.")
    signingkeyfile: Text = later("", "Distribution's key for them.", go_name="TrustKey")


class Compatibility(Section):
    """``compatibility``"""

    schema1: Schema1 = later(Schema1, "Old manifests.")
