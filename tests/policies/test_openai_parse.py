import pytest

from assay.core.errors import PolicyError
from assay.core.records import StopReason
from assay.policies.openai_parse import PSEUDO_BASE, cut_at_stop, pseudo_id, read_answer

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def completion(**choice):
    return {"choices": [{"index": 0, "text": "ab", "finish_reason": "stop", **choice}], "usage": USAGE}


COLUMNS = {"tokens": ["a", "b"], "token_logprobs": [-1.0, -0.5], "top_logprobs": [{"a": -1.0}, {"b": -0.5, "c": -2.0}]}
ENTRIES = {
    "content": [
        {"token": "a", "bytes": [97], "logprob": -1.0, "id": 7, "top_logprobs": []},
        {"token": "\ufffd", "bytes": [0xC3], "logprob": 1e-9, "top_logprobs": [{"token": "x", "logprob": -3.0}]},
    ]
}


def test_tokens_by_their_text_get_ids_of_their_own_that_never_change():
    (row,) = read_answer(completion(logprobs=COLUMNS)).rows
    assert row.tokens is not None
    assert [token.id for token in row.tokens] == [pseudo_id(b"a"), pseudo_id(b"b")]
    assert pseudo_id(b"a") == 1923473476  # stored runs hold it
    assert all(PSEUDO_BASE <= token.id < 1 << 31 for token in row.tokens)
    assert row.tokens[1].alternatives == {"b": -0.5, "c": -2.0}


def test_ids_that_a_server_names_are_used():
    (row,) = read_answer(completion(logprobs=COLUMNS, token_ids=[11, 12], prompt_token_ids=[1, 2, 3])).rows
    assert row.tokens is not None
    assert [token.id for token in row.tokens] == [11, 12]
    assert row.prompt_ids == (1, 2, 3)
    named = {**COLUMNS, "tokens": ["token_id:4", "token_id:5"]}
    (row,) = read_answer(completion(logprobs=named)).rows
    assert row.tokens is not None and [token.id for token in row.tokens] == [4, 5]


def test_entries_give_ids_bytes_and_logprobs_of_at_most_zero():
    (row,) = read_answer(completion(logprobs=ENTRIES)).rows
    assert row.tokens is not None
    assert [token.id for token in row.tokens] == [7, pseudo_id(b"\xc3")]
    assert [token.logprob for token in row.tokens] == [-1.0, 0.0]


def test_a_chat_keeps_reasoning_apart():
    message = {"role": "assistant", "content": None, "reasoning_content": "hm"}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "length"}], "usage": USAGE}
    (row,) = read_answer(body).rows
    assert (row.text, row.reasoning, row.tokens, row.stop_reason) == ("", "hm", None, StopReason.LENGTH)


def test_rows_come_in_the_order_of_their_index():
    body = {"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}], "usage": USAGE}
    assert [row.text for row in read_answer(body).rows] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"choices": [{"index": 0, "text": "a"}]},
        {"choices": [{"index": 0}], "usage": USAGE},
        {"choices": "none", "usage": USAGE},
        completion(finish_reason="abort"),
        completion(logprobs=COLUMNS, token_ids=[1]),
        completion(logprobs={**COLUMNS, "token_logprobs": [-1.0]}),
        completion(logprobs={**COLUMNS, "token_logprobs": [float("nan"), -1.0]}),
    ],
)
def test_an_answer_of_another_form_is_a_policy_error(body):
    with pytest.raises(PolicyError):
        read_answer(body)


def test_a_row_is_cut_at_the_first_stop_string_with_the_token_that_completes_it():
    logprobs = {"tokens": ["return", " x", "\n", "def", " f"], "token_logprobs": [-1.0] * 5, "top_logprobs": None}
    (row,) = read_answer(completion(text="return x\ndef f", logprobs=logprobs)).rows
    cut = cut_at_stop(row, ("\ndef", "\nclass"))
    assert cut.tokens is not None
    assert (cut.text, len(cut.tokens), cut.stop_reason) == ("return x", 4, StopReason.STOP)
    assert cut_at_stop(row, ("nowhere",)) is row
