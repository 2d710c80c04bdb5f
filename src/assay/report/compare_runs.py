"""The runs of a comparison: what is read of each, which belong to one side, and whether they may be held together."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from assay.core.errors import UsageError
from assay.core.records import Evaluation, Record
from assay.report.analysis_runs import RunView, check_comparable, read_run
from assay.report.analysis_words import listed
from assay.runs.config import stored_config
from assay.runs.schema import Purpose
from assay.runs.store import Entry, PoolColumns, RunStore

# What the draw depends on and the method does not; nor does it depend on where the run was made.
_SEED = "seed"
_OWN_NAME = re.compile(r"^\w+(?::\d+)? \((.+)\)$")


@dataclass(frozen=True)
class ComparedRun:
    """A run as comparisons see it. label: the shortest name that tells it from the others.

    programs: by task, the candidate of each (round, index), in drawn order. looks: evaluations at first look, again:
    those of programs that were measured afresh, both by task and candidate.
    """

    label: str
    view: RunView
    config: Mapping[str, Any]
    programs: Mapping[str, Mapping[tuple[int, int], str | None]]
    looks: Mapping[tuple[str, str | None], Evaluation]
    again: Mapping[tuple[str, str | None], Evaluation]
    spending: tuple[Entry, ...]

    @property
    def seed(self) -> int | None:
        """The seed of its sampling, where it is stored."""
        seed = self.config.get(_SEED)
        return seed if isinstance(seed, int) else None

    @property
    def machines(self) -> tuple[str, ...]:
        """The devices that its programs were timed on, as the judge names them."""
        return tuple(sorted({look.provenance.device for look in self.looks.values()}))


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: a run, or several of one configuration that differ in their seed."""

    name: str
    runs: tuple[ComparedRun, ...]


class Setting(Record):
    """A setting in which the sides differ; values: one for each side, None where it has no such setting."""

    key: str
    values: tuple[Any, ...]


def read_compared(stores: Sequence[RunStore]) -> tuple[ComparedRun, ...]:
    """The stored runs. UsageError for a run without a judged sample."""
    labels = _labels([str(store.directory) for store in stores])
    return tuple(_read(store, label) for store, label in zip(stores, labels, strict=True))


def arms_of(runs: Sequence[ComparedRun], *, is_grouped: bool) -> tuple[Arm, ...]:
    """The sides, in the order of their first run. is_grouped: runs that differ in their seed alone are one side.

    UsageError for fewer than two sides, and for two runs of one side with the same seed: they are the same draws.
    """
    groups: dict[str, list[ComparedRun]] = {}
    for run in runs:
        groups.setdefault(_method(run) if is_grouped else run.view.name, []).append(run)
    for group in groups.values():
        for one, other in combinations(group, 2):
            if one.seed == other.seed:
                raise UsageError(
                    f"{one.view.name} and {other.view.name} have one configuration and one seed ({one.seed}):"
                    " they are the same draws, not two of them. Leave one out."
                )
    if len(groups) < 2:
        hint = ": all runs have one configuration. Leave --group out to compare them with each other" if groups else ""
        raise UsageError(f"name at least two {'configurations' if is_grouped else 'runs'} to compare{hint}")
    return tuple(Arm(_name(group), tuple(group)) for group in groups.values())


def check(arms: Sequence[Arm], *, is_anyway: bool) -> tuple[str, ...]:
    """Warnings about sides that were measured differently, each by name.

    UsageError for runs of other suites, scales or references, which nothing makes comparable; and, unless `is_anyway`,
    for other devices and rules of evaluation.
    """
    runs = [run for arm in arms for run in arm.runs]
    check_comparable([run.view for run in runs])
    refused = [*_apart("devices", arms, _devices), *_apart("rules of evaluation", arms, lambda run: (run.view.rule,))]
    if refused and not is_anyway:
        raise UsageError(f"{' '.join(refused)} Compare runs that were measured alike, or go on with --anyway.")
    warnings = [*refused, *_apart("settings of the evaluator", arms, _evaluator_settings)]
    if len({tuple(sorted(str(run.seed) for run in arm.runs)) for arm in arms}) > 1:
        warnings += _apart("seeds", arms, lambda run: (str(run.seed),))
    for run in runs:
        if not run.view.is_complete:
            warnings.append(f"{run.label} is not complete: `assay resume {run.view.name}` goes on.")
        if run.view.rule != "assay":
            warnings.append(f"{run.label} was judged by {run.view.rule}, which gives no verdict: read its raw figures.")
        warnings += [f"{run.label}: {note}" for note in run.view.notes]
    warnings += _same_method(arms)
    return tuple(warnings)


def settings_apart(arms: Sequence[Arm]) -> tuple[Setting, ...]:
    """Every setting in which the sides differ, by its dotted key; the seed is not one."""
    configs = [dict(_flat(arm.runs[0].config)) for arm in arms]
    keys = dict.fromkeys(key for config in configs for key in config if key != _SEED)
    found = [Setting(key=key, values=tuple(config.get(key) for config in configs)) for key in keys]
    return tuple(one for one in found if len({json.dumps(value) for value in one.values}) > 1)


# -- parts ------------------------------------------------------------------------------------------------------


def _read(store: RunStore, label: str) -> ComparedRun:
    return ComparedRun(
        label=label,
        view=read_run(store),
        config=_filled_in(store),
        programs=_programs(store.pool_columns()),
        looks={(one.task_key, one.candidate_hash): one for one in store.evaluations(Purpose.SEARCH)},
        again={(one.task_key, one.candidate_hash): one for one in store.evaluations(Purpose.SELECTED)},
        spending=store.spending(),
    )


def _programs(columns: PoolColumns) -> dict[str, dict[tuple[int, int], str | None]]:
    found: dict[str, dict[tuple[int, int], str | None]] = {}
    drawn = zip(columns.task_key, columns.round, columns.index, columns.candidate_hash, strict=True)
    for task, round, index, program in drawn:
        found.setdefault(task, {})[round, index] = program
    return found


def _filled_in(store: RunStore) -> Mapping[str, Any]:
    """The configuration with today's defaults for settings that did not exist when the run was made.

    Otherwise runs of two versions would never be of one configuration. As it is stored where it cannot be read.
    """
    try:
        return stored_config(store.config, store.directory).model_dump(mode="json")
    except UsageError:
        return store.config


def _labels(names: Sequence[str]) -> list[str]:
    """The last part of each path, or as many parts as tell all of them apart."""
    parts = [name.split("/") for name in names]
    for count in range(1, max(map(len, parts), default=1) + 1):
        labels = ["/".join(one[-count:]) for one in parts]
        if len(set(labels)) == len(labels):
            return labels
    return list(names)


def _method(run: ComparedRun) -> str:
    tasks = [task.key for task in run.view.tasks]
    return json.dumps([{**run.config, _SEED: None}, tasks], sort_keys=True)


def _name(group: Sequence[ComparedRun]) -> str:
    return group[0].label if len(group) == 1 else f"{group[0].label} ({len(group)} seeds)"


def _apart(what: str, arms: Sequence[Arm], values_of: Any) -> list[str]:
    """`The devices differ: a on cpu, b on cuda:0.`, or nothing where all runs have the same values."""
    values = {arm.name: {value for run in arm.runs for value in values_of(run)} for arm in arms}
    common = set.intersection(*values.values())
    if not any(found - common for found in values.values()):
        return []
    shown = "; ".join(f"{name}: {listed(sorted(found - common)) or 'no other'}" for name, found in values.items())
    return [f"The {what} differ ({shown})."]


def _devices(run: ComparedRun) -> tuple[str, ...]:
    """By the name that a device itself has, `H100` of `cuda:1 (H100)`: of equal ones it does not matter which."""
    names = dict.fromkeys(_OWN_NAME.sub(r"\1", name) for name in run.machines if name != "none")
    return tuple(names) or (run.view.device,)


def _evaluator_settings(run: ComparedRun) -> tuple[str, ...]:
    stored = run.config.get("evaluator")
    settings = stored if isinstance(stored, dict) else {}
    return tuple(f"{key} = {json.dumps(value)}" for key, value in sorted(settings.items()) if key != "rule")


def _same_method(arms: Sequence[Arm]) -> list[str]:
    return [
        f"{one.name} and {other.name} differ in their seed alone: --group takes such runs together."
        for one, other in combinations(arms, 2)
        if _method(one.runs[0]) == _method(other.runs[0])
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
