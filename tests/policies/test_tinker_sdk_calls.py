"""Every call that the policy makes is there in the SDK that is installed, and takes what it is given."""

import inspect
from typing import Any

import pytest

tinker: Any = pytest.importorskip("tinker", reason="the SDK is not installed: pip install 'assay-lab[tinker]'")

SERVICE = {
    "get_server_capabilities": (),
    "create_sampling_client": ("model_path", "base_model"),
    "create_lora_training_client": ("base_model", "rank", "seed", "train_unembed"),
}
TRAINING = {
    "forward": ("data", "loss_fn", "loss_fn_config"),
    "forward_backward": ("data", "loss_fn", "loss_fn_config"),
    "optim_step": ("adam_params",),
    "save_state": ("name",),
    "load_state": ("path",),
    "load_state_with_optimizer": ("path",),
    "save_weights_for_sampler": ("name",),
}
SAMPLING = {
    "sample": ("prompt", "num_samples", "sampling_params", "include_prompt_logprobs", "topk_prompt_logprobs"),
    "compute_logprobs": ("prompt",),
    "get_tokenizer": (),
}


@pytest.mark.parametrize(
    ("client", "calls"),
    [(tinker.ServiceClient, SERVICE), (tinker.TrainingClient, TRAINING), (tinker.SamplingClient, SAMPLING)],
    ids=["service", "training", "sampling"],
)
def test_calls_are_there_with_their_arguments(client: Any, calls: dict[str, tuple[str, ...]]) -> None:
    for name, wanted in calls.items():
        parameters = list(inspect.signature(getattr(client, name)).parameters)
        assert set(wanted) <= set(parameters), (name, parameters)


def test_arguments_that_are_given_by_place_are_in_their_place() -> None:
    for call in (tinker.TrainingClient.forward, tinker.TrainingClient.forward_backward):
        assert list(inspect.signature(call).parameters)[:4] == ["self", "data", "loss_fn", "loss_fn_config"]
    names = list(inspect.signature(tinker.SamplingClient.sample).parameters)
    assert names[:4] == ["self", "prompt", "num_samples", "sampling_params"]


def test_types_take_the_fields_that_are_filled() -> None:
    tinker.types.AdamParams(learning_rate=1e-5, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0, grad_clip_norm=1.0)
    for stop in (["\n"], [1, 2]):
        tinker.types.SamplingParams(max_tokens=1, temperature=0.5, top_p=0.9, seed=1, stop=stop)
    datum = tinker.types.Datum(
        model_input=tinker.types.ModelInput.from_ints([1, 2]),
        loss_fn_inputs={
            "target_tokens": [2, 3],
            "logprobs": [0.0, -1.0],
            "advantages": [0.0, 1.0],
            "weights": [0.0, 1.0],
        },
    )
    assert list(datum.loss_fn_inputs["target_tokens"].data) == [2, 3]
    assert datum.loss_fn_inputs["advantages"].dtype == "float32"


def test_failures_are_of_one_family() -> None:
    for name in ("AuthenticationError", "PermissionDeniedError", "RequestFailedError", "APIConnectionError"):
        assert issubclass(getattr(tinker, name), tinker.TinkerError)
    assert inspect.isclass(tinker.APIFuture) and tinker.__version__
