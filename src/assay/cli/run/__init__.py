"""`assay run STRATEGY`: one file a strategy."""

from assay.cli.run.best_of_n import best_of_n
from assay.cli.run.discover import discovery
from assay.cli.run.refine import refinement
from assay.cli.run.rlvr import reinforcement_learning
from assay.cli.run.self_distillation import self_distillation
from assay.cli.run.test_time_training import test_time_training

__all__ = ["best_of_n", "discovery", "refinement", "reinforcement_learning", "self_distillation", "test_time_training"]
