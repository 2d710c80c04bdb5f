import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_runs import FASTER, adapted, best_of_n, hostile, make_run
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from assay.report.page_samples import EVALUATION_FIELDS, _witness, sample_pages, shortened
from assay.report.page_tokens import DIGITS, find_tokenizer, packed_lengths, packed_surprisals, piece_lengths
from assay.runs.store import RunStore


def pages(run, budget=10**6):
    with RunStore.open(run) as store:
        return sample_pages([("run", store)], budget)[0]["tasks"]


def test_every_sample_has_its_numbers_and_within_the_budget_its_text(tmp_path):
    won, lost = pages(best_of_n(tmp_path / "run"))
    assert won["samples"]["index"] == [0, 1, 2, 3, 4, 5] and won["samples"]["program"] == [0, 1, 2, -1, 3, 0]
    assert won["samples"]["status"][3] == "parse_error" and won["texts"][3]["failure"] == "no class"
    assert all(one is not None for one in [*won["texts"], *lost["texts"]])
    assert won["programs"][1]["source"] == FASTER
    assert won["programs"][1]["look"][EVALUATION_FIELDS.index("verdict")] == "faster"
    assert won["programs"][1]["again"][EVALUATION_FIELDS.index("ratio")] == pytest.approx(2.35)
    assert len(won["controls"]) == 2 and won["reference"].startswith("class Model")


def test_under_a_small_budget_the_program_that_is_reported_is_kept_and_numbers_stay(tmp_path):
    won, lost = pages(best_of_n(tmp_path / "run"), budget=400)
    assert [row for row, text in enumerate(won["texts"]) if text] == [1]
    assert won["programs"][1]["source"] == FASTER and won["programs"][2]["source"] is None
    assert len(won["samples"]["status"]) == len(lost["samples"]["status"]) == 6


def test_without_a_budget_no_text_is_kept_and_nothing_fails(tmp_path):
    assert not any(text for task in pages(best_of_n(tmp_path / "run"), budget=0) for text in task["texts"])


def test_rounds_are_in_drawn_order(tmp_path):
    won, _ = pages(adapted(tmp_path / "run"))
    assert won["samples"]["round"] == [0] * 4 + [1] * 4 + [2] * 4


def test_a_sample_that_waits_for_its_evaluation_has_no_status(tmp_path):
    (task,) = pages(make_run(tmp_path / "run", [{"a": []}], controls=0))
    assert task["samples"]["status"] == [] and task["prompt"] == ""


def test_pairs_and_what_the_witness_saw_are_carried_and_hostile_facts_are_not(tmp_path):
    (task,) = pages(hostile(tmp_path / "run"))
    look = dict(zip(EVALUATION_FIELDS, task["programs"][0]["look"], strict=True))
    assert look["witness"] == [40, 0.15, 0.01]
    assert look["log_ratios"] == [[0.0998, 0.1989], [0.1501, 0.1196]]
    assert _witness({"pairs": "<b>"}) == [None, None, None] and _witness("<b>") is None


def test_a_text_that_is_cut_says_by_how_much():
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 1500, 500).endswith("[... 1,000 more characters]")


# -- tokens -----------------------------------------------------------------------------------------------------


def unpacked(text):
    return [(DIGITS.index(text[n]) * 64 + DIGITS.index(text[n + 1])) / 100 for n in range(0, len(text), 2)]


@given(st.lists(st.floats(-100, 0)))
def test_surprisals_survive_packing_to_a_hundredth(logprobs):
    back = unpacked(packed_surprisals(logprobs))
    assert back == pytest.approx([min(40.95, -one) for one in logprobs], abs=0.0051)


def test_a_length_of_more_than_one_digit_takes_three():
    assert packed_lengths([0, 1, 62]) == "AB-"
    assert packed_lengths([63, 100]) == "_A__Bk"


@pytest.fixture
def tokenizer():
    return Tokenizer(WordLevel({"a": 0, "bc": 1, "d": 2}, unk_token="a"))


def test_the_texts_of_tokens_are_lengths_in_the_completion(tokenizer):
    assert piece_lengths(tokenizer, [0, 1, 2], "a bc d") == [1, 3, 2]


def test_tokens_behind_a_stop_string_gave_no_text(tokenizer):
    assert piece_lengths(tokenizer, [0, 1, 2], "a b") == [1, 2, 0]


def test_tokens_of_another_tokenizer_are_not_given_texts(tokenizer):
    assert piece_lengths(tokenizer, [0, 1, 2], "x bc d") is None
    assert piece_lengths(tokenizer, [0, 900], "a") is None


def test_a_model_without_a_file_here_has_no_tokenizer(tmp_path):
    assert find_tokenizer("openai:some@http://127.0.0.1:9") is None
    assert find_tokenizer(f"local:{tmp_path}") is None
