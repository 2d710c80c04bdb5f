"""Takes a candidate out of what a model wrote.

The text is read in several ways, from the one that the prompt asked for to the ones that models fall into, and the
first that gives a program wins:

    body format      1. the rest of `forward`, straight after the prompt, up to the first dedent or a `return`
                     2. a fenced block or the whole text with a class `ModelNew`
                     3. the same with a bare `def forward(self, ...)`
                     4. a fenced block, or what follows a line of prose, with the statements of `forward`
    module format    1. the rest of the file, straight after the prompt
                     2. and 3. as above

Nothing is executed here, and a text that gives no program is a `ParseFailure`, never an exception.
"""

import ast
import contextlib
import keyword
import re
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from assay.core.records import Candidate, ParseFailure, Prompt, Task
from assay.prompting.assemble import independent_module, problem
from assay.prompting.body import find_body
from assay.prompting.formats import answer_start
from assay.prompting.reference import CANDIDATE_CLASS, Reference, find_class, read_reference
from assay.prompting.source import Module, first_code_line, indent_of, parse, reindent, tidy

MAX_CHARACTERS = 100_000
MAX_CUTS = 24  # how often a text is shortened in search of a prefix that parses
MAX_BLOCKS = 16  # how many fenced blocks are read, from the last one back
MAX_STARTS = 8  # how many lines are tried as the beginning of the code in a text without fences


class ParseReason(StrEnum):
    """Why no candidate could be taken out of a text, from the least to the most that was found."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    NO_CODE = "no_code"
    SYNTAX_ERROR = "syntax_error"
    NO_CLASS = "no_class"
    NO_FORWARD = "no_forward"
    NO_RETURN = "no_return"


def extract(text: str, task: Task, prompt: Prompt) -> Candidate | ParseFailure:
    """The candidate in `text`, a completion of `prompt`: a module with `ModelNew` and without the reference class.

    Never raises for a text. A failure's `reason` is a `ParseReason`, with ": " and a detail where there is one.
    Raises UsageError if `task` has no class `Model` with a `forward` method.
    """
    reference = read_reference(task)
    if not text.strip():
        return _failure(ParseReason.EMPTY)
    if len(text) > MAX_CHARACTERS:
        return _failure(ParseReason.TOO_LONG, f"{len(text)} characters, at most {MAX_CHARACTERS}")
    try:
        return _first_program(_readings(tidy(text), tidy(answer_start(prompt)), prompt, reference))
    except (RecursionError, MemoryError):
        return _failure(ParseReason.SYNTAX_ERROR, "nested too deeply")


Reading = Callable[[], str | ParseFailure]


def _readings(text: str, start: str, prompt: Prompt, reference: Reference) -> Iterator[Reading]:
    blocks = _fenced_blocks(text)[-MAX_BLOCKS:]
    if prompt.format == "body":
        tail = start.rsplit("\n", 1)[-1]
        yield lambda: _from_body(_before_fence(text), tail, reference)
    else:
        yield lambda: _from_module(start + _before_fence(text), reference)
    for block in reversed(blocks):
        if _CLASS.search(block):
            yield lambda block=block: _from_module(block, reference, [other for other in blocks if other != block])
    for piece in _code_starts(text, _CLASS):
        yield lambda piece=piece: _from_module(piece, reference)
    # A forward inside some other class, such as a reference that was repeated, is no answer.
    outside = [] if _ANY_CLASS.search(text) else _code_starts(text, _FUNCTION)
    for piece in [*reversed(blocks), *outside]:
        if _FUNCTION.search(piece):
            yield lambda piece=piece: _from_function(piece, reference)
    if prompt.format == "body":
        for piece in [*reversed(blocks), _without_prose(text)]:
            yield lambda piece=piece: _from_body(piece, "", reference)


def _first_program(readings: Iterator[Reading]) -> Candidate | ParseFailure:
    """The first reading that gives a program; else the failure that came closest to one, the first of equals."""
    order = list(ParseReason)
    closest = _failure(ParseReason.NO_CODE)
    for reading in readings:
        try:
            found = reading()
            if isinstance(found, str):
                fault = problem(found)
                found = found if fault is None else _failure(ParseReason(fault))
        except SyntaxError as error:
            found = _failure(ParseReason.SYNTAX_ERROR, _one_line(error))
        if isinstance(found, str):
            return Candidate(source=found)
        if order.index(_reason(found)) > order.index(_reason(closest)):
            closest = found
    return closest


def _failure(reason: ParseReason, detail: str = "") -> ParseFailure:
    return ParseFailure(reason=f"{reason}: {detail}" if detail else str(reason))


def _reason(failure: ParseFailure) -> ParseReason:
    return ParseReason(failure.reason.split(":")[0])


def _one_line(error: SyntaxError) -> str:
    return " ".join((error.msg or "does not parse").split())[:120]


# -- where the code is --------------------------------------------------------------------------------------------

_FENCE = re.compile(r"^[ ]*(```+|~~~+)[^\n`]*$", re.MULTILINE)
_CLASS = re.compile(rf"^[ ]*class[ ]+{CANDIDATE_CLASS}\b", re.MULTILINE)
_ANY_CLASS = re.compile(r"^[ ]*class[ ]", re.MULTILINE)
_FUNCTION = re.compile(r"^[ ]*def[ ]+forward\b", re.MULTILINE)
_CODE_START = re.compile(r"^[ ]*(import |from |class |def |@|#|async |[A-Za-z_][A-Za-z_0-9]* *=)")
_KEYWORDS = "|".join(sorted(keyword.kwlist))
_PROSE = re.compile(rf"^(?!({_KEYWORDS})\b)[A-Za-z][\w'’`*]*([ ,;:.!-]+[\w'’`*]+)*[ ,.:!]+$")


def _fenced_blocks(text: str) -> list[str]:
    """What stands between fences, in order; the last block may lack its closing fence.

    A fence with a language always opens a block: the text may begin inside one, so that pairs cannot be counted off.
    """
    blocks: list[list[str]] = []
    is_open = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            is_open = not is_open or bool(line.strip(" `~"))
            if is_open:
                blocks.append([])
        elif is_open:
            blocks[-1].append(line)
    return ["\n".join(block) for block in blocks]


def _before_fence(text: str) -> str:
    """The text up to a line with a fence, which ends an answer that goes on from a prefilled opening fence."""
    fence = _FENCE.search(text)
    return text if fence is None else text[: fence.start()]


def _code_starts(text: str, wanted: re.Pattern[str]) -> Iterator[str]:
    """The text without fence lines from each line that may begin a program and has what is `wanted` after it."""
    lines = [line for line in text.split("\n") if not _FENCE.match(line)]
    last = max((index for index, line in enumerate(lines) if wanted.match(line)), default=-1)
    starts = [index for index in range(last + 1) if _CODE_START.match(lines[index])]
    known = set(starts)
    firsts = [index for index in starts if index - 1 not in known][: MAX_STARTS - 1]  # of a run of such lines
    for index in firsts if last < 0 or last in firsts else [*firsts, last]:
        yield "\n".join(lines[index:])


def _without_prose(text: str) -> str:
    """The text without fences and without the lines of prose that it begins with."""
    lines = [line for line in text.split("\n") if not _FENCE.match(line)]
    is_prose = [not line.strip() or _PROSE.match(line.strip()) is not None for line in lines]
    return "\n".join(lines[is_prose.index(False) :]) if False in is_prose else ""


# -- what the code is ------------------------------------------------------------------------------------------------


def _from_body(text: str, tail: str, reference: Reference) -> str | ParseFailure:
    """The reference's program with the statements that `text` begins with as the body of `forward`."""
    if not first_code_line(text.split("\n")):
        return _failure(ParseReason.NO_CODE)
    body = find_body(text, tail)
    return _failure(ParseReason.NO_RETURN) if body is None else reference.with_body(body)


def _from_module(text: str, reference: Reference, others: Sequence[str] = ()) -> str | ParseFailure:
    """The longest beginning of `text` that parses, made independent; `others` are blocks that may lend it names."""
    module, fault = _longest_prefix(_dedented(text))
    if find_class(module.tree.body, CANDIDATE_CLASS) is None:
        if fault is not None and _CLASS.search(text):
            raise fault
        return _failure(ParseReason.NO_CLASS)
    return independent_module(module, reference, list(_lenders(others)))


def _lenders(blocks: Sequence[str]) -> Iterator[Module]:
    """The blocks that begin with code; prose between fences lends nothing, and is no fault of the answer."""
    for block in blocks:
        with contextlib.suppress(SyntaxError):
            yield _longest_prefix(_dedented(block))[0]


def _from_function(text: str, reference: Reference) -> str | ParseFailure:
    """Functions whose first parameter is `self` become methods that override the reference's."""
    module, _ = _longest_prefix(_dedented(text))
    methods = [node for node in module.tree.body if isinstance(node, ast.FunctionDef) and _is_method(node)]
    if not any(method.name == "forward" for method in methods):
        return _failure(ParseReason.NO_FORWARD)
    rest = [module.statement(node) for node in module.tree.body if node not in methods]
    body = [reindent(module.statement(method), 4) for method in methods]
    source = "\n".join([*rest, "", f"class {CANDIDATE_CLASS}(Model):", "\n\n".join(body)])
    return independent_module(parse(source), reference)


def _is_method(node: ast.FunctionDef) -> bool:
    return bool(node.args.args) and node.args.args[0].arg == "self"


def _dedented(text: str) -> str:
    """`text` with its first line of code at the margin; strings move along, as the text may not parse."""
    lines = text.split("\n")
    shift = indent_of(first_code_line(lines))
    return "\n".join(line[min(shift, indent_of(line)) :] for line in lines) if shift else text


def _longest_prefix(text: str) -> tuple[Module, SyntaxError | None]:
    """As many whole lines from the start as parse, and the first error if that is not all of them.

    Raises SyntaxError for an error that has no place, and where `MAX_CUTS` cuts are not enough.
    """
    lines = text.split("\n")
    fault: SyntaxError | None = None
    for _ in range(MAX_CUTS):
        try:
            return parse("\n".join(lines) + "\n"), fault
        except SyntaxError as error:
            fault = fault or error
            if error.lineno is None:
                break
            lines = lines[: max(0, min(error.lineno - 1, len(lines) - 1))]
    raise fault or SyntaxError("no code")
