"""Samba's domain controller: Active Directory with what it says over LDAP, on an address of loopback of its own.

Its ports are fixed, so it has an address that no other process's has: another run of the tests may have one too.
It asks for TLS before it takes a password, as Windows does since 2020.
"""

import contextlib
import ipaddress
import os
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # As where the package imports it.
    import ldap3

from support.authority import Authority
from support.components import need

ADDRESS = str(ipaddress.IPv4Address("127.64.0.0") + os.getpid())
"""A process has at most 22 bits: ``PID_MAX_LIMIT`` of Linux."""
PORT, TLS_PORT = 389, 636
BASE = "DC=company,DC=example"
PEOPLE, GROUPS, ELSEWHERE = f"OU=People,{BASE}", f"OU=Groups,{BASE}", f"OU=Elsewhere,{BASE}"
SEARCHER, SEARCHER_PASSWORD = "moorage@company.example", "The searcher's 0wn"
PASSWORD = "Pässwort 0f the domain"
NORMAL, MACHINE, DISABLED, NEVER_EXPIRES = 0x200, 0x1000, 0x2, 0x10000
"""Source: Microsoft's ADS_USER_FLAG_ENUM."""
_ROOT, _ROOT_PASSWORD = "administrator@company.example", "R00t of the tests"
_PATIENCE_S = 60.0

_CONF = """\
[global]
    netbios name = DC1
    realm = COMPANY.EXAMPLE
    workgroup = COMPANY
    server role = active directory domain controller
    server services = ldap
    interfaces = {address}/8
    bind interfaces only = yes
    private dir = {folder}/private
    state directory = {folder}/state
    cache directory = {folder}/cache
    lock directory = {folder}
    pid directory = {folder}
    ncalrpc dir = {folder}/ncalrpc
    binddns dir = {folder}/bind-dns
    winbindd socket directory = {folder}/winbindd
    ntp signd socket directory = {folder}/ntp
    tls cafile = {ca}
    tls certfile = {certificate}
    tls keyfile = {key}
[sysvol]
    path = {folder}/state/sysvol
[netlogon]
    path = {folder}/state/sysvol/company.example/scripts
"""

# For Debian's Python, which has Samba's modules.
_AGING = """
import ldb, sys
database = ldb.Ldb(f"tdb://{sys.argv[1]}", options=["modules:"])
message = ldb.Message(ldb.Dn(database, sys.argv[2]))
message["pwdLastSet"] = ldb.MessageElement("131000000000000000", ldb.FLAG_MOD_REPLACE, "pwdLastSet")
database.modify(message)
"""


class Domain:
    """The domain, as its administrator changes it."""

    def __init__(self, connection: ldap3.Connection, ca_file: Path, data: Path) -> None:
        self._connection = connection
        self.ca_file = ca_file
        self._data = data

    def add_user(self, name: str, **attributes: object) -> None:
        """Add an account that is called *name* and whose password is ``PASSWORD``, in ``PEOPLE``."""
        values: dict[str, object] = {
            "sAMAccountName": name,
            "userPrincipalName": f"{name}@company.example",
            "unicodePwd": _quoted(PASSWORD),
            "userAccountControl": NORMAL,
        }
        self.add(f"CN={name.title()} Lovelace,{PEOPLE}", "user", **{**values, **attributes})

    def add_machine(self, name: str) -> None:
        """Add a computer's account, whose password is ``PASSWORD``."""
        values = {"sAMAccountName": f"{name}$", "userAccountControl": MACHINE, "unicodePwd": _quoted(PASSWORD)}
        self.add(f"CN={name},{PEOPLE}", "computer", **values)

    def add(self, dn: str, kind: str, **attributes: object) -> None:
        self._connection.add(dn, [kind], attributes)

    def change(self, dn: str, **attributes: object) -> None:
        self._connection.modify(dn, {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in attributes.items()})

    def set_password(self, name: str, password: str) -> None:
        self.change(dn_of(name), unicodePwd=_quoted(password))

    def age_password(self, name: str) -> None:
        """Have a password be of the year 2016, which no request can: it is written into the database of the server."""
        file = self._data / "private" / "sam.ldb.d" / f"{BASE.upper()}.ldb"
        subprocess.run(["/usr/bin/python3", "-c", _AGING, str(file), dn_of(name)], timeout=60, check=True)

    @contextlib.contextmanager
    def lockout_after(self, count: int) -> Iterator[None]:
        """Have accounts be locked after so many wrong passwords, until the block ends."""
        self.change(BASE, lockoutThreshold=count)
        try:
            yield
        finally:
            self.change(BASE, lockoutThreshold=0)

    def move(self, name: str, to: str) -> None:
        self._connection.modify_dn(dn_of(name), f"CN={name.title()} Lovelace", new_superior=to)

    def remove(self, dn: str) -> None:
        self._connection.delete(dn)

    def clear(self) -> None:
        """Take away what tests have added."""
        for place in (PEOPLE, GROUPS, ELSEWHERE):
            self._connection.search(place, "(objectClass=*)", search_scope=ldap3.LEVEL, attributes=["1.1"])
            for row in self._connection.response:
                self.remove(row["dn"])


def dn_of(name: str, *, at: str = PEOPLE) -> str:
    """The name of a user's entry."""
    return f"CN={name.title()} Lovelace,{at}"


@contextlib.contextmanager
def active_directory(folder: Path) -> Iterator[Domain]:
    """Run a domain with the searcher and empty places for people and groups until the end of the block (20 s)."""
    need("samba", "samba-tool", root=True)
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder / "authority")
    certified = authority.certify("dc1", ADDRESS, "dc1.company.example")
    data, conf = folder / "data", folder / "smb.conf"
    places = {"address": ADDRESS, "folder": data, "ca": authority.certificate}
    files = {"certificate": certified.certificate, "key": certified.key}
    _provision(data)
    conf.write_text(_CONF.format(**places, **files))
    with (folder / "log").open("wb") as stream:
        command = ["samba", "--interactive", "--model=single", "--debug-stdout", f"--configfile={conf}"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        _await(process, folder / "log")
        connection = _connected()
        try:
            domain = Domain(connection, authority.certificate, data)
            _furnish(domain)
            yield domain
        finally:
            connection.unbind()
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _provision(folder: Path) -> None:
    # Samba's own defaults, and not this machine's: Debian's ask PAM.
    (folder / "etc").mkdir(parents=True)
    (folder / "etc" / "smb.conf").touch()
    command: Sequence[str] = [
        *("samba-tool", "domain", "provision", "--use-rfc2307", "--server-role=dc", "--dns-backend=NONE"),
        *("--realm=COMPANY.EXAMPLE", "--domain=COMPANY", "--host-name=dc1", f"--host-ip={ADDRESS}"),
        *(f"--targetdir={folder}", f"--adminpass={_ROOT_PASSWORD}"),
    ]
    done = subprocess.run(command, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-4000:]
    for name in ("cache", "ncalrpc", "winbindd", "ntp"):
        (folder / name).mkdir(exist_ok=True)


def _connected() -> ldap3.Connection:
    server = ldap3.Server(ADDRESS, TLS_PORT, use_ssl=True, get_info=ldap3.NONE, connect_timeout=10)
    options: Mapping[str, object] = {"raise_exceptions": True, "check_names": False, "receive_timeout": 30}
    return ldap3.Connection(server, _ROOT, _ROOT_PASSWORD, auto_bind=True, **options)


def _furnish(domain: Domain) -> None:
    # Passwords may be changed at once, and again and again.
    domain.change(BASE, minPwdAge=0, pwdHistoryLength=0)
    for place in (PEOPLE, GROUPS, ELSEWHERE):
        domain.add(place, "organizationalUnit")
    account = {"sAMAccountName": "moorage", "userPrincipalName": SEARCHER, "unicodePwd": _quoted(SEARCHER_PASSWORD)}
    domain.add(f"CN=Moorage,CN=Users,{BASE}", "user", **account, userAccountControl=NORMAL | NEVER_EXPIRES)


def _await(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, TLS_PORT), 1):
            return
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.05)


def _quoted(password: str) -> bytes:
    """A password as ``unicodePwd`` takes it. Source: MS-ADTS § 3.1.1.3.1.5.1."""
    return f'"{password}"'.encode("utf-16-le")
