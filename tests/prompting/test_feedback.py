"""What a model is told of an evaluation, and prompts that show earlier attempts."""

import pytest

from assay.core.records import Candidate, Evaluation, ParseFailure, Provenance, Speedup, Status, Task, Verdict
from assay.prompting.extract import extract
from assay.prompting.feedback import MAX_CHARACTERS, Earlier, feedback_text, with_earlier
from assay.prompting.formats import answer_start, render

SOURCE = """import torch
import torch.nn as nn

class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x) * 2

def get_inputs():
    return [torch.randn(4)]

def get_init_inputs():
    return []
"""
TASK = Task(suite="s", id="1", name="one", source=SOURCE)
TRACE = """RuntimeError: shapes differ
  File "/opt/lib/torch/nn/modules/module.py", line 1789, in _call_impl
    return forward_call(*args, **kwargs)
           ^^^^^^^^^^^^^^^^^^^^
  File "/tmp/run-{where}/candidate.py", line 12, in forward
    y = helper(x)
        ^^^^^^
  File "/tmp/run-{where}/candidate.py", line 9, in helper
    return x @ x"""


def evaluation(status=Status.RUNTIME_ERROR, **more) -> Evaluation:
    known = None if status is Status.PARSE_ERROR else "c0ffee"
    where = Provenance(device="cpu")
    return Evaluation(task_key=TASK.key, candidate_hash=known, status=status, provenance=where, **more)


def faster() -> Evaluation:
    speedup = Speedup(ratio=1.3251, low=1.3, high=1.35, margin=0.01, pairs=20, replicates=2, raw=1.4)
    more = {"verdict": Verdict.FASTER, "speedup": speedup, "candidate_ms": 0.91234, "reference_ms": 1.2}
    return evaluation(Status.CORRECT, **more)


def test_a_faster_program_has_its_speedup_interval_and_times():
    assert feedback_text(faster()).split("\n") == [
        "Status: correct",
        "Compiled: yes",
        "Correct: yes",
        "Speedup: 1.33x (interval 1.30x to 1.35x), faster",
        "Time: 0.912 ms; the reference 1.2 ms",
    ]


def test_a_failure_has_its_message_and_the_frames_of_the_program_without_paths():
    text = feedback_text(evaluation(error=TRACE.format(where="x1")))
    assert text.split("\n") == [
        "Status: runtime error",
        "Compiled: yes",
        "Correct: no",
        "Error: RuntimeError: shapes differ",
        "Trace: in forward: y = helper(x)",
        "  in helper: return x @ x",
    ]


def test_the_same_failure_in_another_process_gives_the_same_text():
    first, second = (feedback_text(evaluation(error=TRACE.format(where=where))) for where in ("a", "b"))
    assert first == second


@pytest.mark.parametrize(
    ("status", "compiled"),
    [(Status.BUILD_ERROR, "no"), (Status.PARSE_ERROR, "no"), (Status.WRONG_OUTPUT, "yes"), (Status.TIMEOUT, None)],
)
def test_whether_it_compiled_is_said_only_where_it_is_known(status, compiled):
    lines = [line for line in feedback_text(evaluation(status)).split("\n") if line.startswith("Compiled")]
    assert lines == ([] if compiled is None else [f"Compiled: {compiled}"])


def test_a_rejection_names_its_flags():
    assert "Flags: mutates_input" in feedback_text(evaluation(Status.REJECTED, flags=("mutates_input",)))


@pytest.mark.parametrize("error", ["e" * 1000, "\n".join(["line"] * 10)])
def test_a_long_message_is_cut_to_three_lines_and_300_characters(error):
    message = feedback_text(evaluation(error=error)).partition("Error: ")[2]
    assert len(message) <= MAX_CHARACTERS and message.count("\n") <= 2


def earlier(source: str | None, result: Evaluation | None = None, text: str = "") -> Earlier:
    return Earlier(source=source, text=text, evaluation=result or faster())


def program(body: str) -> str:
    found = extract(body, TASK, render(TASK, "body", "completion"))
    assert isinstance(found, Candidate)
    return found.source


def test_no_earlier_attempt_leaves_the_prompt_as_it_was():
    prompt = render(TASK, "body", "completion")
    assert with_earlier(prompt, []) == prompt


def test_a_completion_prompt_shows_the_attempt_as_comments_before_its_request():
    prompt = render(TASK, "body", "completion")
    text = with_earlier(prompt, [earlier(program("return x.relu() + x.relu()"))]).text
    new = text.removeprefix(prompt.text.partition("\n\n\n# ModelNew")[0])
    assert new.split("\n")[3:9] == [
        "# An earlier attempt at ModelNew:",
        "#     class ModelNew(Model):",
        "#         def forward(self, x):",
        "#             return x.relu() + x.relu()",
        "# Its result:",
        "#     Status: correct",
    ]
    assert text.endswith(prompt.text.rpartition("\n# ModelNew computes")[2])


def test_attempts_stand_in_the_given_order():
    prompt = render(TASK, "body", "completion")
    text = with_earlier(prompt, [earlier(program("return x.abs()")), earlier(program("return x.exp()"))]).text
    assert text.index("x.abs()") < text.index("x.exp()") and text.count("An earlier attempt") == 2


@pytest.mark.parametrize("kind", ["completion", "chat"])
@pytest.mark.parametrize("format", ["body", "module"])
def test_the_answer_is_read_as_before(format, kind):
    prompt = render(TASK, format, kind)
    after = with_earlier(prompt, [earlier(program("return x.relu() + x.relu()"))])
    assert answer_start(after) == answer_start(prompt) and after.stop == prompt.stop and after.hash != prompt.hash
    answer = "return 2 * x.relu()\n" if format == "body" else "class ModelNew(nn.Module):\n    def forward(self, x):\n"
    answer += "" if format == "body" else "        return 2 * x.relu()\n"
    found = extract(answer, TASK, after)
    assert not isinstance(found, ParseFailure) and "2 * x.relu()" in found.source


def test_a_chat_gets_the_attempt_as_a_turn_and_its_result_as_the_answer_to_it():
    prompt = render(TASK, "body", "chat")
    messages = with_earlier(prompt, [earlier(program("return x.relu() + x.relu()"))]).messages
    assert [one.role for one in messages] == ["system", "user", "assistant", "user"]
    assert "x.relu() + x.relu()" in messages[2].content and "Speedup: 1.33x" in messages[3].content
    assert "so that it is faster" in messages[3].content


def test_an_answer_without_a_program_is_shown_as_it_was_written():
    failed = evaluation(Status.PARSE_ERROR, error="no_return")
    shown = with_earlier(render(TASK, "body", "completion"), [earlier(None, failed, "y = x\nz = y")]).text
    assert "#     y = x\n#     z = y\n" in shown and "Error: no_return" in shown
