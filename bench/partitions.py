"""Whether partitions pay on PostgreSQL: the same questions to the same rows, in one table and in many.

``python bench/partitions.py`` seeds a PostgreSQL of its own, asks every variant in turn, and prints Markdown tables
and the plans. Times are CPU of the process that serves the connection, so that they mean the same on a busy machine.
``--manifests`` and ``--journal`` make it smaller. What came out is in ``docs/adr/0014-partitioning.md``.
"""

import argparse
import asyncio
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

import postgres
import processes
from partition_cases import CASES, JOURNAL_CASES, Case
from partition_tables import (
    COMMON,
    JOURNAL_LAYOUTS,
    JOURNAL_START_YEAR,
    JOURNAL_YEARS,
    LAYOUTS,
    SHARED_BLOBS,
    JournalLayout,
    Layout,
    journal_partitions,
    journal_statements,
    statements,
)

SETTINGS = {
    "shared_buffers": "1GB",
    "maintenance_work_mem": "512MB",
    "work_mem": "32MB",
    "max_wal_size": "8GB",
    "max_locks_per_transaction": "512",
    "fsync": "off",
    "autovacuum": "off",
    "jit": "off",
    # What a statement costs is the CPU of its one process.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}
PASSES = 3
"""The variants are asked in turn, so often: what else the machine does meets them all."""
WARMING = 8


@dataclass(slots=True)
class Table:
    """What the report shows: rows of cells, one column a variant."""

    columns: Sequence[str]
    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    def put(self, row: str, column: str, cell: str) -> None:
        """Note one cell."""
        self.rows.setdefault(row, {})[column] = cell

    def markdown(self) -> str:
        """The table, as it goes into the documentation."""
        lines = [["", *self.columns], ["---"] * (len(self.columns) + 1)]
        lines += [[row, *(cells.get(column, "") for column in self.columns)] for row, cells in self.rows.items()]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


class Experiment:
    """One run against one server; what it finds goes into tables and plans."""

    def __init__(self, server: postgres.Postgres, variants: Sequence[str]) -> None:
        self._server = server
        self._variants = variants
        self.table = Table(variants)
        self.plans: list[str] = []

    async def connect(self, variant: str, *, prepared: bool = True) -> asyncpg.Connection:
        """A connection that sees the tables of one variant."""
        return await asyncpg.connect(
            self._server.url(),
            statement_cache_size=1000 if prepared else 0,
            command_timeout=1800,
            server_settings={"search_path": f"{variant},public"},
        )

    async def seed(self, variant: str, texts: Sequence[str]) -> None:
        """Make and fill one variant, and note its size."""
        connection = await self.connect(variant)
        began = time.monotonic()
        await connection.execute(f"CREATE SCHEMA {variant}")
        for text in texts:
            await connection.execute(text)
        await connection.execute("VACUUM (ANALYZE)")
        print(f"{variant}: seeded in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        sizes = await connection.fetchrow(
            "SELECT sum(pg_table_size(oid)) / 2^20, sum(pg_indexes_size(oid)) / 2^20 FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = $1::regnamespace",
            variant,
        )
        self.table.put("size of the tables and of their indexes, MiB", variant, f"{sizes[0]:.0f} + {sizes[1]:.0f}")
        await connection.close()

    async def ask(self, cases: Sequence[Case]) -> None:
        """Ask every case of every variant, with prepared statements and without."""
        for case in cases:
            for prepared in (True, False):
                cpu_us: dict[str, list[float]] = {variant: [] for variant in self._variants}
                for _ in range(PASSES):
                    for variant in self._variants:
                        cpu_us[variant].append(await self._cpu_us(case, variant, prepared=prepared))
                for variant in self._variants:
                    title = f"{case.title}, µs" + ("" if prepared else ", unprepared")
                    self.table.put(title, variant, f"{statistics.median(cpu_us[variant]):.0f}")
            if case.explained:
                await self._explain(case)

    async def _cpu_us(self, case: Case, variant: str, *, prepared: bool) -> float:
        connection = await self.connect(variant, prepared=prepared)
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        before_s = 0.0
        for number in range(case.calls + WARMING):
            # The first calls read the catalogue and settle on a plan.
            if number == WARMING:
                before_s = processes.precise_cpu_s(backend)
            await connection.fetch(case.text(variant), *case.arguments(number))
        cpu_us = 1e6 * (processes.precise_cpu_s(backend) - before_s) / case.calls
        await connection.close()
        return cpu_us

    async def _explain(self, case: Case) -> None:
        for variant in self._variants:
            connection = await self.connect(variant)
            await connection.execute("SET plan_cache_mode = force_generic_plan")
            await connection.execute(f"PREPARE asked AS {case.text(variant)}")
            values = ", ".join(_literal(value) for value in case.arguments(5))
            lines: list[str] = []
            for _ in range(2):
                rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) EXECUTE asked ({values})")
                lines = [row[0] for row in rows]
            self.plans.append(f"{case.title}, {variant}, generic plan:\n" + "\n".join(_without_unused(lines)))
            await connection.close()

    async def timed(self, title: str, variant: str, *texts: str) -> None:
        """Run statements once, after a checkpoint; note how much CPU they took and how much they logged."""
        connection = await self.connect(variant)
        await connection.execute("CHECKPOINT")
        start = await connection.fetchval("SELECT pg_current_wal_insert_lsn()::text")
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        before_s = processes.precise_cpu_s(backend)
        for text in texts:
            await connection.execute(text)
        cpu_ms = 1e3 * (processes.precise_cpu_s(backend) - before_s)
        wal = await connection.fetchval("SELECT (pg_current_wal_insert_lsn() - $1::text::pg_lsn) / 2^20", start)
        self.table.put(title, variant, f"{cpu_ms:.0f} ms, {wal:.0f} MiB of WAL")
        await connection.close()

    async def memory(self, cases: Sequence[Case]) -> None:
        """What one connection holds in memory once it has prepared and run every case with a generic plan."""
        for variant in self._variants:
            connection = await self.connect(variant)
            await connection.execute("SET plan_cache_mode = force_generic_plan")
            for case in cases:
                await connection.fetch(case.text(variant), *case.arguments(5))
            held = await connection.fetchval("SELECT sum(total_bytes) / 2^20 FROM pg_backend_memory_contexts")
            self.table.put("memory of one connection, all statements prepared, MiB", variant, f"{held:.1f}")
            await connection.close()


async def _manifests(server: postgres.Postgres, manifests: int) -> Experiment:
    experiment = Experiment(server, LAYOUTS)
    connection = await experiment.connect("public")
    await connection.execute(COMMON.format(manifests=manifests, shared=SHARED_BLOBS))
    await connection.close()
    layouts: tuple[Layout, ...] = LAYOUTS
    for layout in layouts:
        await experiment.seed(layout, list(statements(layout, manifests=manifests)))
    await experiment.ask(CASES)
    await experiment.memory(CASES)
    for layout in layouts:
        for what, which in (
            ("the 20,000 tags of one repository", "repository_id = 2"),
            ("20,000 others", "id % 50 = 7"),
        ):
            await experiment.timed(f"delete {what}", layout, f"DELETE FROM tags WHERE {which}")  # noqa: S608 - our own
            await experiment.timed(f"VACUUM tags, {what} deleted", layout, "VACUUM tags")
    return experiment


async def _journal(server: postgres.Postgres, rows: int) -> Experiment:
    names = {layout: f"journal_{layout}" for layout in JOURNAL_LAYOUTS}
    experiment = Experiment(server, list(names.values()))
    layouts: tuple[JournalLayout, ...] = JOURNAL_LAYOUTS
    for layout in layouts:
        await experiment.seed(names[layout], list(journal_statements(layout, rows=rows)))
    await experiment.ask(JOURNAL_CASES)
    await experiment.memory(JOURNAL_CASES)
    first = JOURNAL_START_YEAR
    for layout in layouts:
        title = f"drop the first of {JOURNAL_YEARS} years"
        if layout == "one":
            text = f"DELETE FROM journal WHERE at < '{first + 1}-01-01'"  # noqa: S608 - our own year
            await experiment.timed(title, names[layout], text)
            await experiment.timed("VACUUM after that", names[layout], "VACUUM journal")
        else:
            gone = [name for name, start, _ in journal_partitions(layout) if start.startswith(str(first))]
            await experiment.timed(title, names[layout], *(f"DROP TABLE {name}" for name in gone))
    return experiment


def _without_unused(lines: Sequence[str]) -> list[str]:
    """A plan without the parts that were never executed; a line says how many there were."""
    kept: list[str] = []
    unused = 0
    unused_depth = 0
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if "(never executed)" in line:
            unused, unused_depth = unused + 1, depth
        elif not unused_depth or depth <= unused_depth:
            unused_depth = 0
            kept.append(line)
    return [*kept, f"({unused} parts of the plan were never executed)"] if unused else kept


def _literal(value: object) -> str:
    return f"'\\x{value.hex()}'" if isinstance(value, bytes) else f"'{value}'"


def _print(experiment: Experiment) -> None:
    print(experiment.table.markdown(), "\n")
    print("\n\n".join(experiment.plans), "\n", flush=True)


def main() -> int:
    """Run both experiments and print what they found."""
    parser = argparse.ArgumentParser(prog="bench/partitions.py", description=__doc__.splitlines()[0])
    parser.add_argument("--manifests", type=int, default=1_000_000)
    parser.add_argument("--journal", type=int, default=5_000_000, help="rows of the journal")
    parser.add_argument("--scratch", type=Path, default=Path(__file__).resolve().parent / "scratch")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    # Whoever ends this run ends the server and removes its folder too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with (
        tempfile.TemporaryDirectory(prefix="partitions-", dir=options.scratch) as folder,
        postgres.serving(Path(folder), SETTINGS) as server,
    ):
        _print(asyncio.run(_manifests(server, options.manifests)))
        _print(asyncio.run(_journal(server, options.journal)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
