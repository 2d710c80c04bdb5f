import ast
import subprocess
import sys
import textwrap

import pytest

from assay.core.errors import UsageError
from assay.core.records import Candidate, Task
from assay.prompting.examples import read_examples
from assay.prompting.extract import extract
from assay.prompting.formats import PromptOptions, answer_start, render

SOURCE = '''\
import torch
import torch.nn as nn

FACTOR = 3


class Scale(nn.Module):
    """Not needed by the model."""

    def forward(self, x):
        return x * FACTOR


def shift(x, by=FACTOR):
    """Adds a constant."""
    return x + by


class Model(nn.Module):
    """
    Shifts and clips.
    """

    def __init__(self, low: float):
        """Stores the bound."""
        super(Model, self).__init__()
        self.low = low

    def forward(
        self, x: torch.Tensor, high: float = 1.0
    ) -> torch.Tensor:
        """Does it."""
        return torch.clamp(shift(x), self.low, high)


def get_inputs():
    return [torch.rand(4, 4)]


def get_init_inputs():
    return [0.0]
'''
TASK = Task(suite="test", id="1", name="clip", source=SOURCE)


def test_body_completion_shows_what_the_class_reads_and_ends_inside_forward():
    prompt = render(TASK, "body", "completion")
    assert prompt.text.endswith(
        "class ModelNew(Model):\n    def forward(\n        self, x: torch.Tensor, high: float = 1.0\n"
        "    ) -> torch.Tensor:\n       "
    )
    assert "def shift" in prompt.text and "FACTOR = 3" in prompt.text
    assert "class Scale" not in prompt.text and "get_inputs" not in prompt.text
    assert '"""' not in prompt.text
    ast.parse(prompt.text + " return x")


@pytest.mark.parametrize(("indent", "spaces"), [(None, 7), (0, 0), (7, 7), (8, 8)])
def test_indent_sets_the_spaces_that_a_body_prompt_ends_with(indent, spaces):
    options = PromptOptions(indent=indent)
    for prompt_text in (
        render(TASK, "body", "completion", options).text,
        render(TASK, "body", "chat", options).prefill,
    ):
        assert prompt_text.rpartition("\n")[2] == " " * spaces


def test_body_chat_prefill_holds_imports_and_the_forward_line():
    prompt = render(TASK, "body", "chat")
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.prefill.startswith("```python\nimport torch\nimport torch.nn as nn\n\n\nclass ModelNew(Model):\n")
    assert prompt.text == ""
    assert prompt.stop[0] == "\n```"


def test_module_prompts_show_the_input_makers_and_import_what_the_backend_needs():
    for kind in ("completion", "chat"):
        prompt = render(TASK, "module", kind, PromptOptions(backend="triton"))
        shown = prompt.text or prompt.messages[-1].content
        assert "def get_inputs" in shown and "Triton" in shown
        assert answer_start(prompt).splitlines()[-2:] == ["import triton", "import triton.language as tl"]


def test_body_of_kernels_is_a_usage_error():
    with pytest.raises(UsageError, match="module"):
        render(TASK, "body", "chat", PromptOptions(backend="cuda"))


def test_hardware_is_told_in_one_line():
    options = PromptOptions(hardware="2 cores\n  AVX2\n")
    assert "\n# It runs on: 2 cores; AVX2\nclass ModelNew" in render(TASK, "body", "completion", options).text
    assert "\n# It runs on: 2 cores; AVX2\n" in render(TASK, "module", "completion", options).text
    assert render(TASK, "body", "chat", options).messages[-1].content.endswith("It runs on: 2 cores; AVX2")
    assert render(TASK, "body", "chat", PromptOptions(hardware=" \n")) == render(TASK, "body", "chat")


def test_without_prefill_the_answer_is_free_in_form():
    prompt = render(TASK, "body", "chat", PromptOptions(prefill=False))
    assert prompt.prefill == "" and prompt.stop == ()
    answer = "Here:\n\n```python\nclass ModelNew(Model):\n    def forward(self, x, high=1.0):\n        return x\n```\n"
    assert isinstance(extract(answer, TASK, prompt), Candidate)


def test_system_prompt_and_examples_come_from_the_users_files(tmp_path):
    system = tmp_path / "system.txt"
    system.write_text("Be brief.\n")
    examples = tmp_path / "examples.toml"
    reference = "import torch\nclass Model(torch.nn.Module):\n    def forward(self, q):\n        return q + q\n"
    examples.write_text(f"[[example]]\nreference = '''\n{reference}'''\nbody = 'return 2 * q'\n")
    options = PromptOptions(system=system, examples=examples)
    chat = render(TASK, "body", "chat", options)
    assert [message.role for message in chat.messages] == ["system", "user", "assistant", "user"]
    assert chat.messages[0].content == "Be brief."
    assert chat.messages[2].content.endswith("    def forward(self, q):\n        return 2 * q\n```")
    completion = render(TASK, "body", "completion", options)
    assert "    def forward(self, q):\n        return 2 * q\n" in completion.text
    module = render(TASK, "module", "completion", options)
    assert "class ModelNew(torch.nn.Module):\n    def forward(self, q):\n        return 2 * q" in module.text
    assert answer_start(module) == "import torch\nimport torch.nn as nn\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[example]]\nbody = 'return 1'",
        "[[example]]\nreference = 'x = 1'\nbody = 'return 1'",
        "[[example]]\nreference = 1\nbody = 'return 1'",
        "[[example]]\nreference = '''class Model:\n  def forward(self): return 0'''\nbody = 'return ('",
        "example = 3",
        "not toml",
    ],
)
def test_malformed_examples_are_usage_errors(tmp_path, text):
    path = tmp_path / "examples.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="example"):
        render(TASK, "body", "chat", PromptOptions(examples=path))


def test_missing_files_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="system prompt"):
        render(TASK, "body", "chat", PromptOptions(system=tmp_path / "none"))
    with pytest.raises(UsageError, match="examples"):
        render(TASK, "body", "chat", PromptOptions(examples=tmp_path / "none"))


@pytest.mark.parametrize("source", ["x = 1", "class Model:\n    pass\n", "class Model(:", "\0", ""])
def test_task_without_a_model_is_a_usage_error(source):
    with pytest.raises(UsageError, match="test/2"):
        render(Task(suite="test", id="2", name="bad", source=source), "body", "completion")


def test_rendering_is_the_same_in_another_process():
    script = (
        "import sys\nfrom assay.core.records import Task\nfrom assay.prompting.formats import PromptOptions, render\n"
        "task = Task(suite='test', id='1', name='clip', source=sys.stdin.read())\n"
        "options = PromptOptions(examples='builtin', hardware='a CPU')\n"
        "print([render(task, f, k, options).hash for f in ('body', 'module') for k in ('completion', 'chat')])\n"
        "assert 'torch' not in sys.modules\n"
    )
    options = PromptOptions(examples="builtin", hardware="a CPU")
    here = [render(TASK, f, k, options).hash for f in ("body", "module") for k in ("completion", "chat")]
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", script],
            input=SOURCE,
            text=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed},
            check=True,
        )
        assert ran.stdout.strip() == str(here)


def test_builtin_examples_compute_what_their_references_compute():
    torch = pytest.importorskip("torch")
    inputs: dict[tuple[str, ...], tuple] = {
        ("real", "imag"): (torch.randn(4, 3), torch.randn(4, 3)),
        ("rows", "columns"): (torch.randn(4), torch.randn(6)),
    }
    for example in read_examples("builtin"):
        old: dict = {}
        new: dict = {}
        exec(example.reference.module.text, old)
        exec(example.module or "", new)
        names = tuple(argument.arg for argument in example.reference.forward.args.args[1:])
        arguments = inputs.get(names, (torch.randn(5, 8),))
        outputs = []
        for scope, name in ((old, "Model"), (new, "ModelNew")):
            torch.manual_seed(0)
            model = scope[name](8) if "channels" in example.reference.module.text else scope[name]()
            outputs.append(model(*arguments))
        torch.testing.assert_close(outputs[0], outputs[1])


def test_prompt_text_of_a_tab_indented_task_parses():
    source = textwrap.dedent(SOURCE).replace("    ", "\t")
    prompt = render(Task(suite="test", id="3", name="tabs", source=source), "body", "completion")
    ast.parse(prompt.text + " return x")
