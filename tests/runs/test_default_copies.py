"""How many identical copies stand beside how many samples."""

import pytest

from assay.runs.config import BestOfNConfig, RunConfig, load_config


@pytest.mark.parametrize(("k", "copies"), [(1, 1), (15, 1), (16, 4), (64, 4)])
def test_from_sixteen_samples_on_four_copies_are_measured(k, copies):
    assert RunConfig(strategy=BestOfNConfig(k=k)).null_evaluations == copies
    assert load_config(None, {"strategy.k": k}).null_evaluations == copies


def test_what_is_given_and_what_is_stored_stays():
    config = load_config(None, {"strategy.k": 64, "null_evaluations": 2})
    assert config.null_evaluations == 2
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    stored = RunConfig(strategy=BestOfNConfig(k=4)).model_dump(mode="json")
    assert stored["null_evaluations"] == 1
