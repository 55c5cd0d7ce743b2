"""What is wrong with the words of a command line is told in one sentence; help names no default where there is none."""

import re

import pytest

from tejat.cli import main

WRONG = {
    "generate": "`tejat generate` needs PROMPT; `tejat generate --help` tells what it takes",
    "generate hi --seed x": "--seed is 'x'; give a whole number",
    "generate hi --temperature x": "--temperature is 'x'; give a number",
    "generate hi --seed": "--seed has no value; give one",
    "generate hi there": "`tejat generate` does not know there; `tejat generate --help` tells what it takes",
    "generate hi --gidance 3": "`tejat generate` does not know --gidance, 3; did you mean --guidance?",
    "generate hi --engine tpu": "--engine is 'tpu'; give jax or onnx",
    "generate hi --fps 3": "--fps is of --video alone; leave it out",
    "tokenizer": "`tejat tokenizer` needs {text,picture}, {train,report} and RECIPE|WEIGHTS; `tejat tokenizer --help` "
    "tells what it takes",
    "tokenizer text train r.py --resume": "--resume is of `tejat tokenizer picture train` alone; leave it out",
    "tune foo r.py": "stage is 'foo'; give distill, reward, rlhf or supervised",
    "bench foo": "`tejat bench` does no 'foo'; it does train, data, serve, decode",
    "plan nano1 --days 3": "--days is of --goodput alone; leave it out",
    "plan nano1 --rows 3": "--rows is of --serve alone; leave it out",
    "train r.py --standby": "--standby is of --supervise alone; leave it out",
    "export onnx mini out --port 3": "--port is of `tejat export app` alone; leave it out",
    "quantize mini out --bits 3": "--bits is '3'; give 4 or 8",
}


@pytest.mark.parametrize("words", WRONG)
@pytest.mark.parametrize("columns", ["200", "60"])
def test_a_wrong_word_is_told_in_one_sentence(words: str, columns: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(words.split()) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err == f"tejat: error: {WRONG[words]}\n"


VERBS = ["chat", "generate", "serve", "train", "tune", "eval", "plan", "chaos", "quantize", "export", "tokenizer"]


@pytest.mark.parametrize("verb", [*VERBS, "bench train", "bench serve", "data build", "data inspect"])
def test_help_says_what_is_and_nothing_else(verb: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main([*verb.split(), "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "None" not in told and "(default: )" not in told and "(default: False)" not in told
    assert told.count("Example:") == 1  # of several each has a line


def test_help_names_every_suite(capsys, monkeypatch) -> None:
    from tejat.evals.suites import SUITES

    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    told = capsys.readouterr().out
    assert not [name for name in ("quick", "all", *SUITES) if not re.search(rf"[ ,]{name}\b", told)]


def test_help_tells_defaults_of_nought(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    assert re.search(r"--seed INT\s.*\(default: 0\)", capsys.readouterr().out)


def test_a_path_that_cannot_be_written_is_told_in_one_sentence(monkeypatch, capsys) -> None:
    """Wherever in the work it is met."""

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device", "runs/a")

    def full_as_libraries_tell_it(*_: object) -> int:
        raise ValueError("RESOURCE_EXHAUSTED: Error writing: No space left on device [os_error_code='28']")

    def forbidden(*_: object) -> int:
        raise PermissionError(13, "Permission denied", "runs/b")

    for verb, code, told in (
        (full, 1, "runs/a: No space left on device; mend that and run it again"),
        (full_as_libraries_tell_it, 1, "No space left on device; make room and run it again"),
        (forbidden, 2, "runs/b: Permission denied; mend that and run it again"),
    ):
        monkeypatch.setattr("tejat.cli.family.main", verb)
        assert main(["family"]) == code
        assert capsys.readouterr().err == f"tejat: error: {told}\n"


@pytest.mark.parametrize(
    ("says", "wanted"),
    [
        (
            "Out of memory while trying to allocate 57.90GiB with allocator GPU_0_bfc",
            " where 57.90GiB more were wanted",
        ),
        ("Failed to allocate device memory of 4.71GiB", ""),
    ],
)
def test_a_device_without_room_is_told_in_one_sentence(says, wanted, monkeypatch, capsys) -> None:
    def short(*_: object) -> int:
        raise RuntimeError(f"RESOURCE_EXHAUSTED: {says}")

    monkeypatch.setattr("tejat.cli.family.main", short)
    assert main(["family"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"tejat: error: the device's memory is too short{wanted}; take fewer or shorter rows")
    assert told.count("\n") == 1


def test_what_else_is_exhausted_keeps_its_trace(monkeypatch) -> None:
    def large(*_: object) -> int:
        raise RuntimeError("RESOURCE_EXHAUSTED: received message larger than max (5 vs. 4)")

    monkeypatch.setattr("tejat.cli.family.main", large)
    with pytest.raises(RuntimeError, match="larger than max"):
        main(["family"])
