import ast
import os
import re
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.core.records import Candidate, ParseFailure, Prompt, Task
from assay.prompting import extract as extract_module
from assay.prompting.extract import ParseReason, extract
from assay.prompting.formats import PromptOptions, render
from assay.prompting.reference import read_reference
from assay.prompting.source import end_line, first_line

STARTER = Path(extract_module.__file__).parents[1] / "tasks" / "starter"

PLAIN = '''\
import torch
import torch.nn as nn

class Model(nn.Module):
    """Clips at zero."""
    def __init__(self):
        super(Model, self).__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Docstring."""
        return torch.relu(x)  # the result

N = 8

def get_inputs():
    return [torch.randn(N, N)]

def get_init_inputs():
    return []  # nothing
'''

WITH_PARAMETERS = '''\
from __future__ import annotations
import math
import torch
from torch import nn

EPSILON = 1e-3

def normalised(x, eps=EPSILON):
    return x / (x.norm(dim=-1, keepdim=True) + eps)

class Head(nn.Module):
    def __init__(self, width):
        super(Head, self).__init__()
        self.weight = nn.Parameter(torch.randn(width, width) / math.sqrt(width))

    def forward(self, x):
        return x @ self.weight

class Model(nn.Module):
    expansion = 2

    def __init__(self, width, ratio=0.5):
        super(Model, self).__init__()
        self.head = Head(width)
        self.bias = nn.Parameter(torch.randn(width) * EPSILON)
        self.ratio = ratio

    def mix(self, x):
        return x * Model.expansion + self.bias

    def forward(self, x):
        """Branches,
        with a docstring of several lines.
        """
        text = """
    not code: class Model
"""
        if x.dim() == 2 and len(text) > 3:
            y = self.mix(self.head(x))
            # a comment
            return normalised(y) * self.ratio
        else:
            return x

    def extra_repr(self):
        return "none"

width = 6

def get_inputs():
    return [torch.randn(3, width)]

def get_init_inputs():
    return [width]

if __name__ == "__main__":
    print(Model(*get_init_inputs())(*get_inputs()))
'''

TABBED = PLAIN.replace("    ", "\t").replace("\n", "\r\n")

ONE_LINE = '''\
import torch
class Model(torch.nn.Module):
  """é"""
  é = 1
  def forward(self, a, b=(lambda: 1)): return torch.maximum(a, -a * self.é)
def get_inputs(): return [torch.randn(4)]
def get_init_inputs(): return []
'''


def task_of(source: str) -> Task:
    return Task(suite="test", id="1", name="task", source=source)


TASKS = {
    name: task_of(source)
    for name, source in {"plain": PLAIN, "parameters": WITH_PARAMETERS, "tabs": TABBED, "one line": ONE_LINE}.items()
}
BODY = render(TASKS["plain"], "body", "completion")
BODY_CHAT = render(TASKS["plain"], "body", "chat")
FREE = render(TASKS["plain"], "body", "chat", PromptOptions(prefill=False))
MODULE = render(TASKS["plain"], "module", "completion")
MODULE_CHAT = render(TASKS["plain"], "module", "chat")
ALL_PROMPTS = [BODY, BODY_CHAT, FREE, MODULE, MODULE_CHAT]


def source_of(text: str, prompt: Prompt = BODY, task: Task = TASKS["plain"]) -> str:
    found = extract(text, task, prompt)
    assert isinstance(found, Candidate), found
    check_is_independent(found.source)
    return found.source


def reason_of(text: str, prompt: Prompt = BODY) -> str:
    found = extract(text, TASKS["plain"], prompt)
    assert isinstance(found, ParseFailure), found
    return found.reason.split(":")[0]


def check_is_independent(source: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
        compile(source, "candidate", "exec")
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert names.count("ModelNew") == 1
    assert not {"Model", "get_inputs", "get_init_inputs"} & set(names)


def run(source: str, name: str, init: list, inputs: list) -> torch.Tensor:
    scope: dict = {"__name__": "candidate"}
    exec(compile(source, "program", "exec"), scope)
    torch.manual_seed(1)
    return scope[name](*init)(*inputs)


def output_of(text: str, prompt: Prompt = BODY, x: torch.Tensor | None = None) -> torch.Tensor:
    return run(source_of(text, prompt), "ModelNew", [], [torch.tensor([-2.0, 3.0]) if x is None else x])


def forward_text(source: str) -> str:
    candidate = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == "ModelNew")
    return ast.unparse(next(n for n in candidate.body if isinstance(n, ast.FunctionDef) and n.name == "forward"))


def forward_body(source: str) -> str:
    return forward_text(source).partition("\n")[2].lstrip("\n")


# -- the body format: what a model writes after the forward line ---------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        " return x.clamp(min=0)",
        "return x.clamp(min=0)",
        "        return x.clamp(min=0)\n",
        "\n        return x.clamp(min=0)\n\n\nclass Other(Model):\n    pass",
        " return x.clamp(min=0)\n\n    def other(self):\n        return 1",
        " return x.clamp(min=0)\nSome prose, isn't it?",
        " return x.clamp(min=0)\n```\nThis is 'faster'.",
        " return x.clamp(min=0)\n        y = ((",
        "```python\nreturn x.clamp(min=0)\n```",
        "```python\n        return x.clamp(min=0)\n```\nDone.",
        "Here is the body:\n\n        return x.clamp(min=0)\n",
        "\treturn x.clamp(min=0)",
        "\ufeffreturn x.clamp(min=0)",
        " return x.clamp(min=0)\r\n\r\nprint()",
    ],
)
@pytest.mark.parametrize("prompt", [BODY, BODY_CHAT, FREE])
def test_one_line_body_is_found_in_every_wrapping(text, prompt):
    assert forward_body(source_of(text, prompt)) == "    return x.clamp(min=0)"


@pytest.mark.parametrize(
    "text",
    [
        " if x.sum() > 9:\n            return x\n        y = x\n        return y",
        "if x.sum() > 9:\n    return x\ny = x\nreturn y",
        " if x.sum() > 9:\n            return x\n        y = x\n        return y\n        return y + 1",
        "\n\t\tif x.sum() > 9:\n\t\t\treturn x\n\t\ty = x\n\t\treturn y\n",
        "\tif x.sum() > 9:\n\t\treturn x\n\ty = x\n\treturn y\n",
        "\n    if x.sum() > 9:\n        return x\n    y = x\n    return y\n",
        "  if x.sum() > 9:\n            return x\n        y = x\n        return y",
    ],
)
def test_body_of_several_lines_is_indented_anew(text):
    expected = "    if x.sum() > 9:\n        return x\n    y = x\n    return y"
    assert forward_body(source_of(text)) == expected


def test_return_inside_branches_only_is_kept_whole():
    branches = " if x.sum() > 9:\n            return x\n        else:\n"
    text = branches + "            for y in x:\n                return y\n\nx = 1"
    assert forward_body(source_of(text)).count("return") == 2
    text = " with torch.no_grad():\n            return x * 2\n"
    assert forward_body(source_of(text)) == "    with torch.no_grad():\n        return x * 2"


def test_nested_function_is_not_cut():
    text = " def double(t):\n            return t * 2\n        return double(x)\n        return x"
    assert forward_body(source_of(text)) == "    def double(t):\n        return t * 2\n    return double(x)"
    assert output_of(text).tolist() == [-4.0, 6.0]


def test_return_of_a_nested_function_alone_is_no_return():
    assert reason_of(" def double(t):\n            return t * 2\n        y = double(x)") == ParseReason.NO_RETURN


def test_string_and_bracket_that_reach_the_margin_belong_to_the_body():
    text = ' y = torch.cat([\nx,\nx])\n        s = """\nreturn\n  text"""\n        return y, s\n\nx = 1'
    y, s = run(source_of(text), "ModelNew", [], [torch.ones(2)])
    assert y.shape == (4,) and s == "\nreturn\n  text"


def test_moving_a_body_leaves_its_strings_alone():
    text = 's = """a\n    b\n"""\nif len(s):\n    return s\nreturn x'
    assert run(source_of(text), "ModelNew", [], [torch.ones(2)]) == "a\n    b\n"


def test_unfinished_tail_is_dropped_if_a_return_remains():
    text = " if x.sum() > 9:\n            return x\n        y = torch.cat([x,"
    assert forward_body(source_of(text)) == "    if x.sum() > 9:\n        return x"
    assert reason_of(" y = x\n        z = torch.cat([x,") == ParseReason.NO_RETURN
    assert reason_of(" return torch.cat([x,") == ParseReason.SYNTAX_ERROR


def test_error_at_the_start_of_a_body_is_not_skipped_to_reach_a_return():
    assert (
        reason_of(" y = = x\n        z = 1\n        y = 2\n        q = 3\n        return x") == ParseReason.SYNTAX_ERROR
    )


def test_body_keeps_the_references_signature_constants_and_helpers():
    task = TASKS["parameters"]
    source = source_of(" return normalised(self.mix(x))", render(task, "body", "completion"), task)
    for kept in ("EPSILON = 1e-3", "def normalised", "class Head", "expansion = 2", "ModelNew.expansion", "width = 6"):
        assert kept in source
    assert "super().__init__()" in source and "super(Head, self)" in source
    assert "__main__" not in source
    assert not re.search(r"\bModel\b(?!\n\"\"\")", source)


def test_body_that_calls_the_reference_is_left_for_the_judge():
    for text in (" return Model().forward(x)", " return super().forward(x)", " return self.reference(x)"):
        with pytest.raises((NameError, NotImplementedError, AttributeError)):
            output_of(text)


def test_deep_indentation_of_the_prompt_does_not_matter():
    sources = {
        source_of(text, render(TASKS["plain"], "body", "completion", PromptOptions(indent=indent)))
        for indent, text in [
            (0, "        y = x\n        return y"),
            (7, " y = x\n        return y"),
            (8, "y = x\n        return y"),
        ]
    }
    assert len(sources) == 1


# -- a class or a function where a body was asked for ----------------------------------------------------------------


def test_whole_class_keeps_its_init_kernels_and_helpers():
    text = (
        "Sure! Here it is:\n\n```python\nimport math\n\nSCALE = math.e\n\ndef kernel(x):\n    return x * SCALE\n\n"
        "class ModelNew(nn.Module):\n    def __init__(self):\n        super(ModelNew, self).__init__()\n"
        "        self.k = 2\n\n    def forward(self, x):\n        return kernel(x) * self.k\n```\n\nIt's quick."
    )
    for prompt in ALL_PROMPTS:
        source = source_of(text, prompt)
        assert "import torch.nn as nn" in source
        assert torch.allclose(output_of(text, prompt), torch.tensor([-2.0, 3.0]) * 2 * 2.718281828)


def test_whole_class_without_fences_is_found_after_prose():
    code = "from torch import nn\nclass ModelNew(nn.Module):\n    def forward(self, x):\n        return x + 1\n"
    text = f"I would do this.\n\n{code}\nHope it's fine"
    for prompt in ALL_PROMPTS:
        assert output_of(text, prompt).tolist() == [-1.0, 4.0]


def test_function_overrides_forward_with_its_own_signature():
    forward = "def forward(self, input):\n    return helper(input) * TWO\n"
    text = f"```python\nTWO = 2\n\n{forward}\ndef helper(t):\n    return t\n```"
    for prompt in ALL_PROMPTS:
        assert "def forward(self, input)" in source_of(text, prompt)
        assert output_of(text, prompt).tolist() == [-4.0, 6.0]
    assert output_of("def forward(self, x):\n        return x * 3").tolist() == [-6.0, 9.0]


def test_repeated_reference_is_no_answer():
    for text in (f"The reference is\n\n```python\n{PLAIN}```\n", f"The reference is\n\n{PLAIN}\n"):
        for prompt in ALL_PROMPTS:
            assert reason_of(text, prompt) not in (ParseReason.EMPTY, ParseReason.NO_CODE)
    assert reason_of(PLAIN, MODULE) == ParseReason.NO_CLASS


def test_class_that_inherits_from_the_reference_is_merged_with_it():
    text = "class ModelNew(Model):\n    pass\n"
    x = torch.tensor([-2.0, 3.0])
    for prompt in ALL_PROMPTS:
        assert output_of(text, prompt).equal(torch.relu(x))
    assert output_of("class ModelNew(Model): pass", MODULE).equal(torch.relu(x))


def test_merged_class_keeps_what_it_calls_of_its_parent():
    task = TASKS["parameters"]
    text = (
        "```python\nclass ModelNew(Model):\n    '''Faster.'''\n    def __init__(self, width):\n"
        "        super().__init__(width, ratio=0.25)\n        # one more\n        self.more = 2\n\n"
        "    def mix(self, x):\n        return super(ModelNew, self).mix(x) * self.more + 0 * Model.expansion\n\n"
        "    def forward(self, x):\n        return normalised(self.mix(self.head(x))) * self.ratio * self.more\n```"
    )
    source = source_of(text, render(task, "module", "chat"), task)
    assert "# one more" in source
    x = torch.randn(3, 6)
    expected = run(WITH_PARAMETERS, "Model", [6], [x])
    torch.testing.assert_close(run(source, "ModelNew", [6], [x]), expected, atol=1e-3, rtol=1e-2)


def test_merging_prefers_the_answers_own_version_of_the_reference():
    text = (
        "import torch\nfrom torch import nn\n\nclass Model(nn.Module):\n    def scale(self):\n        return 5\n\n"
        "class ModelNew(Model):\n    def forward(self, x):\n        return x * self.scale()\n"
    )
    assert output_of(text, MODULE).tolist() == [-10.0, 15.0]


# -- the module format -----------------------------------------------------------------------------------------------

KERNEL = (
    'SOURCE = """\n#include <torch/extension.h>\ntorch::Tensor f(torch::Tensor x) { return x; }\n"""\n\n'
    "def build():\n    return SOURCE\n\n"
)
ANSWER = KERNEL + "class ModelNew(nn.Module):\n    def forward(self, x):\n        return x * len(build()[:2])\n"


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        ANSWER + "```\nIt's done.",
        ANSWER + "\nif __name__ == '__main__':\n    print(ModelNew())\n",
        ANSWER + "\ndef get_inputs():\n    return [1]\n",
        ANSWER + "\nmodel = ModelNew(\n",
        f"```python\nimport torch\nimport torch.nn as nn\n{ANSWER}```\n",
        f"Kernel:\n```python\n{KERNEL}```\nClass:\n```python\n{ANSWER[len(KERNEL) :]}```\n",
        f"Draft:\n```python\n{ANSWER.replace('x *', 'x.y *')}```\nNow:\n```\n{ANSWER}```",
        f"{PLAIN}\n{ANSWER}",
    ],
)
@pytest.mark.parametrize("prompt", [MODULE, MODULE_CHAT])
def test_module_answers_keep_their_kernels(text, prompt):
    source = source_of(text, prompt)
    assert "#include <torch/extension.h>" in source
    assert "__main__" not in source
    assert run(source, "ModelNew", [], [torch.ones(1)]).tolist() == [2.0]


def test_standalone_module_stays_as_it_was_written():
    text = "import torch\nfrom torch import nn\n\n# A note.\nclass ModelNew(nn.Module):\n"
    text += "    def forward(self, x):\n        N = 3\n        return x * N  # odd   spacing\n"
    assert source_of(f"```python\n{text}```", MODULE_CHAT.model_copy(update={"prefill": ""})) == text


def test_future_imports_stay_first():
    task = TASKS["parameters"]
    text = "class ModelNew(nn.Module):\n    def forward(self, x):\n        return normalised(x)\n"
    source = source_of(text, render(task, "body", "completion"), task)
    assert source.startswith("from __future__ import annotations\n")
    text = "from __future__ import annotations\nclass ModelNew(Model):\n    def forward(self, x):\n        return x\n"
    assert source_of(text, render(task, "module", "chat"), task).count("__future__") == 1


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "prompt", "reason"),
    [
        ("", BODY, ParseReason.EMPTY),
        (" \n\t\n", BODY, ParseReason.EMPTY),
        ("x" * 100_001, BODY, ParseReason.TOO_LONG),
        ("# only a comment", BODY, ParseReason.NO_CODE),
        ("```\n```", FREE, ParseReason.NO_CODE),
        ("I cannot do this, sorry.", BODY, ParseReason.SYNTAX_ERROR),
        (" return (", BODY, ParseReason.SYNTAX_ERROR),
        (" break\n        return x", BODY, ParseReason.SYNTAX_ERROR),
        (" return x\0", BODY, ParseReason.SYNTAX_ERROR),
        (" return " + "(" * 5000 + ")" * 5000, BODY, ParseReason.SYNTAX_ERROR),
        (" return " + "-" * 50_000 + "x", BODY, ParseReason.SYNTAX_ERROR),
        (" return x" + ".y" * 40_000, BODY, ParseReason.SYNTAX_ERROR),
        (" pass", BODY, ParseReason.NO_RETURN),
        ("import torch\n", MODULE, ParseReason.NO_CLASS),
        ("ModelNew = Model\n", MODULE, ParseReason.NO_CLASS),
        ("class ModelNew(nn.Module):\n    def forward(self, x:\n        return x", MODULE, ParseReason.SYNTAX_ERROR),
        ("class ModelNew(nn.Module):\n    k = 1\n", MODULE, ParseReason.NO_FORWARD),
        ("class ModelNew(nn.Module):\n    def forward(self, x):\n        x + 1\n", MODULE, ParseReason.NO_RETURN),
    ],
)
def test_failures_say_why(text, prompt, reason):
    assert reason_of(text, prompt) == reason


def test_lone_surrogates_do_no_harm_in_comments():
    assert "\ufffd" in source_of(" return x  # \ud800")


# -- any text --------------------------------------------------------------------------------------------------------

FRAGMENTS = [
    *(
        " return x",
        "\n",
        "    ",
        "        ",
        "\t",
        "```",
        "```python\n",
        "class ModelNew(Model):",
        "class ModelNew:",
        "pass",
    ),
    *(
        "class Model(nn.Module):",
        "def forward(self, x):",
        "    def __init__(self):",
        "super().__init__()",
        '"""',
        "'",
        "(",
    ),
    *(
        ")",
        "[",
        "{",
        "\\",
        "#",
        ":",
        ";",
        "@",
        "if x:",
        "else:",
        "for i in x:",
        "lambda",
        "yield",
        "await ",
        "async ",
        "\0",
    ),
    *(
        "from __future__ import annotations",
        "import torch",
        "Here it is:",
        "\ud800",
        "\r",
        "\x0c",
        "é",
        "return",
        "Model",
    ),
    *(
        "get_inputs",
        "if __name__ == '__main__':",
        "global x",
        "nonlocal x",
        "del x",
        "*",
        "=",
        "x",
        ".",
        "super().forward(x)",
    ),
]


def check_any(text: str, prompt: Prompt, task: Task = TASKS["plain"]) -> None:
    found = extract(text, task, prompt)
    assert extract(text, task, prompt) == found
    if isinstance(found, Candidate):
        check_is_independent(found.source)
    else:
        assert found.reason.split(":")[0] in list(ParseReason)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=300), st.sampled_from(ALL_PROMPTS))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_a_candidate_or_a_failure(text, prompt):
    check_any(text, prompt)


@given(st.lists(st.sampled_from([*FRAGMENTS, "\n", "\n", "\n        "]), max_size=40), st.sampled_from(ALL_PROMPTS))
@settings(max_examples=300, deadline=None)
def test_any_pieces_of_code_give_a_candidate_or_a_failure(pieces, prompt):
    check_any("".join(pieces), prompt)


VALID = [
    " if x.sum() > 9:\n            return x\n        y = x\n        return y",
    ANSWER,
    f"Well:\n```python\n{ANSWER}```\n",
    "class ModelNew(Model):\n  def __init__(self):\n    super().__init__()\n  def forward(self, x):\n    return x\n",
    WITH_PARAMETERS.replace("Model", "ModelNew"),
]


@st.composite
def mutated(draw):
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + draw(st.sampled_from(["", *FRAGMENTS])) + text[end:]
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


@given(mutated(), st.sampled_from(ALL_PROMPTS), st.sampled_from(["plain", "parameters"]))
@settings(max_examples=300, deadline=None)
def test_damaged_answers_give_a_candidate_or_a_failure(text, prompt, name):
    check_any(text, prompt, TASKS[name])


# -- the reference's own body ----------------------------------------------------------------------------------------


def own_body(task: Task) -> str:
    """The statements of the reference's `forward` as they stand, without a docstring."""
    reference = read_reference(task)
    module, forward = reference.module, reference.forward
    has_docstring = ast.get_docstring(forward) is not None and len(forward.body) > 1
    statements = forward.body[1:] if has_docstring else forward.body
    if statements[0].lineno == reference.signature_end_line:
        return module.lines(forward.lineno, end_line(forward)).removeprefix(reference.signature).strip()
    return module.lines(first_line(statements[0]), end_line(forward))


def identity(task: Task, indent: int | None = None) -> str:
    """The candidate that is made of the reference's own forward body, answered to a completion prompt."""
    prompt = render(task, "body", "completion", PromptOptions(indent=indent))
    tail = prompt.text.rpartition("\n")[2]
    found = extract(own_body(task).removeprefix(tail) + "\n\n\nclass Next:\n    pass\n", task, prompt)
    assert isinstance(found, Candidate), (task.key, found)
    check_is_independent(found.source)
    return found.source


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("indent", [None, 0])
def test_own_body_gives_the_same_function(name, indent):
    source = TASKS[name].source
    scope: dict = {"__name__": "reference"}
    exec(compile(source, "reference", "exec"), scope)
    inputs, init = scope["get_inputs"](), scope["get_init_inputs"]()
    expected = run(source, "Model", init, inputs)
    assert run(identity(TASKS[name], indent), "ModelNew", init, inputs).equal(expected)


@pytest.mark.parametrize("path", sorted(STARTER.glob("*.py")), ids=lambda path: path.stem)
def test_own_body_of_a_starter_task_gives_the_same_class(path):
    task = task_of(path.read_text(encoding="utf-8"))
    assert class_parts(identity(task), "ModelNew") == class_parts(task.source, "Model")


def class_parts(source: str, name: str) -> list[str]:
    """The members of a class as they run: without docstrings and under one name."""
    text = re.sub(r"\bsuper\(Model, self\)", "super()", source)
    tree = ast.parse(re.sub(rf"\b{name}\b", "Subject", text))
    (subject,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Subject"]
    for node in ast.walk(subject):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and isinstance(node.body[0], ast.Expr):
            is_docstring = isinstance(node.body[0].value, ast.Constant)
            node.body = node.body[1:] if is_docstring and len(node.body) > 1 else node.body
    return [ast.dump(node) for node in subject.body]


@pytest.mark.skipif("ASSAY_KERNELBENCH" not in os.environ, reason="ASSAY_KERNELBENCH names no checkout of KernelBench")
def test_own_body_of_every_kernelbench_problem_gives_the_same_class():
    root = Path(os.environ["ASSAY_KERNELBENCH"])
    paths = [path for level in (1, 2, 3) for path in sorted(root.glob(f"**/level{level}/*.py"))]
    assert paths
    for path in paths:
        task = Task(suite=path.parent.name, id=path.stem, name=path.stem, source=path.read_text(encoding="utf-8"))
        assert class_parts(identity(task), "ModelNew") == class_parts(task.source, "Model"), path.name
    print(f"{len(paths)} of {len(paths)} KernelBench problems")
