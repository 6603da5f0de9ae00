"""The tables that :mod:`partitions` compares: how each variant lays them out, and the SQL that fills them.

The columns are those of the first migration. Triggers are left out: they do the same work in every variant.
"""

from collections.abc import Iterator
from typing import Literal

Layout = Literal["one", "keyed", "hashed"]
"""``one``: as the migration has it. ``keyed``: the repository leads every key. ``hashed``: that, in 64 partitions."""

LAYOUTS: tuple[Layout, ...] = ("one", "keyed", "hashed")
HASH_PARTITIONS = 64
SHARED_BLOBS = 100_000

JOURNAL_START_YEAR = 2021
JOURNAL_YEARS = 5
JOURNAL_YEARS_AHEAD = 10
"""Yearly partitions that are there before they are needed, besides one for whatever no other takes."""
JournalLayout = Literal["one", "yearly", "monthly"]
JOURNAL_LAYOUTS: tuple[JournalLayout, ...] = ("one", "yearly", "monthly")

# Sizes are mixed: 1 repository has a tenth of all manifests, 9 a fiftieth each, 90 a 250th, 900 a 2500th.
COMMON = """
CREATE TABLE repositories (id bigint PRIMARY KEY, path text COLLATE "C" NOT NULL UNIQUE);
INSERT INTO repositories SELECT id, 'group' || id % 50 || '/app' || id FROM generate_series(1, 1000) AS id;
CREATE UNLOGGED TABLE seed AS
    SELECT row_number() OVER (ORDER BY md5(id || ':' || k)) AS n, id AS repository_id, k
    FROM repositories, generate_series(1, {manifests} / CASE
        WHEN id = 1 THEN 10 WHEN id <= 10 THEN 50 WHEN id <= 100 THEN 250 ELSE 2500 END) AS k;
CREATE TABLE blobs (id bigint, digest bytea NOT NULL, size bigint NOT NULL, created_at timestamptz NOT NULL);
INSERT INTO blobs SELECT id, '\\x01' || sha256(('blob' || id)::bytea), 1000000 + id * 7919 % 50000000, '2024-01-01'
    FROM generate_series(1, ({shared} + {manifests})::bigint) AS id;
ALTER TABLE blobs ADD PRIMARY KEY (id), ADD UNIQUE (digest);
"""

_MANIFESTS = """
CREATE TABLE manifests (
    id bigint NOT NULL, repository_id bigint NOT NULL, digest bytea NOT NULL, media_type text NOT NULL,
    artifact_type text NOT NULL, payload bytea NOT NULL, size bigint NOT NULL, total_size bigint NOT NULL,
    config_blob_id bigint, config_media_type text, config_payload bytea, subject_digest bytea, annotations text,
    created_at timestamptz NOT NULL, deleted_at timestamptz){hashed}"""
_TAGS = """
CREATE TABLE tags (
    id bigint NOT NULL, repository_id bigint NOT NULL, name text COLLATE "C" NOT NULL, manifest_id bigint NOT NULL,
    created_at timestamptz NOT NULL, updated_at timestamptz, published_at timestamptz NOT NULL){hashed}"""
_LAYERS = {
    "one": "CREATE TABLE layers (manifest_id bigint NOT NULL, blob_id bigint NOT NULL)",
    "keyed": """CREATE TABLE layers (
        repository_id bigint NOT NULL, manifest_id bigint NOT NULL, blob_id bigint NOT NULL){hashed}""",
}

_FILL = (
    # A tenth of the manifests refers to the one before it, in the same repository. Payloads have 512 bytes.
    """INSERT INTO manifests
    SELECT n, repository_id, '\\x01' || sha256((repository_id || ':' || k)::bytea),
        'application/vnd.oci.image.manifest.v1+json', '', convert_to(repeat(md5(n::text), 16), 'UTF8'), 512, 50000000,
        {shared} + n, 'application/vnd.oci.image.config.v1+json', NULL,
        CASE WHEN k % 10 = 0 THEN '\\x01' || sha256((repository_id || ':' || k - 1)::bytea) END, NULL,
        timestamptz '2024-01-01' + n * interval '40 s', NULL
    FROM public.seed ORDER BY n""",
    """INSERT INTO tags
    SELECT n, repository_id, 'build-' || lpad(k::text, 7, '0'), n, timestamptz '2024-01-01' + n * interval '40 s', NULL,
        timestamptz '2024-01-01' + n * interval '40 s'
    FROM public.seed ORDER BY n""",
    # Four layers are shared within the repository, the fifth is the manifest's own.
    """INSERT INTO layers
    SELECT {repository} n, CASE WHEN j = 4 THEN {shared} + n
        ELSE 1 + (repository_id * 101 + j * 25 + k % 25) % {shared} END
    FROM public.seed, generate_series(0, 4) AS j ORDER BY n""",
)

_KEYS = {
    "one": """
ALTER TABLE manifests ADD PRIMARY KEY (id);
ALTER TABLE tags ADD PRIMARY KEY (id), ADD FOREIGN KEY (manifest_id) REFERENCES manifests (id) ON DELETE CASCADE;
ALTER TABLE layers ADD PRIMARY KEY (manifest_id, blob_id),
    ADD FOREIGN KEY (manifest_id) REFERENCES manifests (id) ON DELETE CASCADE;
CREATE INDEX tags_by_manifest ON tags (manifest_id);
""",
    "keyed": """
ALTER TABLE manifests ADD PRIMARY KEY (repository_id, id);
ALTER TABLE tags ADD PRIMARY KEY (repository_id, id);
ALTER TABLE tags ADD FOREIGN KEY (repository_id, manifest_id) REFERENCES manifests (repository_id, id)
    ON DELETE CASCADE;
ALTER TABLE layers ADD PRIMARY KEY (repository_id, manifest_id, blob_id);
ALTER TABLE layers ADD FOREIGN KEY (repository_id, manifest_id) REFERENCES manifests (repository_id, id)
    ON DELETE CASCADE;
CREATE INDEX tags_by_manifest ON tags (repository_id, manifest_id);
""",
}
_KEYS_OF_ALL = """
ALTER TABLE manifests ADD UNIQUE (repository_id, digest);
ALTER TABLE manifests ADD FOREIGN KEY (repository_id) REFERENCES public.repositories (id) ON DELETE CASCADE;
ALTER TABLE manifests ADD FOREIGN KEY (config_blob_id) REFERENCES public.blobs (id);
ALTER TABLE tags ADD UNIQUE (repository_id, name);
ALTER TABLE tags ADD FOREIGN KEY (repository_id) REFERENCES public.repositories (id) ON DELETE CASCADE;
ALTER TABLE layers ADD FOREIGN KEY (blob_id) REFERENCES public.blobs (id);
CREATE INDEX ON manifests (repository_id, subject_digest, digest) WHERE subject_digest IS NOT NULL;
CREATE INDEX ON manifests (config_blob_id) WHERE config_blob_id IS NOT NULL;
CREATE INDEX ON tags (repository_id, published_at, name);
CREATE INDEX layers_by_blob ON layers (blob_id);
"""

_JOURNAL = """
CREATE TABLE journal (
    id bigint NOT NULL, at timestamptz NOT NULL, request_id text NOT NULL, actor text NOT NULL, reason text NOT NULL,
    action text NOT NULL, repository_id bigint NOT NULL, repository text NOT NULL, tag text COLLATE "C",
    from_digest bytea, to_digest bytea, detail text)"""
# Three changes a request; in each of 1000 repositories 200 tags move round and round.
_FILL_JOURNAL = """INSERT INTO journal
    SELECT n, timestamptz '{start}-01-01' + n * (interval '1 s' * {seconds} / {rows}), md5((n / 3)::text), 'ci', '',
        'tag_move', n * 7919 % 1000 + 1, 'group/app' || n * 7919 % 1000 + 1, 'tag-' || n / 1000 % 200,
        '\\x01' || sha256((n - 1)::text::bytea), '\\x01' || sha256(n::text::bytea), NULL
    FROM generate_series(1, {rows}::bigint) AS n"""
_JOURNAL_KEYS = """
ALTER TABLE journal ADD PRIMARY KEY ({key});
CREATE INDEX ON journal (request_id, id);
CREATE INDEX ON journal (repository_id, tag, id);
CREATE INDEX ON journal (repository_id, id);
"""


def statements(layout: Layout, *, manifests: int) -> Iterator[str]:
    """What makes and fills one variant of manifests, tags and layers, in the schema that is searched first."""
    is_hashed = layout == "hashed"
    clause = " PARTITION BY HASH (repository_id)" if is_hashed else ""
    kind: Layout = "one" if layout == "one" else "keyed"
    for table, text in (("manifests", _MANIFESTS), ("tags", _TAGS), ("layers", _LAYERS[kind])):
        yield text.format(hashed=clause)
        for number in range(HASH_PARTITIONS if is_hashed else 0):
            bounds = f"FOR VALUES WITH (MODULUS {HASH_PARTITIONS}, REMAINDER {number})"
            yield f"CREATE TABLE {table}_p_{number} PARTITION OF {table} {bounds}"
    for text in _FILL:
        repository = "" if kind == "one" else "repository_id,"
        yield text.format(manifests=manifests, shared=SHARED_BLOBS, repository=repository)
    yield _KEYS[kind]
    yield _KEYS_OF_ALL


def journal_statements(layout: JournalLayout, *, rows: int) -> Iterator[str]:
    """What makes and fills one variant of the journal."""
    is_one = layout == "one"
    yield _JOURNAL + ("" if is_one else " PARTITION BY RANGE (at)")
    for name, start, end in journal_partitions(layout):
        yield f"CREATE TABLE {name} PARTITION OF journal FOR VALUES FROM ('{start}') TO ('{end}')"
    if not is_one:
        yield "CREATE TABLE journal_default PARTITION OF journal DEFAULT"
    seconds = JOURNAL_YEARS * 365 * 86400
    yield _FILL_JOURNAL.format(start=JOURNAL_START_YEAR, seconds=seconds, rows=rows)
    yield _JOURNAL_KEYS.format(key="id" if is_one else "id, at")


def journal_partitions(layout: JournalLayout) -> Iterator[tuple[str, str, str]]:
    """Each partition's name, and where it begins and ends."""
    end = JOURNAL_START_YEAR + JOURNAL_YEARS
    if layout == "yearly":
        for year in range(JOURNAL_START_YEAR, end + JOURNAL_YEARS_AHEAD):
            yield f"journal_{year}", f"{year}-01-01", f"{year + 1}-01-01"
    if layout == "monthly":
        for year in range(JOURNAL_START_YEAR, end):
            for month in range(1, 13):
                following = f"{year}-{month + 1:02}-01" if month < 12 else f"{year + 1}-01-01"
                yield f"journal_{year}_{month:02}", f"{year}-{month:02}-01", following
