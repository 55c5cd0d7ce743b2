"""`tejat generate` and `tejat chat`, as a user runs them."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from tejat import api, bundle, media
from tejat.cli import default_model, main, picture_in_terminal
from tejat.errors import BadInput
from tejat.parts import Audio, Document, Image, Text, from_json


@pytest.fixture(scope="module")
def saved(artist, tmp_path_factory) -> str:
    directory = tmp_path_factory.mktemp("model")
    bundle.save(directory, artist)
    return str(directory)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_text_and_pictures(saved, here, capsys) -> None:
    words = ["generate", "Hello", "--model", saved, "--max-tokens", "60"]
    assert main([*words, "--json", "--out", "deep/pictures"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) >= {"parts", "usage", "tokens", "logprobs"}
    assert len(report["tokens"]) == len(report["logprobs"]) == report["usage"]["answer"]["total"] == 60
    images = [part["image"] for part in report["parts"] if "image" in part]
    assert images and all(Path(path).parent == Path("deep/pictures") for path in images)
    assert all(media.read_image(path) for path in images)
    assert len(set(images)) == len(images) == len(list((here / "deep/pictures").iterdir()))

    assert main(words) == 0
    printed = capsys.readouterr().out
    expected = []
    for number, part in enumerate(report["parts"]):
        if "text" in part:
            expected.append(part["text"])
        else:
            broken = number == 0 or report["parts"][number - 1].get("text", "\n").endswith("\n")
            expected.append(("" if broken else "\n") + Path(part["image"]).name + "\n")
    whole = "".join(expected)
    assert printed == whole + ("" if whole.endswith("\n") else "\n")
    for path in images:
        assert media.read_image(here / Path(path).name) == media.read_image(path)

    # Nothing is overwritten: the next picture takes the next number.
    assert main(words) == 0
    assert len(list(here.glob("picture-*.png"))) == 2 * len(images)


def test_an_answer_without_a_word_is_told(saved, here, capsys, monkeypatch) -> None:
    monkeypatch.setattr(api.Model, "stream", lambda *_, **__: iter(()))
    assert main(["generate", "Hello", "--model", saved]) == 0
    told = capsys.readouterr()
    assert told.out == "" and told.err == "tejat: the model ended its answer without a word\n"


@pytest.mark.parametrize("verb", ["generate", "chat"])
def test_help_has_an_example(verb: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"Example: tejat {verb} " in capsys.readouterr().out


def test_the_frames_of_a_video_are_chosen(saved, here, capsys, monkeypatch) -> None:
    film = [pillow.new("RGB", (16, 16), (n, n, n)) for n in range(0, 200, 10)]  # two seconds
    film[0].save(here / "a.gif", save_all=True, append_images=film[1:], duration=100)
    asked: list = []
    monkeypatch.setattr(api.Model, "stream", lambda model, prompt, **_: asked.append(prompt) or iter(()))

    def times(*options: str) -> tuple[float, ...]:
        assert main(["generate", "?", "--model", saved, "--video", "a.gif", *options]) == 0
        return asked.pop()[0].times

    assert times("--frames", "4") == times("--fps", "2") == pytest.approx((0.0, 0.5, 1.0, 1.5))
    assert times("--fps", "4", "--start", "0.5", "--end", "1.5") == pytest.approx((0.0, 0.2, 0.5, 0.7))
    assert len(times()) == 16
    assert main(["generate", "?", "--model", saved, "--video", "a.gif", "--frames", "0"]) == 2
    assert "a.gif is asked for fps None, 0 frames" in capsys.readouterr().err


def test_how_pictures_are_to_be_drawn(saved, here, monkeypatch) -> None:
    """One answer is streamed, of several the best comes whole; only what was said is asked for."""
    asked: list = []
    monkeypatch.setattr(api.Model, "stream", lambda model, prompt, **wishes: asked.append(wishes) or iter(()))
    monkeypatch.setattr(api.Model, "generate", lambda model, prompt, **wishes: asked.append(wishes) or ())
    words = ["--size", "96x64", "--guidance", "2", "--picture-top-k", "9", "--picture-temperature", "0"]
    assert main(["generate", "?", "--model", saved, *words, "--best-of", "3"]) == 0
    best = asked.pop()
    wanted = {"picture_size": "96x64", "picture_guidance": 2.0, "picture_top_k": 9, "picture_temperature": 0.0}
    assert best.items() >= wanted.items() and best["best_of"] == 3
    assert chat(saved, "Hello\n", monkeypatch, "--size", "16:9") == 0
    assert asked.pop().items() >= {"picture_size": "16:9"}.items()
    assert main(["generate", "?", "--model", saved]) == 0
    assert not [name for name in asked.pop() if name.startswith(("picture", "best"))]


def test_media_in_the_prompt(saved, here, capsys) -> None:
    media.write_png(Image(np.zeros((16, 16, 3), np.uint8)), here / "a.png")
    media.write_wav(Audio(np.zeros(8_000, np.float32)), here / "b.wav")
    words = ["--model", saved, "--max-tokens", "1", "--json", "--image", "a.png", "--image", "a.png"]
    assert main(["generate", *words, "--audio", "b.wav", "What?", "--system", "Be kind."]) == 0
    spent = json.loads(capsys.readouterr().out)["usage"]["prompt"]
    assert spent["image"] == 2 * (spent["image"] // 2) > 0
    assert spent["audio"] == 13 + 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--image", "missing.png"], "missing.png cannot be opened"),
        (["--audio", "noise.wav"], "noise.wav"),
        (["--temperature", "-1"], "temperature is -1"),
        (["--max-tokens", "4000"], "4,000"),
        (["--size", "10000x10000"], "10,000 x 10,000 pixels is asked for"),
        (["--size", "0x64"], "has no content"),
        (["--size", "large"], "give a shape as 16:9"),
        (["--guidance", "0.5"], "picture_guidance is 0.5"),
        (["--picture-top-k", "-1"], "picture_top_k is -1"),
        (["--best-of", "0"], "best_of is 0"),
        (["--out", "noise.wav"], "noise.wav is a file"),
        (["--model", "nowhere"], "there is no model 'nowhere'"),
    ],
)
def test_bad_input_is_one_sentence(saved, here, capsys, words: list[str], told: str) -> None:
    (here / "noise.wav").write_bytes(b"\x00\x01noise")
    assert main(["generate", "Hello", "--model", saved, *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("tejat: error: ") and printed.err.count("\n") == 1
    assert told in printed.err
    assert [path.name for path in here.iterdir()] == ["noise.wav"]


def test_mini_is_the_default_in_any_directory(here) -> None:
    command = [sys.executable, "-m", "tejat", "generate", "What is the capital of Hungary?", "--temperature", "0"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=here, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Budapest\n"


def test_without_it_the_model_that_the_tour_trained_is_found(saved, here, monkeypatch) -> None:
    monkeypatch.setattr(default_model, "SHIPPED", ())
    (here / "runs" / "demo").mkdir(parents=True)
    (here / "runs" / "demo" / "model").symlink_to(saved)
    assert default_model.directory(None).samefile(saved)
    (here / "runs" / "demo" / "model").unlink()
    with pytest.raises(BadInput, match="no model is here; `tejat demo` trains one"):
        default_model.directory(None)


def chat(saved: str, lines: str, monkeypatch, *words: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    return main(["chat", "--model", saved, "--max-tokens", "30", *words])


def test_chat(saved, here, capsys, monkeypatch) -> None:
    media.write_png(Image(np.zeros((16, 16, 3), np.uint8)), here / "a.png")
    said = "forgotten\n/reset\n/image a.png\nHello\n\nMore\n/save talk.json\n/quit\nnot read\n"
    assert chat(saved, said, monkeypatch) == 0
    assert "saved to talk.json\n" in capsys.readouterr().out
    dialogue = from_json(json.loads((here / "talk.json").read_text()))
    assert isinstance(dialogue, Document)
    turns = dialogue.turns()
    assert [turn.role for turn in turns] == ["user", "model", "user", "model"]
    assert [type(part) for part in turns[0].parts] == [Image, Text]
    assert turns[2].parts == (Text("More"),)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/image missing.png", "missing.png cannot be opened"),
        ("/video", "/video names no file"),
        ("/dance", "there is no command '/dance'"),
        ("/save talk.json", "nothing to save"),
    ],
)
def test_a_script_with_a_mistake_ends(saved, here, capsys, monkeypatch, line: str, told: str) -> None:
    assert chat(saved, f"{line}\nHello\n", monkeypatch) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.out == ""
    assert list(here.iterdir()) == []


def test_a_person_may_mend_a_mistake(saved, here, capsys, monkeypatch) -> None:
    lines = iter(["/dance", "/help", "/quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main(["chat", "--model", saved]) == 0
    printed = capsys.readouterr()
    assert "there is no command '/dance'" in printed.err
    assert "/image FILE" in printed.out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_ctrl_c_stops_the_answer_and_keeps_what_there_is(artist, here, capsys) -> None:
    from tejat.cli.chat import Chat
    from tejat.cli.generate import Gallery

    class Interrupted:
        """A model that a key press stops after two pieces."""

        def stream(self, turns, **wishes):
            yield Text("One ")
            yield Text("two")
            raise KeyboardInterrupt

    talk = Chat(Interrupted(), Gallery(here), None, {})
    assert talk.take("Count")
    assert capsys.readouterr().out == "One two\n(stopped)\n"
    assert [turn.parts for turn in talk.turns] == [(Text("Count"),), (Text("One two"),)]


def test_a_terminal_is_not_told_what_to_do(here, monkeypatch, capsys) -> None:
    from tejat.cli.generate import Gallery, show

    parts, terminal = [Text("a\x1b[2J\tb\x9bc\n")], Terminal()
    show(parts, Gallery(here))
    assert capsys.readouterr().out == parts[0].text  # a file gets what was written
    monkeypatch.setattr(sys, "stdout", terminal)
    show(parts, Gallery(here))
    assert terminal.getvalue() == "a\ufffd[2J\tb\ufffdc\n"


def test_a_picture_in_the_terminal() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0], pixels[1, 2] = (255, 0, 0), (1, 2, 3)
    red, black, last = "38;2;255;0;0;48;2;0;0;0", "38;2;0;0;0;48;2;0;0;0", "38;2;0;0;0;48;2;1;2;3"
    assert picture_in_terminal.render(pixels) == "".join(f"\x1b[{c}m\u2580" for c in (red, black, last)) + "\x1b[0m"


@pytest.mark.parametrize("size", [(1, 1), (10, 40), (100, 7)])
def test_a_picture_keeps_its_aspect(size: tuple[int, int]) -> None:
    lines = picture_in_terminal.render(np.zeros((*size, 3), np.uint8), columns=20).split("\n")
    assert {line.count("\u2580") for line in lines} == {20}
    assert abs(len(lines) * 2 - max(2, 20 * size[0] / size[1])) <= 1
