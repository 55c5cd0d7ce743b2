"""The inside of the sandbox: a program of its own that `sandbox.run` starts, with the standard library alone.

It leaves every namespace of its host (users, files, network, processes, messages, names), waits until its users are
mapped, and forks. The child is the first process of its own world: when it ends, the kernel ends all that is left
there. It builds a root of what Python needs, read-only, and a small place to write, gives up root, and forks the
program, which is bounded in memory, time, files and processes and may not call what leads out. The exit tells the rest.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys

NEW_USER, NEW_NET, NEW_PID, NEW_MOUNTS, NEW_IPC, NEW_NAMES = (
    *(0x10000000, 0x40000000, 0x20000000),
    *(0x00020000, 0x08000000, 0x04000000),
)
READ_ONLY, NO_SUID, NO_DEVICES, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
NOBODY = 65534
TOLD = 3  # the descriptor of what is told to the host

SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/opt/python")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")

# x86-64, aarch64: numbers in asm/unistd.h of each.
FORBIDDEN = {
    "ptrace": (101, 117),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "io_uring_setup": (425, 425),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "memfd_create": (319, 279),  # these four: memory that no limit counts
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
}
NOT_THERE = {"clone3": (435, 435)}  # its flags are out of a filter's sight: "no such call" makes libc use clone
CLONE = (56, 220)
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Reads a wish from standard input, runs it, and tells what happened in lines of JSON.

    They go to the descriptor that is the first argument, which becomes 3.
    """
    if (given := int(sys.argv[1])) != TOLD:
        os.dup2(given, TOLD)
        os.close(given)
    wish = json.loads(sys.stdin.buffer.readline())
    try:
        _check(libc.prctl(1, signal.SIGKILL, 0, 0, 0), "ask to die with the parent")
        new = NEW_USER | NEW_NET | NEW_PID | NEW_MOUNTS | NEW_IPC | NEW_NAMES
        _check(libc.unshare(new), "leave the namespaces of the host (unshare)")
        _tell(ready=True)
        sys.stdin.buffer.readline()  # users are mapped
        child = os.fork()
        if not child:
            _first(wish)
        _, status = os.waitpid(child, 0)
        if code := os.waitstatus_to_exitcode(status):  # else it has told
            _tell(error=f"the first process ended with {code}")
    except OSError as error:
        _tell(error=f"{error.strerror}: {error.filename}" if error.filename else str(error))
    os._exit(0)


def _first(wish: dict) -> None:
    """Process 1 of its world. Never returns."""
    try:
        _check(libc.prctl(1, signal.SIGKILL, 0, 0, 0), "ask to die with the parent")
        _root(wish)
        for capability in range(64):  # no program may have one again; those that there are not are refused
            libc.prctl(24, capability, 0, 0, 0)
        if wish["root"]:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        program = os.fork()
        if not program:
            _program(wish)
        _tell(begun=True)
        while True:  # orphans come to process 1
            ended, status = os.wait()
            if ended == program:
                break
        _tell(exit=os.waitstatus_to_exitcode(status))
    except OSError as error:
        _tell(error=f"{error.strerror}: {error.filename}" if error.filename else str(error))
    os._exit(0)


def _root(wish: dict) -> None:
    """A root directory of read-only parts of the host's and a /tmp that holds so many bytes and files."""
    _mount(None, "/", None, RECURSIVE | PRIVATE)
    new = wish["scaffold"]
    _mount("tmpfs", new, "tmpfs", NO_SUID | NO_DEVICES, "size=1m,nr_inodes=4096,mode=755")
    # First, since what is readable may lie in it; folders on the way to that are not the program's.
    os.mkdir(new + "/tmp")
    folders = sum(path.count("/") for path in wish["readable"] if path.startswith("/tmp/"))
    room = f"size={wish['disk']},nr_inodes={wish['files'] + folders},mode=1777"
    _mount("tmpfs", new + "/tmp", "tmpfs", NO_SUID | NO_DEVICES, room)
    for path in sorted({*SYSTEM, *wish["readable"]}):
        if os.path.islink(path):  # /lib is a link to usr/lib on most systems
            os.makedirs(new + os.path.dirname(path), exist_ok=True)
            if not os.path.lexists(new + path):
                os.symlink(os.readlink(path), new + path)
        elif os.path.isdir(path) and not os.path.lexists(new + path):
            os.makedirs(new + path)
            _mount(path, new + path, None, BIND | RECURSIVE)
            _mount(None, new + path, None, BIND | REMOUNT | READ_ONLY | _kept(path))
    os.mkdir(new + "/dev")
    for path in DEVICES:
        os.close(os.open(new + path, os.O_CREAT | os.O_WRONLY))
        _mount(path, new + path, None, BIND)
    os.mkdir(new + "/.old")
    _check(libc.pivot_root(new.encode(), (new + "/.old").encode()), "change the root (pivot_root)")
    os.chdir("/")
    _check(libc.umount2(b"/.old", 2), "leave the old root (umount2)")
    os.rmdir("/.old")
    _mount(None, "/", None, BIND | REMOUNT | READ_ONLY | NO_SUID | NO_DEVICES)
    os.chdir("/tmp")
    with open("/tmp/program.py", "w", encoding="utf-8") as file:
        file.write(wish["program"])


def _program(wish: dict) -> None:
    """Becomes the program. Never returns."""
    os.close(TOLD)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    for kind, most in (
        (resource.RLIMIT_AS, wish["memory"]),
        (resource.RLIMIT_CPU, wish["seconds"]),
        (resource.RLIMIT_FSIZE, wish["disk"]),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, wish["processes"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    for number in range(3, 64):
        try:
            os.close(number)
        except OSError:
            continue
    _check(libc.prctl(38, 1, 0, 0, 0), "give up new privileges")
    _filter()
    os.execve(wish["python"], [wish["python"], *wish["flags"], "/tmp/program.py"], wish["environment"])


def _filter() -> None:
    """Seccomp: calls that lead out, or to much of the kernel, fail as not permitted; new namespaces too."""
    machine = platform.machine()
    column = ("x86_64", "aarch64").index(machine)
    code: list[tuple[int, int, int, int]] = []

    def load(offset: int) -> None:
        code.append((0x20, 0, 0, offset))

    def answer(value: int) -> None:
        code.append((0x06, 0, 0, value))

    kill, allow, refuse = 0x80000000, 0x7FFF0000, 0x00050000
    load(4)
    code.append((0x15, 1, 0, AUDIT[machine]))
    answer(kill)  # a program for another kind of processor has other numbers
    load(0)
    if machine == "x86_64":
        code.append((0x35, 0, 1, 0x40000000))  # the x32 interface too
        answer(refuse | 38)
    for numbers in FORBIDDEN.values():
        code.append((0x15, 0, 1, numbers[column]))
        answer(refuse | 1)
    for numbers in NOT_THERE.values():
        code.append((0x15, 0, 1, numbers[column]))
        answer(refuse | 38)
    code.append((0x15, 0, 3, CLONE[column]))
    load(16)  # the flags
    code.append((0x45, 0, 1, NEW_USER | NEW_NET | NEW_PID | NEW_MOUNTS | NEW_IPC | NEW_NAMES))
    answer(refuse | 1)
    answer(allow)
    program = b"".join(struct.pack("HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    _check(libc.prctl(22, 2, head, 0, 0), "filter system calls (seccomp)")


def _mount(source, target, kind, flags, data=None) -> None:
    coded = [text and text.encode() for text in (source, target, kind)]
    _check(libc.mount(*coded, ctypes.c_ulong(flags), data and data.encode()), f"mount {target}")


def _kept(path: str) -> int:
    """Flags of the mount that a path is on: whoever did not set them may not remove them."""
    return os.statvfs(path).f_flag & (NO_SUID | NO_DEVICES | 8) | _times(path)


def _times(path: str) -> int:
    flags = os.statvfs(path).f_flag
    return (flags & 1024) | (flags & 2048) | ((flags & 4096) << 9)  # no access times; none of folders; relative ones


def _check(result: int, wish: str) -> None:
    if result:
        raise OSError(f"{os.strerror(ctypes.get_errno())} when it was to {wish}")


def _tell(**what) -> None:
    os.write(TOLD, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
