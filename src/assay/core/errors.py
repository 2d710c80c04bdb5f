"""One tree of exceptions.

    AssayError
    ├── UsageError            the user asked for something that cannot be done as asked (exit code 2)
    │   └── TaskError         a task that cannot be used as it is; a run of many tasks goes on without it
    ├── InfrastructureError   our own failure: a sandbox, a device, a server, a disk (exit code 1)
    │   ├── EvaluatorError    the judge could not reach a verdict for a reason that is not the candidate's
    │   ├── PolicyError       a model could not be loaded, sampled or trained
    │   │   └── NotFiniteError    an update whose loss or gradient is infinite or no number; it was not made
    │   └── StoreError        a run directory could not be read or written
    └── Interrupted           stopped early, resumable (exit code 3)

A candidate's failure is never an exception: it is a status of its `Evaluation`.
Every exception is built from one message, so that it survives pickling between processes.
"""


class AssayError(Exception):
    """Base of all errors that Assay raises on purpose."""


class UsageError(AssayError):
    """A user's mistake. The message names the thing, and says what to do instead."""


class TaskError(UsageError):
    """A task's own source fails, or cannot say what is right. The message names the task."""


class InfrastructureError(AssayError):
    """A failure of ours, or of the machine."""


class EvaluatorError(InfrastructureError):
    """The judge could not reach a verdict, through no fault of the candidate."""


class PolicyError(InfrastructureError):
    """A model could not be loaded, sampled, scored or trained."""


class NotFiniteError(PolicyError):
    """The loss or gradient of an update is not finite. The weights are as they were."""


class StoreError(InfrastructureError):
    """A run directory could not be read or written."""


class Interrupted(AssayError):
    """Work stopped before its end; everything shown as done is on disk and can be resumed."""
