import pytest

from assay.core.records import (
    Attempt,
    Candidate,
    Completion,
    Evaluation,
    Message,
    Prompt,
    Provenance,
    Sample,
    SamplingParams,
    Speedup,
    Status,
    StopReason,
)
from assay.prompting.extract import extract
from assay.prompting.formats import answer_start, render
from assay.prompting.teacher import LAST_LINE, feedback_without_code, shown_solution, teacher_prompt
from assay.tasks.suites import load_suite

TASK = next(task for task in load_suite("starter").tasks if task.id == "plain_gelu")
BODY = "y = torch.special.expit(1.702 * x)\n        return x * y.frobnicate(1)\n"
TRACE = (
    "AttributeError: 'Tensor' object has no attribute 'frobnicate'\n"
    '  File "/somewhere/candidate.py", line 21, in forward\n'
    "    return x * y.frobnicate(1)\n"
    "           ^^^^^^^^^^^^^^^^^^^\n"
)


def attempt(prompt: Prompt, text: str, error: str = "", status: Status = Status.RUNTIME_ERROR) -> Attempt:
    completion = Completion(tokens=(1,), logprobs=(-1.0,), text=text, stop_reason=StopReason.STOP)
    sample = Sample(
        id="0:t:0",
        task_key=TASK.key,
        round=0,
        index=0,
        snapshot_id="s",
        prompt_hash=prompt.hash,
        prompt_tokens=1,
        params=SamplingParams(),
        completion=completion,
    )
    found = extract(text, TASK, prompt)
    candidate = found if isinstance(found, Candidate) else None
    speedup = Speedup(ratio=1.5, low=1.4, high=1.6, margin=0.02, pairs=20, replicates=2, raw=1.5)
    evaluation = Evaluation(
        task_key=TASK.key,
        candidate_hash=candidate and candidate.hash,
        status=status if candidate else Status.PARSE_ERROR,
        speedup=speedup if candidate and status is Status.CORRECT else None,
        error=error,
        provenance=Provenance(device="cpu"),
    )
    return Attempt(sample=sample, candidate=candidate, evaluation=evaluation)


PROMPTS = {
    f"{format}-{kind}": render(TASK, format, kind) for format in ("body", "module") for kind in ("completion", "chat")
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_answer_begins_as_in_the_students_prompt(name):
    prompt = PROMPTS[name]
    told = teacher_prompt(prompt, solution="class ModelNew: SOLUTION", feedback="Status: timeout")
    assert answer_start(told) == answer_start(prompt) and told.stop == prompt.stop and told.prefill == prompt.prefill
    text = told.text + "".join(message.content for message in told.messages)
    assert "SOLUTION" in text and "Status: timeout" in text and LAST_LINE in text
    if prompt.kind == "completion":
        assert told.text.endswith(prompt.text[prompt.text.rindex("\n# ") :])
    else:
        assert told.messages[:-1] == prompt.messages[:-1]
        assert told.messages[-1].content.startswith(prompt.messages[-1].content)
        assert told.messages[-1].content.endswith(LAST_LINE)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_teacher_that_is_told_nothing_gets_the_one_line_more(name):
    prompt = PROMPTS[name]
    told = teacher_prompt(prompt)
    text = told.text + "".join(message.content for message in told.messages)
    plain = prompt.text + "".join(message.content for message in prompt.messages)
    assert text.count(LAST_LINE) == 1 and "solution" not in text and len(text) - len(plain) < len(LAST_LINE) + 10


def test_a_completion_prompt_stays_a_python_file():
    told = teacher_prompt(PROMPTS["body-completion"], "class ModelNew(Model):\n    pass", "Error: one\n  two")
    compile(told.text + "return x\n", "prompt", "exec")


def test_a_prompt_without_a_known_place_has_the_knowledge_in_front():
    plain = Prompt(task_key="t/1", format="module", kind="completion", text="Improve this.")
    assert teacher_prompt(plain, feedback="Status: timeout").text.endswith(f"# {LAST_LINE}\nImprove this.")


def test_a_chat_gets_it_in_its_last_turn():
    turns = (Message(role="system", content="a"), Message(role="user", content="b"))
    prompt = Prompt(task_key="t/1", format="module", kind="chat", messages=turns)
    assert teacher_prompt(prompt).messages == (turns[0], Message(role="user", content=f"b\n\n{LAST_LINE}"))


def test_feedback_has_the_facts_but_no_line_of_the_students_program():
    prompt = PROMPTS["body-completion"]
    words = feedback_without_code(attempt(prompt, BODY, TRACE))
    assert "Status: runtime error" in words and "has no attribute 'frobnicate'" in words and "in forward" in words
    assert "x * y" not in words and "expit" not in words
    full = teacher_prompt(prompt, feedback=words).text
    assert not any(line.strip() in full for line in BODY.split("\n") if line.strip())


@pytest.mark.parametrize("shown", ["x * y.frobnicate(1)", "return x * y.frobni", "y = torch.special.expit(1.702 * x)"])
def test_code_that_a_message_quotes_or_has_cut_off_is_hidden(shown):
    message = f"SyntaxError in line 3: {shown}\n{shown}\nand more"
    words = feedback_without_code(attempt(PROMPTS["body-completion"], BODY, message))
    assert "SyntaxError in line 3" in words and "and more" in words
    assert f"\n  {shown}" not in words


def test_error_and_trace_are_cut_to_three_lines_and_300_characters():
    error = "\n".join(f"line {n} " + "x" * 200 for n in range(9))
    words = feedback_without_code(attempt(PROMPTS["body-completion"], BODY, error))
    _, _, message = words.partition("Error: ")
    assert len(message) <= 300 and message.count("\n") <= 2


def test_a_solution_is_shown_as_the_student_would_write_it():
    for name, prompt in PROMPTS.items():
        text = (
            "return torch.nn.functional.gelu(x)\n"
            if name.startswith("body")
            else "class ModelNew(nn.Module):\n    def forward(self, x):\n        return x\n"
        )
        shown = shown_solution(prompt, attempt(prompt, text, status=Status.CORRECT))
        assert shown is not None and shown.count("class ModelNew") == 1 and text.strip() in shown
        if name.startswith("body"):
            assert shown.startswith("class ModelNew(Model):") and "import torch" not in shown


def test_what_gave_no_program_is_no_solution():
    assert shown_solution(PROMPTS["body-completion"], attempt(PROMPTS["body-completion"], "((( no")) is None
