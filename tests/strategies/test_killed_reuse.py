"""Refinement and discovery in a process that is killed: going on gives the records of an uninterrupted run."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import render
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
    env = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"}
    rng = random.Random(name)
    for _ in range(2):
        command = [sys.executable, "-c", KILLED, name, str(tmp_path / "run")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        assert process.stdout is not None
        for _ in range(rng.randint(4, 25)):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
    run(tmp_path / "run", make(name))
    assert records(tmp_path / "run") == records(tmp_path / "whole")
