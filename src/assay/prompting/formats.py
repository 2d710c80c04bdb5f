"""What a model is asked: a task rendered as a prompt.

Formats: `body` asks for the statements of `ModelNew.forward`, `module` for a whole file with `ModelNew` and kernels.
Kinds: `completion` is a file that the model goes on writing, `chat` a conversation whose last turn is begun for it.

The rendering is a pure function of its arguments and of the data files that it reads: equal input, equal `Prompt.hash`.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from assay.core.errors import UsageError
from assay.core.records import Message, Prompt, Record, Task
from assay.prompting.examples import Example, read_examples, read_text
from assay.prompting.reference import CANDIDATE_CLASS, REFERENCE_CLASS, Reference, read_reference
from assay.prompting.source import reindent

Backend = Literal["torch", "cpp", "cuda", "triton"]

FENCE = "```"
# In a completion prompt of the module format, the answer starts on the line after the last one that begins so.
ANSWER_MARK = "# model_new.py"
BACKENDS: dict[Backend, str] = {
    "torch": "PyTorch operations",
    "cpp": "C++ code compiled with torch.utils.cpp_extension.load_inline",
    "cuda": "CUDA kernels compiled with torch.utils.cpp_extension.load_inline",
    "triton": "Triton kernels",
}
BACKEND_IMPORTS: dict[Backend, tuple[str, ...]] = {
    "torch": (),
    "cpp": ("from torch.utils.cpp_extension import load_inline",),
    "cuda": ("from torch.utils.cpp_extension import load_inline",),
    "triton": ("import triton", "import triton.language as tl"),
}
BODY_REQUEST = (
    f"# {CANDIDATE_CLASS} computes the same as {REFERENCE_CLASS}, "
    "written in another equivalent way with torch operations."
)
MODULE_REQUEST = f"{CANDIDATE_CLASS} computes the same as {REFERENCE_CLASS}, faster, with"


class PromptOptions(Record):
    """How prompts are rendered. The defaults are those for Qwen2.5-Coder.

    indent: how many spaces of the first body line's indentation a prompt of the body format ends with; None is one less
        than all of it. The pre-tokenizers of Qwen2.5 and SmolLM2 give the last of several spaces to the word after
        them: "       " and " return", never "        " and "return". SmolLM2's also joins the line end to the spaces
        after it, so that one less than all is the only beginning it knows from training; for Qwen2.5, 0 is another.
        Measured on Qwen2.5-Coder-0.5B (8 tasks, 6 samples each, T = 0.8): after eight spaces 48 of 48 completions began
        with a ninth. `extract` takes such a first line as meant, so that the choice hardly changes what parses.
    backend: what the kernels of a module are to be written in.
    system: a text file that replaces the built-in system prompt of a chat.
    examples: worked examples to show first: "builtin", or a file in the form of `data/examples.toml`. None by default,
        as they lower the correct rate of a 0.5B model (and raise that of a 1.5B one).
    hardware: facts of the device to tell the model, in words: "NVIDIA H100, 80 GB, 3.35 TB/s".
    prefill: begin the assistant's turn of a chat; False for servers that cannot continue a turn and models that reason.
    """

    indent: int | None = Field(default=None, ge=0)
    backend: Backend = "torch"
    system: Path | None = None
    examples: Path | Literal["builtin"] | None = None
    hardware: str | None = None
    prefill: bool = True


def render(
    task: Task,
    format: Literal["body", "module"],
    kind: Literal["completion", "chat"],
    options: PromptOptions | None = None,
) -> Prompt:
    """The prompt that asks for a faster program for `task`.

    Raises UsageError if the task has no class `Model` with a `forward` method, if a file of `options` cannot be read,
    or if a body is asked for in anything but PyTorch operations.
    """
    options = options or PromptOptions()
    if format == "body" and options.backend != "torch":
        raise UsageError(f"a body of forward has no place for {options.backend} kernels; ask for the format 'module'")
    reference = read_reference(task)
    examples = read_examples(options.examples)
    if kind == "completion":
        text = _completion_text(reference, format, examples, options)
        return Prompt(
            task_key=task.key, format=format, kind=kind, text=text, stop=_stops(reference, format, kind, options)
        )
    return Prompt(
        task_key=task.key,
        format=format,
        kind=kind,
        messages=_messages(reference, format, examples, options),
        prefill=_chat_start(reference, format, options) if options.prefill else "",
        stop=_stops(reference, format, kind, options),
    )


def answer_start(prompt: Prompt) -> str:
    """The part of the answer that the prompt itself already holds; a completion goes on from there."""
    if prompt.kind == "chat":
        before, fence, code = prompt.prefill.rpartition(FENCE)
        return code.partition("\n")[2] if fence else before + code
    _, mark, after = prompt.text.rpartition(f"\n{ANSWER_MARK}")
    if prompt.format == "module":
        return after.partition("\n")[2] if mark else ""
    return prompt.text.rpartition("\n")[2]


# -- completion prompts ---------------------------------------------------------------------------------------------


def _completion_text(
    reference: Reference, format: Literal["body", "module"], examples: tuple[Example, ...], options: PromptOptions
) -> str:
    shown = [*examples, Example(reference, body=None, module=None)]
    parts = [_completion_part(example, format, options) for example in shown]
    start = _indentation(reference, options) if format == "body" else ""
    return "\n\n\n".join(parts) + "\n" + start


def _completion_part(example: Example, format: Literal["body", "module"], options: PromptOptions) -> str:
    """A reference with its answer, or with the beginning of the answer where there is none yet."""
    reference = example.reference
    if format == "body":
        body = "" if example.body is None else "\n" + reindent(example.body, reference.body_indent)
        request = "\n".join([BODY_REQUEST, *_hardware_comment(options)])
        return f"{reference.shown_class()}\n\n\n{request}\n{_class_header(reference)}{body}"
    request = f"{ANSWER_MARK}: {MODULE_REQUEST} {BACKENDS[options.backend]}."
    answer = "\n".join(_file_imports(reference, options)) if example.module is None else example.module.strip("\n")
    return "\n".join(["# model.py", *_hardware_comment(options), reference.shown_file(), "", "", request, answer])


def _hardware_comment(options: PromptOptions) -> list[str]:
    return [f"# {_hardware(options)}"] if _hardware(options) else []


def _hardware(options: PromptOptions) -> str:
    """One line about the device, or "" if nothing is to be said."""
    facts = "; ".join(line.strip() for line in (options.hardware or "").splitlines() if line.strip())
    return f"It runs on: {facts}" if facts else ""


def _class_header(reference: Reference) -> str:
    return f"class {CANDIDATE_CLASS}({REFERENCE_CLASS}):\n{reference.signature}"


def _file_imports(reference: Reference, options: PromptOptions) -> list[str]:
    return list(dict.fromkeys([*reference.imports, *BACKEND_IMPORTS[options.backend]]))


def _indentation(reference: Reference, options: PromptOptions) -> str:
    return " " * (reference.body_indent - 1 if options.indent is None else options.indent)


# -- chat prompts ---------------------------------------------------------------------------------------------------


def _messages(
    reference: Reference, format: Literal["body", "module"], examples: tuple[Example, ...], options: PromptOptions
) -> tuple[Message, ...]:
    system = read_text(options.system, f"system_{format}.txt", "system prompt").strip()
    turns = [Message(role="system", content=system)] if system else []
    for example in examples:
        turns.append(Message(role="user", content=_request(example.reference, format, options)))
        turns.append(Message(role="assistant", content=_example_answer(example, format, options)))
    return (*turns, Message(role="user", content=_request(reference, format, options)))


def _request(reference: Reference, format: Literal["body", "module"], options: PromptOptions) -> str:
    if format == "body":
        shown = reference.shown_class()
        wanted = (
            f"Write `class {CANDIDATE_CLASS}({REFERENCE_CLASS})`: its `forward` computes the same result in another "
            "equivalent way with torch operations, in less time. Override `forward` only."
        )
    else:
        shown = reference.shown_file()
        wanted = (
            f"Write a complete Python file with `class {CANDIDATE_CLASS}(nn.Module)`, which takes the place of "
            f"`{REFERENCE_CLASS}` and computes the same result in less time, with {BACKENDS[options.backend]}."
        )
    return "\n\n".join(part for part in (f"{FENCE}python\n{shown}\n{FENCE}", wanted, _hardware(options)) if part)


def _chat_start(reference: Reference, format: Literal["body", "module"], options: PromptOptions) -> str:
    if format == "module":
        return f"{FENCE}python\n" + "\n".join(_file_imports(reference, options)) + "\n"
    imports = "\n".join(reference.imports)
    return f"{FENCE}python\n{imports}\n\n\n{_class_header(reference)}\n{_indentation(reference, options)}"


def _example_answer(example: Example, format: Literal["body", "module"], options: PromptOptions) -> str:
    if format == "module":
        return "\n".join([f"{FENCE}python", (example.module or "").strip("\n"), FENCE])
    imports = "\n".join(example.reference.imports)
    body = reindent(example.body or "", example.reference.body_indent)
    return f"{FENCE}python\n{imports}\n\n\n{_class_header(example.reference)}\n{body}\n{FENCE}"


# -- where a completion ends ----------------------------------------------------------------------------------------


def _stops(
    reference: Reference,
    format: Literal["body", "module"],
    kind: Literal["completion", "chat"],
    options: PromptOptions,
) -> tuple[str, ...]:
    """Stop strings, the most useful first (some servers take only four). They save tokens; `extract` cuts in any case.

    A body ends where a line stands at the margin or the next method begins. A file ends where the input makers or a
    main block begin. A chat without prefill is free in form and ends by itself.
    """
    if kind == "chat" and not options.prefill:
        return ()
    if format == "module":
        ends = ("\nif __name__", "\ndef get_inputs", "\ndef get_init_inputs")
        return (f"\n{FENCE}", *ends) if kind == "chat" else (*ends, "\n# model", f"\n{FENCE}")
    method = "\n" + " " * reference.forward.col_offset
    ends = (
        "\nclass ",
        "\ndef ",
        "\n#",
        "\nif __name__",
        f"{method}def ",
        f"{method}@",
        "\n@",
        "\nimport ",
        "\nfrom ",
        "\nprint(",
    )
    return (f"\n{FENCE}", *ends) if kind == "chat" else (*ends, f"\n{FENCE}")
