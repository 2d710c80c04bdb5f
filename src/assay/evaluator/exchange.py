"""One runner with one program and the buffers that the judge shares with it: fill the inputs, call, take the
outputs.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from assay.evaluator.build import Build
from assay.evaluator.bundles import Bundle, Layout, allocate, plan
from assay.evaluator.processes import ProgramFailure, Reply, Runner, RunnerFailure
from assay.evaluator.reference import Reference
from assay.evaluator.undisturbed import Stopwatch


class ReferenceFailure(Exception):
    """The reference's own process failed while it was timed: beside a program, but not in it."""


class WrongForm(Exception):
    """The output has not the structure, shapes, dtypes or device of the reference's."""


@dataclass(frozen=True)
class Call:
    """One call: what the runner says of it, and the judge's nanoseconds from asking to having the output, on a CPU
    without the waiting for a core (`undisturbed.py`).
    """

    reply: dict[str, Any]
    wall_ns: int

    def nanoseconds(self, name: str) -> int:
        """A time that the runner reported; one that cannot be a time breaks the protocol."""
        value = self.reply.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 62:
            raise RunnerFailure("protocol", f"a time of {str(value)[:50]} ns")
        return value

    @property
    def plain_ns(self) -> int:
        """What a simple timer in the runner measured, the waiting for a core included."""
        return self.nanoseconds("wall_ns" if "wall_ns" in self.reply else "ns")


class Exchange:
    """A loaded program in a runner. Not shared: it belongs to one evaluation of one candidate (or one reference)."""

    def __init__(
        self,
        reference: Reference,
        runner: Runner,
        *,
        call_timeout_s: float,
        threads: int,
        inputs: Bundle | None = None,
        flush: torch.Tensor | None = None,
    ) -> None:
        """On a GPU `inputs` are buffers that all exchanges share, and `flush` a tensor larger than the cache."""
        self.runner = runner
        self.spin_us = 0.0
        self.is_reference = False
        self._flush = flush
        self._reference = reference
        self.call_timeout_s = call_timeout_s
        self._watch = Stopwatch(runner.pid, threads, is_shared=reference.device.type == "cpu")
        self._bundles: list[Bundle] = []
        self._inputs = inputs
        self._outputs: Bundle | None = None

    def load(self, source: str, class_name: str, build: Build | None, timeout_s: float) -> None:
        """Executes `source` in the runner and binds the buffers; raises ProgramFailure or RunnerFailure."""
        reference = self._reference
        if build is None:
            self.runner.enter_sandbox()
        else:
            writable = [] if build.is_sealed else [build.directory / "triton"]
            self.runner.enter_sandbox([build.directory], writable, build.environment)
        init = self._allocate(plan(reference.init_tensors), reference.init_tensors)
        state = self._allocate(plan(list(reference.state.values())), list(reference.state.values()))
        init_document, init_descriptors = init.handle()
        state_document, state_descriptors = state.handle()
        if state_descriptors:
            state_document["descriptor"] = len(init_descriptors)
        request = {
            "source": source,
            "class_name": class_name,
            "init_seed": reference.init_seed,
            "init": {"skeleton": reference.init_skeleton, "bundle": init_document},
            "state": {"names": list(reference.state), "bundle": state_document},
        }
        descriptors = [*init_descriptors, *state_descriptors]
        self._inputs = self._inputs or self._allocate(plan(reference.input_forms))
        self._outputs = self._allocate(plan(reference.output_forms))  # before the program can take all memory
        self._raise_failure("load", self.runner.ask("load", request, descriptors, timeout_s))
        inputs_document, inputs_descriptors = self._inputs.handle()
        outputs_document, outputs_descriptors = self._outputs.handle()
        if outputs_descriptors:
            outputs_document["descriptor"] = len(inputs_descriptors)
        request = {
            "inputs": {"skeleton": reference.input_skeleton, "bundle": inputs_document},
            "outputs": outputs_document,
        }
        self._raise_failure("load", self.runner.ask("bind", request, [*inputs_descriptors, *outputs_descriptors]))

    def call(self, inputs: Sequence[torch.Tensor]) -> Call:
        """One call on fresh values, from a disturbed cache; then the runner stands still and `outputs` are its own.

        Raises WrongForm, ProgramFailure or RunnerFailure; ReferenceFailure instead if the program is the reference.
        """
        with self._blamed():
            self._hand_over(inputs)
            self._watch.start()
            reply = self.runner.ask("run", {"spin_us": self.spin_us}, timeout_s=self.call_timeout_s)
            self._raise_failure("run", reply)
            given = self.runner.ask("give", timeout_s=self.call_timeout_s)
            return self._taken(reply, given)

    def call_bare(self, inputs: Sequence[torch.Tensor]) -> Call:
        """One call as a user makes it, without a spin, in one request; raises as `call` does."""
        with self._blamed():
            self._hand_over(inputs)
            self._watch.start()
            reply = self.runner.ask("call", timeout_s=self.call_timeout_s)
            return self._taken(reply, reply)

    def _taken(self, reply: Reply, given: Reply) -> Call:
        """The call that has just been answered; `given` is the reply that came with the output."""
        wall_ns = self._watch.stop()
        self.runner.freeze()
        self._raise_failure("run", given)
        self._check_form(given)
        return Call(reply.content, wall_ns)

    @contextlib.contextmanager
    def _blamed(self) -> Iterator[None]:
        """A failure of the reference is none of the candidate's."""
        try:
            yield
        except (WrongForm, ProgramFailure, RunnerFailure) as error:
            if self.is_reference:
                raise ReferenceFailure(f"the reference failed while it was timed: {error}") from error
            raise

    def _hand_over(self, inputs: Sequence[torch.Tensor]) -> None:
        """Fills the buffers while the runner stands still, and disturbs the cache."""
        assert self._inputs is not None and self._outputs is not None, "load() comes first"
        if self._flush is None:
            self.runner.ask("disturb_cache")  # before it has the inputs: it cannot warm them instead
            self.runner.freeze()
        for target, tensor in zip(self._inputs.tensors, inputs, strict=True):
            target.copy_(tensor)
        self._outputs.poison()
        if self._flush is not None:
            self._flush.add_(1)
            torch.cuda.synchronize(self._reference.device)

    @property
    def inputs(self) -> list[torch.Tensor]:
        """The input buffers as the program left them."""
        assert self._inputs is not None
        return self._inputs.tensors

    @property
    def outputs(self) -> list[torch.Tensor]:
        """The output buffers."""
        assert self._outputs is not None
        return self._outputs.tensors

    def close(self) -> None:
        """Kills the runner, then frees the buffers."""
        self.runner.kill()
        for bundle in self._bundles:
            bundle.close()
        self._bundles = []
        self._watch.close()

    def _allocate(self, layout: Layout, values: list[torch.Tensor] | None = None) -> Bundle:
        bundle = allocate(layout, self._reference.device)
        self._bundles.append(bundle)
        if values is not None:
            for target, value in zip(bundle.tensors, values, strict=True):
                target.copy_(value)
        return bundle

    def _check_form(self, given: Reply) -> None:
        content = given.content
        if content.get("form") is None:
            raise WrongForm(str(content.get("reason"))[:300])
        device = str(self._reference.device)
        expected = [[list(t.shape), str(t.dtype).removeprefix("torch."), device] for t in self._reference.output_forms]
        if content["form"] != expected:
            raise WrongForm(f"outputs {str(content['form'])[:300]} where the reference gives {expected}")
        if content.get("skeleton") != self._reference.output_skeleton:
            raise WrongForm("the output is nested otherwise than the reference's, or its scalars differ")

    @staticmethod
    def _raise_failure(stage: str, reply: Reply) -> None:
        if reply.error is not None:
            raise ProgramFailure(stage, reply.error["kind"], reply.error["message"])
