import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from assay.core.errors import UsageError
from assay.core.records import Prompt
from assay.policies.text import Detokenizer, end_tokens, prompt_tokens

SPECIAL = ["<|endoftext|>", "<|im_end|>"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, so that characters beyond ASCII and stop strings fall across tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(SPECIAL + alphabet)}
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token="<|im_end|>", additional_special_tokens=["<|endoftext|>"]
    )


def pushed(tokenizer: PreTrainedTokenizerFast, text: str, stop: tuple[str, ...]) -> tuple[int | None, str]:
    """After how many tokens a stop string was seen, and the text."""
    detokenizer = Detokenizer(tokenizer, tokenizer.encode("prompt: "), stop)
    for count, token in enumerate(tokenizer.encode(text), start=1):
        if detokenizer.push(token):
            return count, detokenizer.text()
    return None, detokenizer.text()


def test_text_without_a_stop_string_comes_back_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    text = "  größer → 🚀 漢字\n\treturn x"
    assert pushed(tokenizer, text, ("never",)) == (None, text)
    assert pushed(tokenizer, text, ()) == (None, text)


@pytest.mark.parametrize(
    ("text", "stop", "count", "expected"),
    [
        ("return x\n\nclass", ("\n\n",), 10, "return x"),
        ("ab→cd", ("→",), 5, "ab"),
        ("ab→cd", ("c", "→c"), 6, "ab"),
        ("\nclass", ("\n",), 1, ""),
        ("aaab", ("ab",), 4, "aa"),
        ("🚀🚀stop", ("stop",), 12, "🚀🚀"),
    ],
)
def test_a_stop_string_is_seen_with_the_token_that_completes_it(
    tokenizer: PreTrainedTokenizerFast, text: str, stop: tuple[str, ...], count: int, expected: str
) -> None:
    assert pushed(tokenizer, text, stop) == (count, expected)


def test_an_unfinished_character_is_a_replacement_mark(tokenizer: PreTrainedTokenizerFast) -> None:
    detokenizer = Detokenizer(tokenizer, tokenizer.encode("p"), ("x",))
    detokenizer.push(tokenizer.encode("→")[0])
    assert detokenizer.text() == "\ufffd"


def test_end_tokens_are_those_named_and_the_known_marks(tokenizer: PreTrainedTokenizerFast) -> None:
    class Config:
        eos_token_id = (77, 78)

    assert end_tokens(tokenizer) == {0, 1}
    assert end_tokens(tokenizer, Config(), None) == {0, 1, 77, 78}


def test_an_empty_prompt_is_a_usage_error(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UsageError, match="starter/1 is empty"):
        prompt_tokens(tokenizer, Prompt(task_key="starter/1", format="body", kind="completion", text=""))
