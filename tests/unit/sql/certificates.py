"""An authority and what it certifies, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certified:
    certificate: Path
    key: Path


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._own = self._paths(name)
        _openssl("req", "-x509", *_NEW, *self._out(self._own), "-subj", f"/CN={name}", "-days", "2")

    @property
    def certificate(self) -> Path:
        return self._own.certificate

    def certify(self, name: str, *alternatives: str) -> Certified:
        """A certificate for *name*, and for *alternatives* such as ``IP:127.0.0.1``."""
        made = self._paths(name)
        request = self.folder / f"{name}.csr"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(alternatives or (f'DNS:{name}',))}\n")
        _openssl("req", *_NEW, "-keyout", str(made.key), "-out", str(request), "-subj", f"/CN={name}")
        _openssl(
            *("x509", "-req", "-in", str(request), "-out", str(made.certificate), "-days", "2"),
            *("-CA", str(self._own.certificate), "-CAkey", str(self._own.key), "-extfile", str(extensions)),
        )
        return made

    def _paths(self, name: str) -> Certified:
        return Certified(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def _out(self, made: Certified) -> list[str]:
        return ["-keyout", str(made.key), "-out", str(made.certificate)]


_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=30)
