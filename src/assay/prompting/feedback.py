"""What a model is told of an evaluation, and a prompt that shows an earlier attempt with its result.

One wording for all who show a result to a model: the refinement baseline, the reuse of earlier programs, the teacher
of self-distillation.
"""

import ast
import re
import textwrap
from collections.abc import Sequence

from assay.core.records import Evaluation, Message, Prompt, Record, Status
from assay.prompting.formats import ANSWER_MARK, BODY_REQUEST, FENCE
from assay.prompting.reference import CANDIDATE_CLASS, REFERENCE_CLASS, find_class
from assay.prompting.source import Module, parse, reindent

MAX_LINES = 3
MAX_CHARACTERS = 300  # of an error message, and of a trace
SHOWN_LINES = 60  # of an answer that gave no program

# A frame of a trace; paths name folders of one process, and would make equal results look different.
_FRAME = re.compile(r'^\s*File "([^"]*)", line \d+, in (.*)$')
_CARETS = re.compile(r"^[\s~^]+$")
_PROGRAM_FILE = "candidate.py"


def feedback_text(evaluation: Evaluation) -> str:
    """Status, whether it compiled, correctness, speedup with its interval, times, error and trace; one fact a line.

    Message and trace are each cut to 3 lines and 300 characters. Of a trace the innermost frames of the program itself
    are kept, without paths, so that equal failures give equal texts. A fact that is not known has no line.
    """
    is_correct, speedup = evaluation.is_correct, evaluation.speedup
    lines = [f"Status: {str(evaluation.status).replace('_', ' ')}"]
    compiled = _compiled(evaluation.status)
    if compiled is not None:
        lines.append(f"Compiled: {'yes' if compiled else 'no'}")
    lines.append(f"Correct: {'yes' if is_correct else 'no'}")
    if evaluation.flags:
        lines.append(f"Flags: {', '.join(evaluation.flags)}")
    if speedup is not None:
        verdict = "" if evaluation.verdict is None else f", {evaluation.verdict}"
        lines.append(f"Speedup: {speedup.ratio:.2f}x (interval {speedup.low:.2f}x to {speedup.high:.2f}x){verdict}")
    if evaluation.candidate_ms is not None and evaluation.reference_ms is not None:
        lines.append(f"Time: {evaluation.candidate_ms:.3g} ms; the reference {evaluation.reference_ms:.3g} ms")
    message, trace = _parts(evaluation.error)
    if message:
        lines.append(f"Error: {message}")
    if trace:
        lines.append(f"Trace: {trace}")
    return "\n".join(lines)


class Earlier(Record):
    """An earlier answer to a task. source: its program, None where none could be taken out of `text`, the answer."""

    source: str | None
    text: str
    evaluation: Evaluation


def with_earlier(prompt: Prompt, earlier: Sequence[Earlier]) -> Prompt:
    """`prompt` after earlier attempts with their results, in the given order; the same is asked for.

    A completion prompt shows them as comments before its last request; a chat as turns before its last one, in which
    the request is made again. The answer begins where `prompt` began it, so it is read in the same way.
    """
    if not earlier:
        return prompt
    if prompt.kind == "completion":
        return prompt.model_copy(update={"text": _commented(prompt, earlier)})
    *before, request = prompt.messages
    turns = [*before, request]
    for one in earlier:
        turns.append(Message(role="assistant", content=f"{FENCE}python\n{_shown(prompt, one)}\n{FENCE}"))
        turns.append(Message(role="user", content=f"{feedback_text(one.evaluation)}\n\n{_next_request(one)}"))
    return prompt.model_copy(update={"messages": tuple(turns)})


# -- the facts ------------------------------------------------------------------------------------------------------


def _compiled(status: Status) -> bool | None:
    """Whether the program could be built and imported; None where the status does not tell."""
    if status in (Status.PARSE_ERROR, Status.BUILD_ERROR):
        return False
    return None if status in (Status.TIMEOUT, Status.REJECTED) else True


def _parts(error: str) -> tuple[str, str]:
    """An error's message and its trace, each cut."""
    lines = error.strip().split("\n")
    first = next((place for place, line in enumerate(lines) if _FRAME.match(line)), len(lines))
    return _cut(lines[:first]), _cut(_own_frames(lines[first:]))


def _own_frames(lines: Sequence[str]) -> list[str]:
    """`in forward: return x.sorted()` for each of the innermost frames that lie in the program itself."""
    frames = []
    for place, line in enumerate(lines):
        frame = _FRAME.match(line)
        if frame is None or not frame[1].endswith(_PROGRAM_FILE):
            continue
        code = lines[place + 1].strip() if place + 1 < len(lines) else ""
        is_code = code and not _FRAME.match(lines[place + 1]) and not _CARETS.match(code)
        frames.append(f"in {frame[2]}: {code}" if is_code else f"in {frame[2]}")
    return frames[-MAX_LINES:]


def _cut(lines: Sequence[str]) -> str:
    kept = [line.rstrip() for line in lines if line.strip()]
    text = "\n  ".join(kept[:MAX_LINES])
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 4].rstrip() + " ..."


# -- an earlier attempt in a prompt ---------------------------------------------------------------------------------


def _commented(prompt: Prompt, earlier: Sequence[Earlier]) -> str:
    mark = ANSWER_MARK if prompt.format == "module" else BODY_REQUEST
    before, found, after = prompt.text.rpartition(f"\n{mark}")
    blocks = []
    for one in earlier:
        shown, result = _shown(prompt, one), feedback_text(one.evaluation)
        code, facts = textwrap.indent(shown, "    "), textwrap.indent(result, "    ")
        text = f"An earlier attempt at {CANDIDATE_CLASS}:\n{code}\nIts result:\n{facts}"
        blocks.append("\n".join(f"# {line}".rstrip() for line in text.split("\n")))
    quoted = "\n#\n".join(blocks)
    return f"{before}\n{quoted}\n#{found}{after}" if found else f"{quoted}\n{prompt.text}"


def _next_request(earlier: Earlier) -> str:
    what = "faster" if earlier.evaluation.is_correct else "correct and faster"
    return f"Write `{CANDIDATE_CLASS}` again, in the same form, so that it is {what}. Answer with Python code only."


def _shown(prompt: Prompt, earlier: Earlier) -> str:
    """The program as the format has it: for a body the class with its method forward, for a module all of it.

    Where there is no program, the beginning of the answer.
    """
    if earlier.source is None:
        return "\n".join(earlier.text.strip("\n").split("\n")[:SHOWN_LINES]) or "(nothing)"
    if prompt.format == "module":
        return earlier.source.strip("\n")
    module = parse(earlier.source)
    model = find_class(module.tree.body, CANDIDATE_CLASS)
    return _forward(module, model) if model is not None else earlier.source.strip("\n")


def _forward(module: Module, model: ast.ClassDef) -> str:
    """The class with nothing but its method forward, as the body format asks for it; all of it where it has none."""
    methods = [node for node in model.body if isinstance(node, ast.FunctionDef) and node.name == "forward"]
    if not methods:
        return module.statement(model)
    return f"class {CANDIDATE_CLASS}({REFERENCE_CLASS}):\n{reindent(module.statement(methods[-1]), 4)}"
