"""What the teacher of self-distillation is told beside the task: a solution of another sample, and a result.

The student's own program is never in it, not even a line that an error message quotes, since a teacher that sees the
answer would only repeat it. The answer begins as in the student's prompt, so that the student's completion can be
scored as it stands.
"""

import re
import textwrap

from assay.core.records import Attempt, Evaluation, Prompt
from assay.prompting.feedback import feedback_text
from assay.prompting.formats import ANSWER_MARK, BODY_REQUEST, FENCE, answer_start
from assay.prompting.reference import CANDIDATE_CLASS

LAST_LINE = "Correctly solve the original question."
HIDDEN = "..."
_SHORTEST = 4  # characters of a line of code that is hidden; shorter ones say nothing of a program


def teacher_prompt(prompt: Prompt, solution: str | None = None, feedback: str | None = None) -> Prompt:
    """`prompt` with what the teacher knows, and the line that asks for the original question.

    solution: a program that is correct, from another sample. feedback: facts about the student's attempt, see
    `feedback_without_code`. A chat has both in its last request, a completion prompt as comments before it.
    """
    if prompt.kind == "chat":
        shown = None if solution is None else f"{FENCE}python\n{solution.strip()}\n{FENCE}"
        *before, request = prompt.messages
        content = "\n\n".join([request.content, *_known(shown, feedback), LAST_LINE])
        return prompt.model_copy(update={"messages": (*before, request.model_copy(update={"content": content}))})
    shown = None if solution is None else textwrap.indent(solution.strip("\n"), "    ")
    result = None if feedback is None else textwrap.indent(feedback, "    ")
    lines = "\n\n".join([*_known(shown, result), LAST_LINE]).split("\n")
    block = "\n".join(f"# {line}".rstrip() for line in lines)
    mark = ANSWER_MARK if prompt.format == "module" else BODY_REQUEST
    before, found, after = prompt.text.rpartition(f"\n{mark}")
    text = f"{before}\n{block}\n#{found}{after}" if found else f"{block}\n{prompt.text}"
    return prompt.model_copy(update={"text": text})


def shown_solution(prompt: Prompt, attempt: Attempt) -> str | None:
    """The program of an attempt, in the form that `prompt` asks for; None where there is none."""
    if attempt.candidate is None:
        return None
    if prompt.format == "module":
        return attempt.candidate.source
    begun = prompt.text if prompt.kind == "completion" else answer_start(prompt)
    _, mark, after = begun.rpartition(f"class {CANDIDATE_CLASS}")
    return f"{mark}{after}{attempt.sample.completion.text}" if mark else attempt.candidate.source


def feedback_without_code(attempt: Attempt) -> str:
    """The result of an attempt in words, without a line of its own program."""
    return feedback_text(_without_code(attempt))


def _without_code(attempt: Attempt) -> Evaluation:
    own = attempt.sample.completion.text + "\n" + (attempt.candidate.source if attempt.candidate else "")
    lines = sorted({line.strip() for line in own.split("\n") if len(line.strip()) >= _SHORTEST}, key=len, reverse=True)
    shown = [_hide(line, lines) for line in attempt.evaluation.error.split("\n")]
    return attempt.evaluation.model_copy(update={"error": "\n".join(shown)})


def _hide(line: str, own: list[str]) -> str:
    """A line of an error with the code in it replaced, also where the message has cut the code off."""
    text = line.strip()
    if len(text) >= _SHORTEST and any(text in code for code in own):
        return line.replace(text, HIDDEN)
    for code in own:
        line = line.replace(code, HIDDEN)
    return re.sub(rf"({re.escape(HIDDEN)}\s*)+", f"{HIDDEN} ", line).rstrip() if HIDDEN in line else line


def _known(solution: str | None, feedback: str | None) -> list[str]:
    parts = []
    if solution is not None:
        parts.append(f"A correct solution:\n{solution}")
    if feedback is not None:
        parts.append(f"The result of an attempt at it:\n{feedback}")
    return parts
