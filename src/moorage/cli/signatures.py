"""Tags that clients make for signatures: they are shown to whoever asks for them."""

import re

SIGNATURE = re.compile(r"sha256-[0-9a-f]{64}(\.\w+)?")
"""Tags that cosign and the referrers' fallback use."""
