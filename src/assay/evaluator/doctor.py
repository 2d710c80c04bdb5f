"""Which tiers of the sandbox this machine grants, seen on a real runner, and what to do about those that lack."""

import os

from assay.evaluator.processes import Limits, Zygote

ADVICE = {
    "namespaces": "run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; in a container,"
    " --cap-add SYS_ADMIN): without it a candidate is kept off the network by seccomp alone, and stray processes are"
    " found by a sweep",
    "landlock": "use a Linux kernel of 5.13 or newer (6.12 for all rules) that has landlock among its security modules:"
    " without it candidates can read and write your files",
    "seccomp": "use x86-64 Linux: on other machines candidates can start processes while they are timed",
}


def sandbox_tiers() -> tuple[str, ...]:
    """The tiers that a runner on this machine's CPU reports, `limits` always among them (about two seconds)."""
    zygote = Zygote(threads=1, is_cuda=False)
    try:
        limits = Limits(memory_bytes=1 << 30, file_bytes=1 << 20, processes=8)
        runner = zygote.fork(device_index=None, cpus=sorted(os.sched_getaffinity(0))[-1:], threads=1, limits=limits)
        runner.enter_sandbox()
        return runner.tiers
    finally:
        zygote.close()


def missing_tiers(tiers: tuple[str, ...]) -> tuple[str, ...]:
    """The names in `ADVICE` that `tiers` lacks."""
    return tuple(name for name in ADVICE if not any(tier.split(":")[0] == name for tier in tiers))
