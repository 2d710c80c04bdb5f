"""How much of the time that a run was at work its devices were busy, and how much they waited."""

from assay.core.ledger import Spend
from assay.core.records import Record
from assay.runs.devices import device_list, share_a_device
from assay.runs.store import RunStore, Session

_AND = " and "


class DeviceUse(Record):
    """wall_s: seconds that processes were at work on the run, up to the last thing each stored.

    model_busy_s: sampling and learning, evaluator_busy_s: building, running and timing programs, both within these
    seconds. is_shared: model and programs had a device in common in every process, so one is busy while the other
    waits. Each device is named as a run names it; those of processes that differed have "and" between them.
    """

    model_device: str
    evaluator_device: str
    is_shared: bool
    wall_s: float
    model_busy_s: float
    evaluator_busy_s: float

    @property
    def programs_alone(self) -> tuple[str, ...]:
        """Devices that the model never used."""
        return tuple(sorted(_named(self.evaluator_device) - _named(self.model_device)))

    @property
    def model_alone(self) -> tuple[str, ...]:
        """Devices that no program was timed on."""
        return tuple(sorted(_named(self.model_device) - _named(self.evaluator_device)))

    @property
    def model_idle(self) -> float:
        """Share of the wall time in which the model's device, or the shared one, did nothing for the run."""
        return self._idle(self.model_busy_s + (self.evaluator_busy_s if self.is_shared else 0))

    @property
    def evaluator_idle(self) -> float:
        """Share of the wall time in which the evaluator's device, or the shared one, did nothing for the run."""
        return self._idle(self.evaluator_busy_s + (self.model_busy_s if self.is_shared else 0))

    def in_words(self) -> str:
        """One sentence."""
        if self.is_shared:
            both = ",".join(sorted(_named(self.model_device) & _named(self.evaluator_device)))
            words = f"{both} was idle for {self.model_idle:.0%} of {self.wall_s:.0f} s at work"
            for names, whose, busy_s in (
                (self.programs_alone, "programs alone", self.evaluator_busy_s),
                (self.model_alone, "model alone", self.model_busy_s),
            ):
                if names:
                    words += f", {','.join(names)} ({whose}) for at least {self._idle(busy_s):.0%}"
            return words + "."
        return (
            f"Of {self.wall_s:.0f} s at work, {self.model_device} (model) was idle for {self.model_idle:.0%} and"
            f" {self.evaluator_device} (programs) for {self.evaluator_idle:.0%}."
        )

    def _idle(self, busy_s: float) -> float:
        return min(1.0, max(0.0, 1 - busy_s / self.wall_s))


def device_use(store: RunStore) -> DeviceUse | None:
    """The use of a run's devices; None where no process noted its time."""
    return _use(store.sessions(), store.ledger.total)


def _use(sessions: list[Session], spent: Spend) -> DeviceUse | None:
    wall_s = sum(session.seconds for session in sessions)
    if not wall_s:
        return None
    names = [(session.model_device, session.evaluator_device) for session in sessions]
    return DeviceUse(
        model_device=_AND.join(dict.fromkeys(model for model, _ in names)),
        evaluator_device=_AND.join(dict.fromkeys(evaluator for _, evaluator in names)),
        is_shared=all(share_a_device(model, evaluator) for model, evaluator in names),
        wall_s=wall_s,
        model_busy_s=spent.sampling_s + spent.training_s,
        evaluator_busy_s=spent.evaluation_s,
    )


def _named(devices: str) -> set[str]:
    return {device for names in devices.split(_AND) for device in device_list(names)}
