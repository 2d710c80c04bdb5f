import json

import pytest

RUN = ("run", "best-of-n", "--tasks", "plain_gelu,cumsum_loop,plain_conv2d", "-k", "6", "--device", "cpu")


@pytest.fixture
def runs(cli, fakes, tmp_path):
    for name, seed in (("a", 0), ("b", 5)):
        cli(*RUN, "--out", tmp_path / name, "--seed", str(seed))
    return tmp_path / "a", tmp_path / "b"


def test_the_page_has_both_metrics_the_tests_and_the_words(cli, runs):
    code, out, err = cli("compare", *runs)
    assert code == 0 and err == "" and "\x1b" not in out
    for text in ("Spent on the shared tasks", "task solved by any sample, verified", "single samples fast, raw"):
        assert text in out
    assert "b against a, paired by task" in out and "McNemar" in out and "Wilcoxon" in out and "tasks needed" in out
    assert "Of 3 tasks, b alone succeeds on" in out
    assert "The seeds differ (a: 0; b: 5)" in out


def test_json_is_exactly_one_document(cli, runs):
    code, out, err = cli("compare", *runs, "--json")
    document = json.loads(out)
    assert code == 0 and err == ""
    assert set(document) >= {"sides", "tasks", "budgets", "contrasts", "in_words", "warnings", "at", "is_matched"}
    assert set(document["sides"][0]["success"]) == {"raw", "verified"}


def test_a_budget_cuts_both(cli, runs):
    code, out, _ = cli("compare", *runs, "--at", "rollouts=6", "--json")
    document = json.loads(out)
    assert code == 0 and [side["samples"] for side in document["sides"]] == [2, 2]
    assert document["at"] == {"resource": "rollouts", "amount": 6.0}


def test_different_budgets_are_a_usage_error_until_allowed(cli, runs, tmp_path):
    cli(*RUN[:-3], "3", "--device", "cpu", "--out", tmp_path / "small")
    code, out, err = cli("compare", runs[0], tmp_path / "small")
    assert code == 2 and out == "" and "--at rollouts=9" in err
    assert cli("compare", runs[0], tmp_path / "small", "--anyway")[0] == 0


def test_fail_under_is_met_by_the_low_end_of_the_interval(cli, runs):
    assert cli("compare", *runs, "--fail-under", "-1")[0] == 0
    assert cli("compare", *runs, "--fail-under", "0.9")[0] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "at least two runs"),
        (("nowhere", "elsewhere"), "no run in nowhere"),
        (("a", "b", "--at", "hours=3"), "rollouts=N"),
        (("a", "b", "--fail-under", "3"), "from -1 to 1"),
    ],
)
def test_a_users_mistake_is_exit_code_two(cli, arguments, message):
    code, out, err = cli("compare", *arguments)
    assert code == 2 and out == "" and message in err


def test_compare_explains_itself(cli):
    code, out, _ = cli("compare", "--help")
    assert code == 0 and "--at" in out and "--group" in out and "--anyway" in out
