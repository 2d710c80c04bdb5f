"""`openai:` models from the command line: mistakes are one message, and no key is ever shown or stored."""

import json

import pytest
from openai_servers import MODEL, garbage, half_an_answer, reset, serving, status

from assay.runs import build, lifecycle
from assay.runs.store import RunStore

KEY = "sk-not-a-real-key-1234567890"
RUN = ("run", "best-of-n", "--tasks", "plain_gelu", "-k", "4", "--device", "cpu")
QUICK = ("--set", "server.retries=1", "--set", "server.backoff_s=0.001")
MONEY = ("--set", "server.prompt_dollars_per_million=1", "--set", "server.completion_dollars_per_million=2")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def judge(monkeypatch):
    import fakes

    monkeypatch.setattr(lifecycle, "load_evaluator", lambda config: fakes.FakeEvaluator())
    monkeypatch.setattr(build, "reference_copy", fakes.control)


def test_a_run_is_sampled_from_a_server_with_a_key_that_is_stored_nowhere(cli, judge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    with serving("vllm", key=KEY) as (url, _):
        code, out, err = cli(*RUN, "--model", f"openai:{MODEL}@{url}", "--out", "run", *QUICK, *MONEY)
    assert code == 0, err
    with RunStore.open(tmp_path / "run") as store:
        spent, samples = store.ledger.total, list(store.samples())
        assert store.config["model"] == f"openai:{MODEL}@{url}"
    assert len(samples) == 4 and all(sample.mean_logprob is not None for sample in samples)
    assert spent.dollars == pytest.approx((spent.prompt_tokens + 2 * spent.completion_tokens) / 1e6)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert KEY.encode() not in stored and KEY not in out + err


def test_a_run_without_logprobs_ends_with_its_tables(cli, judge, tmp_path):
    with serving("transformers") as (url, _):
        settings = ("--set", "server.logprobs=dropped", "--max-tokens", "64", *QUICK)
        code, out, err = cli(*RUN, "--model", f"openai:{MODEL}@{url}", "--out", tmp_path / "run", *settings)
    assert code == 0, err
    assert "By selector" in out
    assert cli("analyze", tmp_path / "run")[0] == 0
    with RunStore.open(tmp_path / "run") as store:
        assert store.ledger.total.completion_tokens > 0
        assert all(sample.mean_logprob is None for sample in store.samples())


def test_a_run_that_a_server_lets_down_is_ours_and_goes_on(cli, judge, tmp_path):
    with serving("vllm") as (url, state):
        spec, chunks = f"openai:{MODEL}@{url}", ("--max-tokens", "64", "--set", "sampling.chunk=2")
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        assert cli(*RUN, "--model", spec, "--out", whole, *QUICK, *chunks)[0] == 0
        asked = sum(path == "/v1/completions" for path, _ in state.requests)
        # The first two of the four samples are answered; each of the others fails, and fails again.
        state.faults += [*[None] * (asked - 2), *[status(500, "out of memory")] * 4]
        code, _, err = cli(*RUN, "--model", spec, "--out", cut, *QUICK, *chunks)
        assert code == 1 and "out of memory" in err
        with RunStore.open(cut) as store:
            assert len(list(store.samples())) == 2
        state.faults.clear()
        assert cli("resume", cut)[0] == 0
    with RunStore.open(whole) as first, RunStore.open(cut) as second:
        assert [s.completion for s in first.samples()] == [s.completion for s in second.samples()]
        assert first.ledger.total.rollouts == second.ledger.total.rollouts == 4


def test_a_key_on_the_command_line_is_refused_and_kept_out_of_the_manifest(cli, judge, tmp_path, monkeypatch):
    with serving("vllm") as (url, _):
        there = url.replace("http://", f"http://user:{KEY}@")
        code, out, err = cli(*RUN, "--model", f"openai:{MODEL}@{there}", "--out", tmp_path / "no")
        assert code == 2 and "OPENAI_API_KEY" in err and KEY not in out + err
        assert not (tmp_path / "no").exists()
        monkeypatch.setenv("HF_TOKEN", KEY)
        monkeypatch.setattr("sys.argv", ["assay", "run", f"--token={KEY}"])
        assert cli(*RUN, "--model", f"openai:{MODEL}@{url}", "--out", tmp_path / "yes", *QUICK)[0] == 0
    manifest = json.loads((tmp_path / "yes" / "manifest.json").read_text())
    assert manifest["sessions"][0]["argv"][-1] == "--token=[hidden]"


@pytest.mark.parametrize(
    ("behaviour", "faults", "settings", "message"),
    [
        ({"key": KEY}, [], [], "none was sent; set OPENAI_API_KEY"),
        ({"has_logprobs": False}, [], [], "gives no log-probabilities"),
        ({"tempered": True, "dialect": "llama.cpp"}, [], [], "does not score given text"),
        ({}, [status(429, retry_after="0")] * 2, [], "limits the rate of requests"),
        ({}, [status(500, "boom")] * 2, [], "boom"),
        ({}, [half_an_answer] * 2, [], "broke off"),
        ({}, [reset] * 2, [], "broke off"),
        ({}, [garbage] * 2, [], "no JSON"),
        ({"dialect": "openai"}, [], [], "prompt.prefill=false"),
        ({}, [], ["server.adapter=nowhere"], "no saved adapter there"),
        # transformers asks the hub several times before it gives up
        pytest.param({}, [], ["server.tokenizer=nowhere/at-all"], "no tokenizer there", marks=pytest.mark.slow),
        ({}, [], ["server.concurency=3"], "did you mean server.concurrency"),
        ({}, [], ["server.concurrency=0"], "server.concurrency"),
        ({}, [], [f"server.api_key={KEY}"], "server.api_key"),
    ],
)
def test_what_stands_in_the_way_is_one_message_and_exit_code_2(
    cli, tmp_path, monkeypatch, behaviour, faults, settings, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with serving(**({"dialect": "vllm"} | behaviour)) as (url, state):
        state.faults += faults
        sets = [part for setting in settings for part in ("--set", setting)]
        code, out, err = cli(*RUN, "--model", f"openai:{MODEL}@{url}", *QUICK, *sets)
    assert (code, out) == (2, "")
    assert message in err and "Traceback" not in err and KEY not in err
    assert list(tmp_path.iterdir()) == []


def test_a_strategy_that_trains_is_refused(cli):
    code, _, err = cli("run", "ttt", "--model", "openai:x@http://127.0.0.1:9/v1", "--device", "cpu", "--dry-run")
    assert code == 2 and "cannot be trained" in err


def test_doctor_tries_a_model(cli):
    with serving("sglang") as (url, _):
        code, out, _ = cli("doctor", "--model", f"openai:{MODEL}@{url}", "--device", "cpu")
        document = json.loads(cli("doctor", "--model", f"openai:{MODEL}@{url}", "--device", "cpu", "--json")[1])
    assert code == 0 and "tempered (rescored" in out and "scored again where that matters" in out
    assert document["server"] == "sglang" and document["probe"]["verdict"] == "tempered"
    assert document["can_score"] and document["sample"]["text"]


def test_doctor_tries_a_script(cli, tmp_path):
    (tmp_path / "script.json").write_text('{"completions": {"*": ["return x"]}}')
    code, out, _ = cli("doctor", "--model", f"scripted:{tmp_path / 'script.json'}", "--device", "cpu")
    assert code == 0 and "return x" in out and "not tried" in out
