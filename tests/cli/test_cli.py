"""The command line from outside: every test runs `python -m tejat` as a user does."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

# The contract, written out a second time on purpose: a verb that vanishes from the table must fail here.
VERBS = [
    *("demo", "chat", "generate", "serve", "family", "doctor", "data", "tokenizer", "train"),
    *("goodput", "tune", "eval", "plan", "chaos", "export", "import", "quantize", "bench"),
]


def tejat(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m tejat` with these words."""
    return subprocess.run(
        [sys.executable, "-m", "tejat", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


def imported_by(program: str) -> set[str]:
    """The modules that a program has imported when it ends."""
    done = python(f"{program}\nimport sys\nprint(' '.join(sys.modules))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_lists_every_verb(words: tuple[str, ...]) -> None:
    done = tejat(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == VERBS


def test_version() -> None:
    done = tejat("--version")
    assert (done.returncode, done.stdout) == (0, "tejat 0.1.0\n")


def test_unknown_verb_names_the_nearest() -> None:
    done = tejat("tran")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "tejat: error: there is no verb 'tran'; did you mean `tejat train`?\n"


def test_unknown_verb_with_nothing_near() -> None:
    done = tejat("xyzzy")
    assert done.returncode == 2
    assert done.stderr == "tejat: error: there is no verb 'xyzzy'; `tejat --help` lists the verbs.\n"


def test_traceback_of_bad_input_on_request() -> None:
    done = tejat("xyzzy", TEJAT_TRACEBACK="1")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "BadInput" in done.stderr


def test_a_closed_pipe_is_quiet() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "tejat", "--help"], stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1


def test_interrupt_is_130_and_one_line() -> None:
    program = (
        "import os, signal, sys, types\n"
        "from tejat import cli\n"
        "verb = types.ModuleType('sleeper')\n"
        "verb.main = lambda words: os.kill(os.getpid(), signal.SIGINT) or 0\n"
        "sys.modules['sleeper'] = verb\n"
        "cli.VERBS['sleep'] = cli.Verb('sleeps', 'sleeper')\n"
        "sys.exit(cli.main(['sleep']))\n"
    )
    done = python(program)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == "tejat: stopped\n"


def test_a_locale_without_its_signs_gets_a_question_mark() -> None:
    program = (
        "import sys, types\n"
        "from tejat import cli\n"
        "verb = types.ModuleType('teller')\n"
        "verb.main = lambda words: print('0.5 ± 0.1') or 0\n"
        "sys.modules['teller'] = verb\n"
        "cli.VERBS['tell'] = cli.Verb('tells', 'teller')\n"
        "sys.exit(cli.main(['tell']))\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (0, b"0.5 ? 0.1\n")


@pytest.mark.parametrize("program", ["import tejat", "from tejat.cli import main; main(['--help'])"])
def test_start_is_lazy(program: str) -> None:
    assert imported_by(program).isdisjoint({"jax", "numpy", "tyro", "rich", "tejat.parts", "tejat.cli.doctor"})


def test_import_is_fast() -> None:
    def seconds(program: str) -> float:
        start = time.perf_counter()
        assert python(program).returncode == 0
        return time.perf_counter() - start

    assert min(seconds("import tejat") for _ in range(3)) < 0.3


def test_public_names() -> None:
    import tejat as package
    from tejat.errors import BadInput

    assert package.BadInput is BadInput
    assert {"load", "Text", "Image", "Audio", "Video", "Turn", "Document", "BadInput"} <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_doctor_json() -> None:
    done = tejat("doctor", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode == 0) == report["ok"] == (not report["problems"])
    assert {"tejat", "python", "versions", "cores", "memory_bytes", "disk_free_bytes", "devices"} <= set(report)
    assert {"jax", "jaxlib", "numpy", "optax"} <= set(report["versions"])
    assert all(report["versions"].values())
    assert report["cores"] >= 1
    assert report["memory_bytes"] > 1 << 28
    for folder in ("sample", "weights"):
        assert set(report[folder]) == {"present", "files", "bytes"}
    assert report["devices"]
    for device in report["devices"]:
        assert {"name", "kind", "platform", "memory_bytes", "matmul"} <= set(device)
        assert device["matmul"]["relative_error"] < 1e-5
        assert device["matmul"]["gflops"] > 0


def test_doctor_in_plain_lines_when_not_a_terminal() -> None:
    done = tejat("doctor")
    assert done.returncode in (0, 1)
    assert "\njax: " in done.stdout
    assert "\x1b" not in done.stdout


def test_doctor_help_has_an_example() -> None:
    done = tejat("doctor", "--help")
    assert done.returncode == 0
    assert "tejat doctor --json" in done.stdout


def test_usage_error_is_2() -> None:
    done = tejat("doctor", "--nonsense")
    assert done.returncode == 2
    assert (
        done.stderr
        == "tejat: error: `tejat doctor` does not know --nonsense; `tejat doctor --help` tells what it takes\n"
    )
