"""OpenLDAP's server on free ports of loopback, with people, groups and a certificate of its own.

``with slapd(folder) as directory:`` gives its ports. The program is copied into the folder: where AppArmor has a
profile for Debian's, it is for that path, and forbids all others.
"""

import contextlib
import shutil
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # As where the package imports it.
    import ldap3
    from ldap3.core.exceptions import LDAPNoSuchObjectResult

from support.authority import Authority
from support.components import need
from support.ports import free_port

BASE = "dc=company,dc=example"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
SEARCHER, SEARCHER_PASSWORD = f"cn=searcher,{BASE}", "the-searcher's-own"
ROOT, ROOT_PASSWORD = f"cn=root,{BASE}", "root-of-the-tests"
PASSWORD = "Pässwort of the directory"
_PATIENCE_S = 30.0

# Attributes of Active Directory and of 389, which OpenLDAP does not know, with the numbers that they have there.
_CONF = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.99999.1 NAME 'adAccount' SUP top AUXILIARY MAY ( userAccountControl $ nsAccountLock ) )
objectclass ( 1.3.6.1.4.1.99999.2 NAME 'computer' SUP top AUXILIARY )
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
database mdb
maxsize 16777216
suffix "{base}"
rootdn "{root}"
rootpw {root_password}
directory {data}
dbnosync
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{searcher}" read by * none
overlay ppolicy
ppolicy_default "cn=policy,{base}"
"""


class People:
    """The people and groups of a server, as its administrator changes them."""

    def __init__(self, connection: ldap3.Connection) -> None:
        self._connection = connection

    def add(self, name: str, *, at: str = PEOPLE, **attributes: str) -> None:
        """Add a person whose password is ``PASSWORD``; the DN has *name* as ``cn`` if another ``uid`` is given."""
        dn = f"{'cn' if 'uid' in attributes else 'uid'}={name},{at}"
        values = {"cn": f"{name.title()} Lovelace", "sn": "Lovelace", "mail": f"{name}@company.example"}
        self._add(dn, {**values, "userPassword": PASSWORD, **attributes})

    def read(self, uid: str) -> dict[str, list[bytes]]:
        """All attributes of a person, with the one that never changes."""
        everything = ["*", "entryUUID"]
        self._connection.search(
            f"uid={uid},{PEOPLE}", "(objectClass=*)", search_scope=ldap3.BASE, attributes=everything
        )
        return dict(self._connection.response[0]["raw_attributes"])

    def restore(self, uid: str, values: dict[str, list[bytes]]) -> None:
        """Add a person again as they were, with the id that the entry had. Source: the control of RFC 4370's kind."""
        kinds = values.pop("objectClass")
        relax = ("1.3.6.1.4.1.4203.666.5.12", True, None)
        self._connection.add(f"uid={uid},{PEOPLE}", kinds, values, controls=[relax])

    def refer(self, uid: str, url: str) -> None:
        """Add an entry that says that the person is elsewhere."""
        self._connection.add(f"uid={uid},{PEOPLE}", ["referral", "extensibleObject"], {"uid": uid, "ref": url})

    def change(self, uid: str, **attributes: str) -> None:
        changes = {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in attributes.items()}
        self._connection.modify(f"uid={uid},{PEOPLE}", changes)

    def clear_attribute(self, uid: str, name: str) -> None:
        self._connection.modify(f"uid={uid},{PEOPLE}", {name: [(ldap3.MODIFY_DELETE, [])]})

    def become_machine(self, uid: str) -> None:
        """Make an entry one of a machine, as Active Directory has them."""
        self._connection.modify(f"uid={uid},{PEOPLE}", {"objectClass": [(ldap3.MODIFY_ADD, ["computer"])]})

    def remove(self, uid: str) -> None:
        self._connection.delete(f"uid={uid},{PEOPLE}")

    def rename(self, uid: str, name: str, to: str, *, at: str = PEOPLE) -> None:
        self._connection.modify_dn(f"uid={uid},{at}", name, new_superior=to)

    def set_group(self, name: str, members: list[str]) -> None:
        """Make a group that has these members and no others."""
        dn = f"cn={name},{GROUPS}"
        with contextlib.suppress(LDAPNoSuchObjectResult):
            self._connection.delete(dn)
        self._connection.add(dn, ["groupOfNames"], {"member": [f"uid={uid},{PEOPLE}" for uid in members]})

    def clear(self) -> None:
        """Take away all people and groups."""
        manage_dsa_it = [("2.16.840.1.113730.3.4.2", False, None)]
        for place in (PEOPLE, GROUPS):
            self._connection.search(
                place, "(objectClass=*)", search_scope=ldap3.LEVEL, attributes=["1.1"], controls=manage_dsa_it
            )
            for row in self._connection.response:
                self._connection.delete(row["dn"], controls=manage_dsa_it)

    def _add(self, dn: str, values: dict[str, str]) -> None:
        self._connection.add(dn, ["inetOrgPerson", "adAccount"], values)


@dataclass(frozen=True, slots=True)
class Directory:
    """A server that answers."""

    port: int
    tls_port: int
    ca_file: Path
    log: Path

    @contextlib.contextmanager
    def connection(self) -> Iterator[ldap3.Connection]:
        """A connection of its administrator."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE, connect_timeout=10)
        options = {"raise_exceptions": True, "check_names": False, "receive_timeout": 10}
        connection = ldap3.Connection(server, ROOT, ROOT_PASSWORD, auto_bind=True, **options)
        try:
            yield connection
        finally:
            connection.unbind()

    @contextlib.contextmanager
    def people(self) -> Iterator[People]:
        """Change people until the end of the block; then all are taken away."""
        with self.connection() as connection:
            people = People(connection)
            try:
                yield people
            finally:
                people.clear()


@contextlib.contextmanager
def slapd(folder: Path) -> Iterator[Directory]:
    """Run a server with the searcher, an empty place for people and one for groups, until the end of the block."""
    need("slapd")
    folder.mkdir(parents=True, exist_ok=True)
    program, data, log = folder / "slapd", folder / "data", folder / "log"
    shutil.copy2(str(shutil.which("slapd")), program)
    data.mkdir()
    authority = Authority(folder / "authority")
    certified = authority.certify("localhost", "localhost", "127.0.0.1")
    conf = folder / "slapd.conf"
    conf.write_text(
        _CONF.format(
            ca=authority.certificate,
            certificate=certified.certificate,
            key=certified.key,
            base=BASE,
            root=ROOT,
            root_password=ROOT_PASSWORD,
            searcher=SEARCHER,
            data=data,
        )
    )
    port, tls_port = free_port(), free_port()
    # It listens where its certificate is not for, too.
    urls = " ".join(f"ldap://{host}:{port} ldaps://{host}:{tls_port}" for host in ("127.0.0.1", "127.0.0.2"))
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [program, "-f", conf, "-h", urls, "-d", "none"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )
    directory = Directory(port, tls_port, authority.certificate, log)
    try:
        _await(process, directory)
        with directory.connection() as connection:
            connection.add(BASE, ["dcObject", "organization"], {"dc": "company", "o": "Company"})
            connection.add(SEARCHER, ["person", "simpleSecurityObject"], {"sn": "x", "userPassword": SEARCHER_PASSWORD})
            # What locks an account by hand counts only where a policy has locks at all.
            policy = {"pwdAttribute": "userPassword", "pwdLockout": "TRUE"}
            connection.add(f"cn=policy,{BASE}", ["applicationProcess", "pwdPolicy"], policy)
            for place in (PEOPLE, GROUPS):
                connection.add(place, ["organizationalUnit"])
        yield directory
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _await(process: subprocess.Popen[bytes], directory: Directory) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", directory.tls_port), 1):
            return
        assert process.poll() is None, directory.log.read_text(errors="replace")
        assert time.monotonic() < deadline, directory.log.read_text(errors="replace")
        time.sleep(0.02)
