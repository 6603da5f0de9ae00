"""``moorage version``."""

import json
import platform

from moorage import __version__
from moorage.cli.options import AsJSON


def version(*, as_json: AsJSON = False) -> None:
    """Print the version."""
    found = {"moorage": __version__, "python": platform.python_version()}
    print(json.dumps(found) if as_json else "\n".join(f"{name} {number}" for name, number in found.items()))
