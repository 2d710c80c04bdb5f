"""Exit codes; 0 is done."""

FAILURE = 1  # ours: a sandbox, a device, a model that cannot be had, a disk
USAGE = 2
RESUMABLE = 3  # stopped early; `assay resume` goes on
THRESHOLD = 4  # --fail-under
INTERRUPTED = 130  # Ctrl-C
