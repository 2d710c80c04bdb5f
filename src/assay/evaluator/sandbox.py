"""What a process that runs a candidate may do, in tiers; each tier is used where the kernel grants it, and recorded.

    limits      own session, clean environment, no core dumps, bounded files and address space (no RLIMIT_AS with CUDA)
    namespaces  own network and IPC; on a CPU also own processes (the end of the first one is the end of all) and own
    /proc.
                CUDA does not initialise in a process namespace, nor share memory across user namespaces
    landlock    the file system is read-only but for the scratch directory, other people's files are out of sight,
                no TCP, no signals and no ptrace to processes outside
    seccomp     no ptrace, no process memory access, no sockets but local ones, no io_uring, no change of affinity or
                priority; after `lock_down` also no new process and no exec

Not covered: flaws of the kernel or of a GPU driver; timing side channels (a candidate can see how long its turn is
away); what a candidate does to its own process, its own clock included (the judge's clock and checks answer for that);
device memory and compute that a kernel uses (the judge's watchdog sees host memory only). Without `namespaces` and
`seccomp` a candidate can leave processes behind until the judge's sweep finds them.

The system calls are written out here because no maintained package offers landlock's scopes and a seccomp filter that
can be narrowed twice in a process that is already running; sandboxes that start a program (bubblewrap, nsjail) do
not fit a process that is forked warm.
"""

import ctypes
import errno
import os
import platform
import resource
import site
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_NEW_NS = {"mount": 0x00020000, "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x08000000}
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 38, 4, 36


def prctl(option: int, value: int) -> int:
    """The system call; -1 on failure."""
    return _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def become_subreaper() -> None:
    """Orphans among the descendants become children of this process, so that it can find and kill them."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """The kernel kills this process when its parent ends."""
    prctl(_PR_SET_PDEATHSIG, 9)


# -- limits -----------------------------------------------------------------------------------------------------


def set_limits(*, address_space_bytes: int | None, file_bytes: int, descriptors: int = 256) -> str:
    """Resource limits of a runner. `address_space_bytes` is added to what is mapped already."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    if address_space_bytes is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + address_space_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    Path("/proc/self/oom_score_adj").write_text("1000")
    return "limits"


# -- namespaces -------------------------------------------------------------------------------------------------


def may_unshare() -> bool:
    """Whether this process may make process namespaces; enters a user namespace first where that is what it takes."""
    if os.geteuid() == 0 and _new_namespace_for_children():
        _back_to_own_namespace()
        return True
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_NEW_NS["user"]) != 0:
        return False
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    is_granted = _new_namespace_for_children()
    _back_to_own_namespace()
    return is_granted


def fork_in_namespace() -> int:
    """`os.fork`, with the child as the first process of a new process namespace: its end is the end of all in it."""
    if not _new_namespace_for_children():
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        return os.fork()
    finally:
        _back_to_own_namespace()


def enter_namespaces(*, has_own_processes: bool) -> list[str]:
    """A network with no interface that is up, no System V objects of others, and a /proc with no other processes.

    Called in the child, which `has_own_processes` if it was forked into a process namespace. Returns the tiers gained.
    """
    if _libc.unshare(_NEW_NS["net"] | _NEW_NS["ipc"]) != 0:
        return []
    if not has_own_processes:
        return ["namespaces:net,ipc"]
    private, recursive = 1 << 18, 1 << 14
    nosuid_nodev_noexec = 2 | 4 | 8
    has_own_proc = (
        _libc.unshare(_NEW_NS["mount"]) == 0
        and _libc.mount(None, b"/", None, private | recursive, None) == 0
        and _libc.mount(b"proc", b"/proc", b"proc", nosuid_nodev_noexec, None) == 0
    )
    return ["namespaces:net,ipc,pid,proc" if has_own_proc else "namespaces:net,ipc,pid"]


def _new_namespace_for_children() -> bool:
    return _libc.unshare(_NEW_NS["pid"]) == 0


def _back_to_own_namespace() -> None:
    """Children made from here on are in this process's own namespace again (a second `unshare` needs that)."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    _libc.setns(own, _NEW_NS["pid"])
    os.close(own)


# -- landlock ---------------------------------------------------------------------------------------------------

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_FS_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, read a directory
_FS_BITS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_IOCTL_DEVICE = 1 << 15
_NET_TCP = 1 << 0 | 1 << 1
_SCOPES = 1 << 0 | 1 << 1  # abstract Unix sockets, signals


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 if it has none."""
    return max(0, _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1))


def restrict_files(readable: Sequence[Path], writable: Sequence[Path]) -> str | None:
    """Applies Landlock to this process and all it will start; paths that do not exist are passed over."""
    abi = landlock_abi()
    if abi == 0:
        return None
    all_fs = (1 << _FS_BITS_OF_ABI[min(abi, 5)]) - 1
    attributes = struct.pack("=QQQ", all_fs, _NET_TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for paths, access in ((readable, _FS_READ), (writable, all_fs)):
        for path in paths:
            _allow(ruleset, path, access & all_fs)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if _libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)
    return f"landlock:{abi}"


def may_read(path: str) -> bool:
    """Whether this process may open a file or folder, by the kernel's word: `os.access` does not know of Landlock."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not path.is_dir():
        access &= ~(1 << 3) & (1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | _IOCTL_DEVICE)
    rule = struct.pack("=Qi", access, descriptor)
    path_beneath = 1
    if _libc.syscall(_LANDLOCK_ADD, ruleset, path_beneath, rule, 0) != 0:
        raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    os.close(descriptor)


def readable_paths() -> list[Path]:
    """Where a Python program, a compiler and a driver live; no home directory, no working directory, no run.

    Of Python's path only the folders that packages have been installed in.
    """
    packages = {folder for folder in sys.path if folder and any(Path(folder).glob("*.dist-info"))}
    prefixes = {sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), *site.getsitepackages(), *packages}
    tools = {Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder}
    installed = {folder.parent for folder in tools if folder.name in ("bin", "sbin")} - {Path("/"), Path.home()}
    named = {Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)}
    system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/sys", "/proc", "/dev"]
    return [*sorted({*map(Path, prefixes), *tools, *installed, *named}), *map(Path, system)]


def writable_paths(*, is_cuda: bool) -> list[Path]:
    """Besides the scratch directory: the null device; CUDA's initialisation also writes to /proc and /dev."""
    return [Path("/dev"), Path("/proc")] if is_cuda else [Path("/dev/null")]


# -- seccomp ----------------------------------------------------------------------------------------------------

_AUDIT_ARCH_X86_64 = 0xC000003E
_SECCOMP_SYSCALL, _SET_MODE_FILTER, _FLAG_TSYNC = 317, 1, 1
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG2 = 0, 4, 16, 32
_CLONE_THREAD = 0x10000
_AF_UNIX = 1

# x86-64 system call numbers
_NEVER = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "process_madvise": 440, "kcmp": 312,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "open_by_handle_at": 304,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "personality": 135, "syslog": 103,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "add_key": 248, "request_key": 249, "keyctl": 250,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179,
    "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
    "sched_setaffinity": 203, "sched_setscheduler": 144, "sched_setattr": 314, "sched_setparam": 142,
    "setpriority": 141, "ioprio_set": 251, "setrlimit": 160,
    "kill": 62, "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
    "pidfd_send_signal": 424, "pidfd_open": 434, "pidfd_getfd": 438,
}  # fmt: skip
_NEVER_AFTER_LOCK_DOWN = {"fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "setsid": 112, "setpgid": 109}
_CLONE, _CLONE3, _SOCKET, _PRLIMIT64 = 56, 435, 41, 302


def has_seccomp() -> bool:
    """Whether this machine's system calls are the ones written out here."""
    return platform.machine() == "x86_64" and Path("/proc/sys/kernel/seccomp/actions_avail").exists()


def filter_system_calls() -> str | None:
    """The filter that holds from the start."""
    if not has_seccomp():
        return None
    _install(_refuse(_NEVER.values()) + _only_local_sockets() + _no_new_limits())
    return "seccomp"


def lock_down() -> str | None:
    """The narrower filter for the time of checks and timing: no new process, no exec. Applies to every thread."""
    if not has_seccomp():
        return None
    _install(_refuse(_NEVER_AFTER_LOCK_DOWN.values()) + _refuse([_CLONE3], errno.ENOSYS) + _only_threads())
    return "lockdown"


def _op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


def _refuse(numbers: Iterable[int], error: int = errno.EPERM) -> list[bytes]:
    program = []
    for number in numbers:
        program += [_op(_JEQ, number, 0, 1), _op(_RET, _ERRNO | error)]
    return program


def _only_local_sockets() -> list[bytes]:
    return [
        _op(_JEQ, _SOCKET, 0, 4),
        _op(_LD, _ARG0),
        _op(_JEQ, _AF_UNIX, 1, 0),
        _op(_RET, _ERRNO | errno.EPERM),
        _op(_RET, _ALLOW),
    ]


def _no_new_limits() -> list[bytes]:
    return [
        _op(_JEQ, _PRLIMIT64, 0, 6),
        _op(_LD, _ARG2),
        _op(_JEQ, 0, 0, 2),
        _op(_LD, _ARG2 + 4),
        _op(_JEQ, 0, 1, 0),
        _op(_RET, _ERRNO | errno.EPERM),
        _op(_RET, _ALLOW),
    ]


def _only_threads() -> list[bytes]:
    return [
        _op(_JEQ, _CLONE, 0, 4),
        _op(_LD, _ARG0),
        _op(_JSET, _CLONE_THREAD, 1, 0),
        _op(_RET, _ERRNO | errno.EPERM),
        _op(_RET, _ALLOW),
    ]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _install(rules: list[bytes]) -> None:
    """Prepends the checks of architecture and ABI, appends `allow`, and applies the filter to all threads."""
    head = [
        _op(_LD, _ARCH),
        _op(_JEQ, _AUDIT_ARCH_X86_64, 1, 0),
        _op(_RET, _ERRNO | errno.EPERM),
        _op(_LD, _NR),
        _op(_JGE, 0x40000000, 0, 1),
        _op(_RET, _ERRNO | errno.EPERM),
    ]
    instructions = [*head, *rules, _op(_RET, _ALLOW)]
    code = b"".join(instructions)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    program = _Program(len(instructions), code)
    if _libc.syscall(_SECCOMP_SYSCALL, _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
