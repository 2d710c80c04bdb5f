"""Refinement and discovery in a process that is killed: going on gives the records of an uninterrupted run."""

import random
from pathlib import Path

import pytest
from fakes import render
from interrupted import kill_twice
from training_runs import TASKS, make_settings, records, run

from assay.strategies.discover import Discovery, Reuse
from assay.strategies.objective import PolicyGradient
from assay.strategies.refinement import Refinement

HERE = Path(__file__).parent
KILLED = """
import sys
from pathlib import Path
from fakes import FakeEvaluator
from test_killed_reuse import make
from training_runs import run
def show(event):
    print(type(event).__name__, flush=True)
run(Path(sys.argv[2]), make(sys.argv[1]), observe=show, evaluator=FakeEvaluator(pause_s=0.003))
"""


def make(name: str):
    if name == "refine":
        return Refinement(TASKS, 4, 3, render)
    settings = make_settings(steps=2, kl_coef=0.1)
    return Discovery(TASKS, 8, render, settings, PolicyGradient(settings, "entropic"), Reuse(groups=2))


@pytest.mark.parametrize("name", ["refine", "discover"])
def test_a_killed_run_goes_on_to_the_records_of_an_uninterrupted_one(tmp_path, name):
    run(tmp_path / "whole", make(name))
    kill_twice(KILLED, [name, tmp_path / "run"], HERE, random.Random(name), (4, 25))
    run(tmp_path / "run", make(name))
    assert records(tmp_path / "run") == records(tmp_path / "whole")
