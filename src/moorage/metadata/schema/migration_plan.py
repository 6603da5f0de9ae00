"""The plan of a migrator, from what a database has and what is asked for: pure decisions."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.metadata.schema.chains import Applied, Chains, ChainStep, Phase, other, refused
from moorage.sql.base import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The number of migrations to do or to undo in each chain; None: all."""

    pre: int | None = None
    post: int | None = None
    never_post: bool = False
    """Not even where one before a deployment needs it."""

    def limit(self, phase: Phase) -> int | None:
        """Return the number for one chain."""
        return self.pre if phase == "pre-deployment" else self.post


def plan_up(chains: Chains, history: Sequence[Applied], wish: Wish) -> Sequence[ChainStep]:
    """Plan what to apply, in order: the migrations asked for, and those of the other chain that they need.

    Raises:
        ConfigurationError: the database has migrations that this version does not know, or one is needed that must
            not be applied.
    """
    planned: list[ChainStep] = []
    there = {(row.phase, row.name) for row in history}
    wanted = [
        step
        for phase in ("pre-deployment", "post-deployment")
        for step in _first([step for step in chains.steps() if step.phase == phase], there, wish.limit(phase))
    ]
    if wanted:
        _refuse_unknown(chains, history)
    for step in wanted:
        _add(chains, step, there, planned)
    for step in planned:
        if wish.never_post and step.phase == "post-deployment":
            msg = f"post-deployment migration {step.migration.name} is needed first: do not skip post-deployment ones"
            raise refused(msg)
    return planned


def plan_down(chains: Chains, history: Sequence[Applied], wish: Wish, dialect: Dialect) -> Sequence[ChainStep]:
    """Plan what to undo, in order: post-deployment migrations first, the newest first.

    Raises:
        ConfigurationError: one cannot be undone, or one that stays needs it.
    """
    there = {(row.phase, row.name) for row in history}
    planned: list[ChainStep] = []
    for phase in ("post-deployment", "pre-deployment"):
        steps = [step for step in chains.steps() if step.phase == phase and (step.phase, step.migration.name) in there]
        limit = wish.limit(phase)
        planned += steps[::-1][: len(steps) if limit is None else limit]
    if planned:
        _refuse_unknown(chains, history)
    staying = [step for step in chains.steps() if (step.phase, step.migration.name) in there and step not in planned]
    for step in planned:
        _refuse_undoing(chains, step, staying, dialect)
    return planned


def unknown(chains: Chains, history: Sequence[Applied]) -> Sequence[Applied]:
    """Return the migrations that a database has and this version does not know."""
    known = {(step.phase, step.migration.name) for step in chains.steps()}
    return [row for row in history if (row.phase, row.name) not in known]


def _first(steps: Sequence[ChainStep], there: set[tuple[Phase, str]], limit: int | None) -> Sequence[ChainStep]:
    pending = [step for step in steps if (step.phase, step.migration.name) not in there]
    return pending if limit is None else pending[:limit]


def _add(chains: Chains, step: ChainStep, there: set[tuple[Phase, str]], planned: list[ChainStep]) -> None:
    key = (step.phase, step.migration.name)
    if key in there:
        return
    there.add(key)
    for name in step.migration.requires:
        for needed in chains.needed_up_to(other(step.phase), name):
            _add(chains, needed, there, planned)
    planned.append(step)


def _refuse_unknown(chains: Chains, history: Sequence[Applied]) -> None:
    rows = unknown(chains, history)
    if rows:
        msg = (
            f"the database has the {rows[0].phase} migration {rows[0].name}, which this version of Moorage does not "
            "know: migrate it with the version that does"
        )
        raise refused(msg)


def _refuse_undoing(chains: Chains, step: ChainStep, staying: Sequence[ChainStep], dialect: Dialect) -> None:
    name = step.migration.name
    if chains.of(step.phase).script(step.migration, dialect, "down") is None:
        msg = f"the {step.phase} migration {name} cannot be undone"
        raise refused(msg)
    for kept in staying:
        if kept.phase != step.phase and name in kept.migration.requires:
            msg = f"the {step.phase} migration {name} cannot be undone before {kept.migration.name}, which needs it"
            raise refused(msg)
