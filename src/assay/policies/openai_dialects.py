"""What servers that speak the OpenAI interface do differently, as data.

Every server fills in sampling settings that a request leaves out (vLLM and transformers from the model's own
`generation_config.json`: a top-k, a repetition penalty), and a completion drawn with them is not drawn from the model.
`neutral` switches all of them off. Sources: the request schemas of vLLM, SGLang, llama.cpp's server, llama-cpp-python
and transformers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from assay.policies.openai_settings import DialectName

Scoring = Literal["prompt_logprobs", "generate", "echo"]


@dataclass(frozen=True)
class Dialect:
    """One kind of server.

    neutral: request fields without which the server would change the distribution.
    ids: request fields that ask for token ids. takes_ids: a prompt may be a list of token ids.
    scoring: how the log-probabilities of a given text are had, if at all. topk: alternatives that scoring can give.
    tokenizes: what its `/tokenize` path takes: `prompt` (or `messages`), `content` (text only), None without one.
    continues: chat fields that go on with a begun assistant turn; None where the server closes it.
    most_stops: stop strings that a request may have.
    without_logprobs, when_tempered: what to do where log-probabilities are missing, or not raw.
    """

    name: DialectName
    neutral: Mapping[str, Any]
    ids: Mapping[str, Any]
    takes_ids: bool
    scoring: Scoring | None
    topk: int
    tokenizes: Literal["prompt", "content"] | None
    continues: Mapping[str, Any] | None
    most_stops: int | None
    prompt_kind: Literal["completion", "chat"]
    without_logprobs: str
    when_tempered: str


_NO_FILTER = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
_CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}

DIALECTS: dict[DialectName, Dialect] = {
    "vllm": Dialect(
        name="vllm",
        neutral=_NO_FILTER,
        # The second is for versions that do not know the first: tokens then read "token_id:123".
        ids={"return_token_ids": True, "return_tokens_as_token_ids": True},
        takes_ids=True,
        scoring="prompt_logprobs",
        topk=20,
        tokenizes="prompt",
        continues=_CONTINUE,
        most_stops=None,
        prompt_kind="completion",
        without_logprobs="start vLLM without --max-logprobs 0",
        when_tempered="start vLLM with --logprobs-mode raw_logprobs",
    ),
    "sglang": Dialect(
        name="sglang",
        neutral=_NO_FILTER,
        ids={"return_token_ids": True},
        takes_ids=True,
        scoring="generate",
        topk=20,
        tokenizes="prompt",
        continues=_CONTINUE,
        most_stops=None,
        prompt_kind="completion",
        without_logprobs="update SGLang",
        when_tempered="start SGLang with SGLANG_RETURN_ORIGINAL_LOGPROB=1 in its environment",
    ),
    "llama.cpp": Dialect(
        name="llama.cpp",
        neutral={
            "top_k": 0,
            "min_p": 0.0,
            "typical_p": 1.0,
            "repeat_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
        },
        ids={},  # every log-probability comes with its token's id
        takes_ids=True,
        scoring=None,
        topk=0,
        tokenizes="content",
        continues={},
        most_stops=None,
        prompt_kind="completion",
        without_logprobs="update llama.cpp's server",
        when_tempered="update llama.cpp's server: it gives log-probabilities from before its sampling chain",
    ),
    "llama-cpp-python": Dialect(
        name="llama-cpp-python",
        neutral={
            "top_k": 0,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
        },
        ids={},
        takes_ids=False,
        scoring="echo",
        topk=0,
        tokenizes=None,
        continues=None,
        most_stops=None,
        prompt_kind="completion",
        without_logprobs="start llama-cpp-python's server with --logits_all true",
        when_tempered="update llama-cpp-python",
    ),
    "transformers": Dialect(
        name="transformers",
        neutral={
            "generation_config": json.dumps(
                {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
            )
        },
        ids={},
        takes_ids=False,
        scoring=None,
        topk=0,
        tokenizes=None,
        continues=None,
        most_stops=None,
        prompt_kind="completion",
        without_logprobs="transformers serve gives none: serve the model with vLLM, SGLang or llama.cpp",
        when_tempered="serve the model with vLLM, SGLang or llama.cpp",
    ),
    "openai": Dialect(
        name="openai",
        neutral={},
        ids={},
        takes_ids=False,
        scoring=None,
        topk=0,
        tokenizes=None,
        continues=None,
        most_stops=4,
        prompt_kind="chat",
        without_logprobs="take a model of this server that has them",
        when_tempered="sample at temperature 1 with top_p 1",
    ),
}

OWNERS: dict[str, DialectName] = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama.cpp", "me": "llama-cpp-python"}
"""The `owned_by` of a server's models, where it tells the server."""

OWN_PATHS: dict[str, DialectName] = {"/load_model": "transformers", "/extras/tokenize": "llama-cpp-python"}
"""A path of its own that a server's OpenAPI description lists."""
