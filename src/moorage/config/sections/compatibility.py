"""``compatibility``: old formats."""

from moorage.config.section import Flag, Section, Text, unused


class Schema1(Section):
    """``compatibility.schema1``"""

    enabled: Flag = unused(False, "Docker manifests of schema 1 are always refused.")
    signingkeyfile: Text = unused("", "Distribution's key for them.", go_name="TrustKey")


class Compatibility(Section):
    """``compatibility``"""

    why_unused = "Schema 1 cannot be checked against digests and is refused; clients have not made it since 2017."

    schema1: Schema1 = unused(Schema1, "Old manifests.")
