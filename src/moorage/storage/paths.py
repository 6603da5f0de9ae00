"""Paths in storage: Distribution's tree, drawn, and one function per kind of path.

::

    /docker/registry/v2
    ├── blobs/<algorithm>/<first two of hex>/<hex>/data            every blob and, with link files, every manifest
    └── repositories/<name>
        ├── _layers/<algorithm>/<hex>/link                         the blob is in this repository
        ├── _manifests
        │   ├── revisions/<algorithm>/<hex>/link                   the manifest is in this repository
        │   ├── revisions/<algorithm>/<hex>/contenttype          * its Content-Type, where the payload does not show it
        │   ├── kept                                             * it stays without manifests, on an object store
        │   ├── referrers/<algorithm>/<hex>/<algorithm>/<hex>    * descriptor of a manifest whose subject is the first
        │   └── tags/<tag>
        │       ├── current/link                                   what the tag points to
        │       └── index/<algorithm>/<hex>/link                   what it ever pointed to
        ├── _uploads/<id>                                        * the bytes so far, on a file system
        └── _uploads/<id>
            ├── data                                               the bytes so far, if Distribution began it
            ├── piece-<offset>                                   * or a piece of them, on an object store
            ├── multipart-<random>                               * parts that are written to the blob's place there
            └── startedat                                          RFC 3339

    /docker/registry/lockfiles/{filesystem,database}-in-use        where the metadata is (GitLab's; see locks.py)
    /docker/registry/lockfiles/{writing,…}-<random>              * the processes at work (see presence.py)
    /docker/registry/quarantine/<algorithm>/<hex>/data-<moment>  * bytes that are not what their digest says
    /docker/registry/moorage/identity.json                       * which database the storage belongs to
    /docker/registry/moorage/mark.json                           * the latest mark of the database that serves it
    /docker/registry/moorage/check.json                          * how far an unfinished check is
    /docker/registry/moorage/checked.json                        * what the last check came to
    /docker/registry/moorage/import.json                         * how far an unfinished import into a database is
    /docker/registry/moorage/restoring/<random>                  * a blob that a backup gives back, on its way
    /docker/registry/moorage/nodes/<node>.json                   * fingerprints that moorage doctor compares

``*`` is ours: Distribution reads only files called ``link`` there and passes over the rest. A link's content is the
digest, without a newline.

Source: distribution ``registry/storage/paths.go``; GitLab features STO-001 to STO-017.
"""

from datetime import datetime

from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag

ROOT = "/docker/registry/v2"
REPOSITORIES = f"{ROOT}/repositories"
BLOBS = f"{ROOT}/blobs"
LOCK_FILES = "/docker/registry/lockfiles"
QUARANTINE = "/docker/registry/quarantine"
IDENTITY = "/docker/registry/moorage/identity.json"
"""Says which database this storage belongs to: see ``identity.py``."""
MARK = "/docker/registry/moorage/mark.json"
"""Has the latest mark of the database that serves this storage: two that do so notice each other."""
CHECK = "/docker/registry/moorage/check.json"
"""Says how far an unfinished ``moorage check`` is."""
CHECKED = "/docker/registry/moorage/checked.json"
"""Says what the last ``moorage check`` that came to its end has found."""
IMPORT = "/docker/registry/moorage/import.json"
"""Says how far an unfinished import of link files into a database is."""
ADOPTION = "/docker/registry/moorage/adopting.json"
"""Says which database is taking over link files while it serves them."""
RESTORE = "/docker/registry/moorage/restore.json"
"""Says which backup is being brought back, until all of it is."""
RESTORING = "/docker/registry/moorage/restoring"
"""Has the blobs that a backup gives back, on their way."""
NODES = "/docker/registry/moorage/nodes"
"""Has a note of each node, for ``moorage doctor`` to compare."""


def lock_file(name: str) -> str:
    """Says where the metadata of this storage is: see ``locks.py``."""
    return f"{LOCK_FILES}/{name}"


def blob(digest: Digest) -> str:
    """The bytes of a blob or, in the link-file layout, of a manifest."""
    return f"{BLOBS}/{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}/data"


def quarantined(digest: Digest, moment: datetime) -> str:
    """Return the path for bytes that were found to be wrong: beside the tree, so that they are never served."""
    return f"{QUARANTINE}/{digest.algorithm}/{digest.encoded}/data-{moment.strftime('%Y%m%dT%H%M%S.%fZ')}"


def repository(name: RepositoryName) -> str:
    """The folder of a repository."""
    return f"{REPOSITORIES}/{name.text}"


def layers(name: RepositoryName) -> str:
    """The folder of all :func:`layer`."""
    return f"{repository(name)}/_layers"


def layer_link(name: RepositoryName, digest: Digest) -> str:
    """Says that a blob is in a repository."""
    return f"{layer(name, digest)}/link"


def layer(name: RepositoryName, digest: Digest) -> str:
    """The folder of :func:`layer_link`."""
    return f"{layers(name)}/{digest.algorithm}/{digest.encoded}"


def manifests(name: RepositoryName) -> str:
    """The folder whose being there makes a repository."""
    return f"{repository(name)}/_manifests"


def kept(name: RepositoryName) -> str:
    """Lets a repository stay without manifests, where storage has no empty folders: see ``repository_marks.py``."""
    return f"{manifests(name)}/kept"


def revisions(name: RepositoryName) -> str:
    """The folder of all :func:`revision`."""
    return f"{manifests(name)}/revisions"


def revision(name: RepositoryName, digest: Digest) -> str:
    """The folder of :func:`revision_link`."""
    return f"{revisions(name)}/{digest.algorithm}/{digest.encoded}"


def revision_link(name: RepositoryName, digest: Digest) -> str:
    """Says that a manifest is in a repository."""
    return f"{revision(name, digest)}/link"


def content_type(name: RepositoryName, digest: Digest) -> str:
    """Return the path of a manifest's Content-Type, kept where the payload does not show it."""
    return f"{revision(name, digest)}/contenttype"


def tags(name: RepositoryName) -> str:
    """The folder of all tags."""
    return f"{manifests(name)}/tags"


def tag(name: RepositoryName, tag_: Tag) -> str:
    """The folder of one tag."""
    return f"{tags(name)}/{tag_.text}"


def tag_link(name: RepositoryName, tag_: Tag) -> str:
    """Says what a tag points to."""
    return f"{tag(name, tag_)}/current/link"


def tag_index(name: RepositoryName, tag_: Tag) -> str:
    """The folder of what a tag ever pointed to."""
    return f"{tag(name, tag_)}/index"


def tag_index_link(name: RepositoryName, tag_: Tag, digest: Digest) -> str:
    """Says that a tag once pointed to a manifest."""
    return f"{tag_index(name, tag_)}/{digest.algorithm}/{digest.encoded}/link"


def subjects(name: RepositoryName) -> str:
    """The folder of all :func:`referrers`."""
    return f"{manifests(name)}/referrers"


def referrers(name: RepositoryName, subject: Digest) -> str:
    """The folder of the manifests that have *subject* as their subject."""
    return f"{subjects(name)}/{subject.algorithm}/{subject.encoded}"


def referrer(name: RepositoryName, subject: Digest, digest: Digest) -> str:
    """The descriptor of one of them."""
    return f"{referrers(name, subject)}/{digest.algorithm}/{digest.encoded}"


def uploads(name: RepositoryName) -> str:
    """The folder of all upload sessions of a repository."""
    return f"{repository(name)}/_uploads"


def upload(name: RepositoryName, session: str) -> str:
    """The file that an upload session is on a file system, or its folder."""
    return f"{uploads(name)}/{session}"


def upload_started_at(name: RepositoryName, session: str) -> str:
    """The path of the file with the time at which an upload was started."""
    return f"{upload(name, session)}/startedat"


def is_of_an_upload(path: str) -> bool:
    """Return whether *path* is an upload that is under way, or a folder of them: a tag may be called ``_uploads``."""
    # No part of a repository's name begins with an underscore: the first that does says what the rest is.
    return next((part for part in path.split("/") if part.startswith("_")), "") == "_uploads"


def readable(text: str) -> str:
    """Return a path or a name of which every part is a character: in storage it may have bytes that are no UTF-8."""
    return text.encode(errors="backslashreplace").decode()
