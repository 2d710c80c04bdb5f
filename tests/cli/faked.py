"""Runs the command line with the fakes in place of model and judge: `python faked.py ARGUMENTS`."""

import sys

import fakes

from assay.cli.main import main
from assay.runs import build, lifecycle


def put_fakes(pause_s: float = 0.0) -> None:
    lifecycle.load_policy = lambda config, progress=None: fakes.FakePolicy(pause_s=pause_s)
    lifecycle.load_evaluator = lambda config: fakes.FakeEvaluator(pause_s=pause_s)
    build.extract = fakes.extract
    build.reference_copy = fakes.control


if __name__ == "__main__":
    put_fakes(pause_s=0.02)
    sys.exit(main(sys.argv[1:]))
