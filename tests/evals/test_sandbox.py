"""The sandbox: what programs may do in it, and that they get no further. Each escape is tried for real."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tejat.evals import sandbox
from tejat.evals.sandbox import Limits, Ran, Unavailable, run


def _missing() -> str:
    try:
        sandbox.check()
    except Unavailable as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(_missing()), reason=_missing() or "there is a sandbox")

SHORT = Limits(seconds=0.7)
PATIENT = Limits(seconds=30)  # for what ends by itself, on a machine that is busy


def told(program: str, limits: Limits = PATIENT) -> str:
    """What a program prints that runs to its end."""
    ran = run(program, limits)
    assert ran.fine, ran
    return ran.output.strip()


def test_a_program_runs_and_tells() -> None:
    ran = run("import sys, json\nprint(json.dumps([1, 'ü']))\nprint('oh', file=sys.stderr)\nsys.exit(3)")
    assert (ran.ended, ran.code, ran.output, ran.errors) == ("itself", 3, '[1, "\\u00fc"]\n', "oh\n") and not ran.fine


def test_packages_only_where_they_are_allowed() -> None:
    assert run("import numpy").code == 1
    assert run("import numpy; print(numpy.ones(2).sum())", Limits(memory=2 << 30), packages=True).output == "2.0\n"


def test_time() -> None:
    begin = time.monotonic()
    assert run("while True: pass", SHORT).ended == "late"
    assert run("import time; time.sleep(60)", SHORT).ended == "late"
    ignoring = "import signal\nfor n in (2, 15, 24, 26): signal.signal(n, signal.SIG_IGN)"
    assert run(f"{ignoring}\nwhile True: pass", SHORT).ended == "late"
    assert time.monotonic() - begin < 15


@pytest.mark.parametrize(
    "program",
    [
        "x = bytearray(1 << 30)",
        "x = [0]\nwhile True: x = x + x",
        "import mmap\nm = mmap.mmap(-1, 1 << 30)",
    ],
)
def test_memory(program: str) -> None:
    assert "Memory" in (ran := run(program, PATIENT)).errors or "allocate" in ran.errors, ran


def test_memory_outside_of_the_limit_is_not_to_be_had() -> None:
    program = "import ctypes, os\nc = ctypes.CDLL(None, use_errno=True)\nprint(c.shmget(0, 1 << 28, 0o1600))"
    assert told(program) == "-1"
    assert run("import os\nos.memfd_create('x')").errors.rstrip().endswith("Operation not permitted")


def test_disk_and_files() -> None:
    full = run("open('/tmp/x', 'wb').write(bytes(64 << 20))", PATIENT)
    assert full.code and ("No space" in full.errors or "too large" in full.errors or full.code == -25), full
    many = run("for n in range(1000): open(f'/tmp/{n}', 'w').close()", PATIENT)
    assert many.code == 1 and "No space" in many.errors, many
    assert told("open('x', 'w').write('here'); print(open('/tmp/x').read())") == "here"


@pytest.mark.parametrize(
    "way", ["os.fork()", "threading.Thread(target=print).start()", "subprocess.run(['/bin/true'])"]
)
def test_one_process_is_one(way: str) -> None:
    ran = run(f"import os, subprocess, threading\n{way}", PATIENT)
    assert ran.code == 1 and ("unavailable" in ran.errors or "can't start new thread" in ran.errors), ran


def test_a_fork_bomb_goes_off_inside() -> None:
    bomb = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"
    assert run(bomb, Limits(seconds=1, processes=8)).ended == "late"
    assert not _stay()


def test_what_a_program_leaves_behind_ends_with_it() -> None:
    daemon = "import os, time\nif not os.fork():\n os.setsid()\n if not os.fork():\n  time.sleep(60)"
    begin = time.monotonic()
    assert run(daemon, Limits(seconds=20, processes=4)).fine
    assert time.monotonic() - begin < 10
    assert not _stay()


def _stay() -> set[str]:
    """Processes of a sandbox that are there now and stay; those of other tests at work beside this one soon end."""
    left, until = _left(), time.monotonic() + 20
    while left and time.monotonic() < until:
        time.sleep(0.2)
        left &= _left()
    return left


def _left() -> set[str]:
    """Processes of any sandbox, by their numbers."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"/tmp/program.py" in line:
                found.add(entry.name)
    return found


def test_no_network_not_even_to_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ran = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)", PATIENT)
    assert ran.code == 1 and "not permitted" in ran.errors
    assert run("import socket\nsocket.socket(socket.AF_UNIX)", PATIENT).code == 1
    # And were sockets allowed, there would be no interface.
    assert told("import os; print(os.path.exists('/sys/class/net'))") == "False"


def test_nothing_of_the_host_is_to_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setenv("SECRET", "secret")
    secret = str(tmp_path / "secret")
    paths = ["/etc/passwd", "/proc/1/environ", "/sys", "/var", str(Path(__file__).resolve()), secret]
    assert told(f"import os; print([p for p in {paths!r} if os.path.exists(p)])") == "[]"
    assert "secret" not in told("import os; print(dict(os.environ))")
    assert told("import os; print(os.listdir('/tmp'), os.getpid() < 10)") == "['program.py'] True"
    assert told("import os; print(os.path.exists('/tmp/../../../etc/passwd'))") == "False"


def test_nothing_of_the_host_is_to_be_written(tmp_path: Path) -> None:
    python = str(Path(os.path.realpath(sys.executable)).parent)
    for folder in ("/", "/usr", "/usr/bin", python, "/dev"):
        ran = run(f"open('{folder}/made-by-a-model', 'w')", PATIENT)
        assert ran.code == 1 and ("Read-only" in ran.errors or "denied" in ran.errors), (folder, ran)
        assert not Path(folder, "made-by-a-model").exists()


def test_no_privileges() -> None:
    program = """
import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
print(os.getuid(), c.setuid(0), c.unshare(0x10000000), c.mount(b"none", b"/tmp", b"tmpfs", 0, None),
      c.ptrace(16, 1, 0, 0), c.chroot(b"/tmp"), c.prctl(39, 0, 0, 0, 0), c.prctl(23, 21, 0, 0, 0))
"""
    assert told(program) == "65534 -1 -1 -1 -1 -1 1 0"
    new_users = "import ctypes\nc = ctypes.CDLL(None)\nprint(c.syscall(56, 0x10000000 | 17, 0, 0, 0, 0))"
    if os.uname().machine == "x86_64":
        assert told(new_users, Limits(seconds=30, processes=4)) == "-1"


def test_signals_do_not_get_out() -> None:
    here = os.getpid()
    ran = run(f"import os, signal\nfor pid in ({here}, {os.getppid()}): os.kill(pid, signal.SIGKILL)", PATIENT)
    assert ran.code == 1 and "No such process" in ran.errors
    # Process 1 of its world is not hurt by it either, and so tells how it ended.
    assert run("import os, signal\nos.kill(1, signal.SIGKILL)\nprint('on')", PATIENT).output == "on\n"


def test_floods_of_output_are_cut() -> None:
    ran = run("print('x' * 50_000_000)", Limits(seconds=30, output=1000))
    assert len(ran.output) == 1000 and ran.fine


def test_a_crash_is_told() -> None:
    assert run("import ctypes; ctypes.string_at(0)", PATIENT).ended == "killed"


def test_it_cannot_tell_in_the_names_of_the_jail() -> None:
    ran = run(
        "import os\nfor n in range(3, 200):\n try: os.write(n, b'{\"exit\": 0}\\n')\n except OSError: pass\nos.abort()"
    )
    assert ran.ended == "killed" and ran.code == -6


def test_a_system_without_namespaces_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a sandbox there are none: the jail says so and runs nothing."""
    jail = Path(sandbox.__file__).with_name("jail.py").read_text()
    inside = run(
        jail.replace("json.loads(sys.stdin.buffer.readline())", '{"root": False}')
        .replace("TOLD = 3", "TOLD = 1")
        .replace("sys.argv[1]", "1")
    )
    assert "unshare" in inside.output and "error" in inside.output
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    with pytest.raises(Unavailable, match="needs Linux"):
        run("print(1)")


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is in the other tests")
def test_as_another_user() -> None:
    """The same without root: a Python that everyone may read runs the jail."""
    python = "/usr/bin/python3"
    if not Path(python).exists():
        pytest.skip("there is no system Python")
    code = (
        "import sys, types, importlib.util\n"
        "sys.modules['tejat'] = types.ModuleType('tejat')\n"
        "sys.modules['tejat.errors'] = errors = types.ModuleType('tejat.errors')\n"
        "errors.BadInput = ValueError\n"
        "spec = importlib.util.spec_from_file_location('sandbox', sys.argv[1])\n"
        "made = importlib.util.module_from_spec(spec); sys.modules['sandbox'] = made; spec.loader.exec_module(made)\n"
        "print(made.run('import os; print(os.getuid())'), made.run('import os; os.fork()').code)\n"
    )
    folder = Path("/tmp", f"tejat-test-{os.getpid()}")
    folder.mkdir(mode=0o755)
    try:
        for name in ("sandbox.py", "jail.py"):
            (folder / name).write_text(Path(sandbox.__file__).with_name(name).read_text())
        done = subprocess.run(
            [python, "-c", code, str(folder / "sandbox.py")],
            capture_output=True, text=True, user=65534, group=65534, cwd="/", timeout=60, env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    if "None of" in done.stderr or "offers none" in done.stderr:
        pytest.skip(done.stderr[-200:])
    assert done.returncode == 0, done.stderr
    assert "output='65534\\n'" in done.stdout and done.stdout.rstrip().endswith(" 1")


def test_ran_is_fine_only_by_itself() -> None:
    assert not Ran("late", 0, "", "", 1.0).fine and not Ran("killed", 0, "", "", 1.0).fine
