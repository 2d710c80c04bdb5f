import pytest

from assay.core.errors import UsageError
from assay.runs.config import RunConfig, TaskFilter, TTTConfig, known_keys, load_config


def test_defaults_stand_where_nothing_is_given():
    assert load_config(None, {"model": None, "strategy.k": None}) == RunConfig()


def test_sets_win_over_options_and_options_over_the_recipe(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('model = "a"\nseed = 1\nsuite = "x"\n[sampling]\ntemperature = 0.5\nmax_tokens = 9\n')
    config = load_config(recipe, {"model": "b", "seed": 2}, ["seed=3", "sampling.temperature=1.5"])
    assert (config.suite, config.model, config.seed) == ("x", "b", 3)
    assert (config.sampling.temperature, config.sampling.max_tokens) == (1.5, 9)


def test_a_bare_word_and_a_toml_list_can_be_set():
    config = load_config(None, {}, ["model=smollm2-135m", 'tasks.ids=["1", "2"]'])
    assert config.model == "smollm2-135m"
    assert config.tasks.ids == ("1", "2")


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["sampling.temprature=1"], "did you mean sampling.temperature"),
        (["temperature=1"], "did you mean sampling.temperature"),
        (["nonsense_of_mine=1"], "known keys are"),
        (["strategy.k=0"], "strategy.k"),
        (["strategy.k"], "key=value"),
        (["seed=3", "seed.x=1"], "is a value, not a table"),
        (["tasks.subset=1", "tasks.limit=2"], "one or the other"),
        (["strategy.type=tt"], "strategy.type"),
        (["strategy.steps=2"], "not a setting of best-of-n"),
        (["strategy.type=ttt", "strategy.shortlist.top=1"], "strategy.shortlist"),
        (["strategy.type=ttt", "strategy.k=1"], "strategy.k"),
        (["strategy.type=ttt", "strategy.stepps=2"], "did you mean strategy.steps"),
        (["strategy.type=ttt", "strategy.advantage=entropic", "strategy.k=3"], "k >= 4"),
        (["strategy.type=ttt", "strategy.reward.type=lots"], "strategy.reward.type"),
        (["strategy.type=ttt", "strategy.learning_rate=0"], "strategy.learning_rate"),
    ],
)
def test_a_wrong_setting_is_a_usage_error_that_names_it(sets, message):
    with pytest.raises(UsageError, match=message):
        load_config(None, {}, sets)


def test_a_recipe_that_is_missing_or_not_toml_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        load_config(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(UsageError, match="not TOML"):
        load_config(tmp_path / "bad.toml", {})


def test_subset_two_is_the_second_five():
    assert TaskFilter(subset=2).window == (5, 5)
    assert TaskFilter(limit=3, offset=1).window == (1, 3)


def test_the_resolved_configuration_gives_itself_back():
    config = load_config(None, {"strategy.k": 3, "tasks.ids": ("1",)})
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    assert "strategy.k" in known_keys() and "evaluator.alpha" in known_keys()


def test_a_recipe_names_its_strategy_and_the_defaults_of_ttt_stand():
    config = load_config(None, {"strategy.type": "ttt", "strategy.reward.shuffled": True}, ["strategy.rank=4"])
    strategy = config.strategy
    assert isinstance(strategy, TTTConfig)
    assert (strategy.k, strategy.rank, strategy.learning_rate) == (32, 4, 1e-5)
    assert (strategy.advantage, strategy.loss) == ("group_center", "importance_sampling")
    assert strategy.reward.type == "log_lower" and strategy.reward.shuffled
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
