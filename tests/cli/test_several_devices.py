"""Several devices on the command line."""

import pytest

from assay.runs import devices


@pytest.fixture(autouse=True)
def two_devices(monkeypatch):
    monkeypatch.setattr(devices, "_cuda_devices", lambda: 2)


@pytest.mark.parametrize(
    "command",
    [
        ("eval", "none.py", "--reference", "starter/plain_gelu"),
        ("audit",),
        ("tasks", "starter", "--audit"),
    ],
)
@pytest.mark.parametrize("named", ["cuda:0,cuda:1", "cuda:all"])
def test_commands_for_one_device_refuse_several_and_name_themselves(cli, command, named):
    code, out, err = cli(*command, "--device", named)
    assert code == 2 and out == ""
    assert f"assay {command[0]}" in err and "uses one device" in err


def test_a_plan_names_the_devices_of_judges_and_model(cli, tmp_path):
    plain = ("run", "best-of-n", "--limit", "1", "-k", "2", "--out", tmp_path / "run", "--dry-run")
    code, out, err = cli(*plain, "--device", "cuda:all")
    assert code == 0 and "cuda:0,cuda:1, the model on cuda:0" in out + err
    code, out, err = cli(*plain, "--device", "cuda:1", "--set", "model_device=cuda:split")
    assert code == 0 and "cuda:1, the model on cuda:0+cuda:1" in out + err
    code, out, err = cli(*plain, "--device", "cuda:0,cuda:0")
    assert code == 2 and "named twice" in err
