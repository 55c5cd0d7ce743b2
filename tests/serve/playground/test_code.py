"""The code that the page gives away is run, as it stands."""

import json
import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

TRICKY = 'It\'s "$HOME" and `id` \\ $(id) \\n é\nEND\n100%'


@pytest.fixture
def coded(visit, files):
    """A page with a request of every kind, and a function that reads the code in a language."""
    here = visit().loaded()
    here.choose_model("artist")
    here.settings(Longest_answer="30", Seed="4", Temperature="0.5")
    here.send("Draw first")
    here.attach(files["dusk.png"], files["tone.wav"], files["clip.webm"])
    here.page.get_by_text("Clip and frame rate").click()
    here.page.get_by_label("Frames a second").fill("1")
    here.prompt.fill(TRICKY)

    def read(language: str) -> str:
        here.button("Get code").click()
        here.page.get_by_role("tab", name=language).click()
        text = here.page.locator("dialog pre").inner_text()
        here.shot(f"code-{language}")
        here.page.keyboard.press("Escape")
        return text

    here.read = read
    return here


@pytest.fixture
def folder(coded, files, tmp_path):
    """The folder in which the code runs: the attached files, and what the model drew, under the names of the code."""
    for name in ("dusk.png", "tone.wav", "clip.webm"):
        (tmp_path / name).write_bytes(files[name].read_bytes())
    for button in coded.page.get_by_role("button", name=re.compile("^Download: drawn-")).all():
        with coded.page.expect_download() as download:
            button.click()
        download.value.save_as(tmp_path / download.value.suggested_filename)
    return tmp_path


def run(command: list[str], folder) -> str:
    """What a program writes, run in the folder without the machine's proxies."""
    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_curl(coded, folder) -> None:
    """The shell sends to the letter what the page would send."""
    text = coded.read("curl")
    (folder / "code.sh").write_text(text)
    events = [
        json.loads(line[6:]) for line in run(["bash", "code.sh"], folder).splitlines() if line.startswith("data: ")
    ]
    assert events and all("candidates" in event for event in events), events

    # The body that the shell makes, against the body that the page sends.
    (folder / "body.sh").write_text(re.sub(r"(?s)^curl .*?-d @-", "cat", text))
    body = json.loads(run(["bash", "body.sh"], folder))
    coded.send(wait=True)
    assert coded.requests[-1][1] == body
    assert body["contents"][-1]["parts"][-1] == {"text": TRICKY}
    assert events[-1]["usageMetadata"]["promptTokenCount"] > 30


def test_curl_without_media(visit, tmp_path) -> None:
    here = visit().loaded()
    here.settings(Longest_answer="5", System_instruction="It's $5 \\ `x`")
    here.prompt.fill(TRICKY)
    here.button("Get code").click()
    text = here.page.locator("dialog pre").inner_text()
    (tmp_path / "body.sh").write_text(re.sub(r"(?s)^curl .*?-d @-", "cat", text))
    here.page.keyboard.press("Escape")
    here.send()
    assert json.loads(run(["bash", "body.sh"], tmp_path)) == here.requests[-1][1]
    assert "candidates" in run(["bash", "-c", text], tmp_path)


@pytest.mark.parametrize(("language", "package"), [("google-genai", "google.genai"), ("openai", "openai")])
def test_python(coded, folder, language, package) -> None:
    """With the package it runs against the server; without, it is at least Python."""
    text = coded.read(language)
    compile(text, language, "exec")
    assert repr(TRICKY.encode()) == repr(eval(re.search(r'"It\'s .*?100%"', text)[0]).encode())  # noqa: S307
    if language == "openai":
        assert text.startswith("# Left out, for this dialect has no place for it: clips and frame rates of films.")
    try:
        __import__(package)
    except ImportError:
        return
    (folder / "code.py").write_text(text)
    run([sys.executable, "code.py"], folder)
    assert list(folder.glob("picture-*.png"))


def test_pictures_as_they_were_asked_for(visit, tmp_path) -> None:
    """What no package has a field for goes beside its fields, and the best of several is not streamed."""
    here = visit().loaded()
    here.choose_model("artist")
    here.button("Settings", exact=True).click()
    here.page.get_by_label("Picture first").check(force=True)
    here.settings(Guidance="2", Best_of="2", Size_of_drawn_pictures="40x24", Top_K="7")
    here.prompt.fill("A cat")
    codes = {}
    for language in ("curl", "google-genai", "openai"):
        here.button("Get code").click()
        here.page.get_by_role("tab", name=language).click()
        codes[language] = here.page.locator("dialog pre").inner_text()
        here.page.keyboard.press("Escape")
    answer = json.loads(run(["bash", "-c", codes["curl"]], tmp_path))
    assert [list(part) for part in answer["candidates"][0]["content"]["parts"]] == [["inlineData"]]
    for language, wanted in {
        "google-genai": [
            'image_config=types.ImageConfig(image_size="40x24")',
            'extra_body={"generationConfig": {"imageConfig": {"guidanceScale": 2, "bestOf": 2}}}',
            "client.models.generate_content(",
        ],
        "openai": [
            'extra_body={"top_k": 7, "image_config": {"guidance_scale": 2, "best_of": 2, "image_size": "40x24"}}',
            "choice.message.content",
        ],
    }.items():
        compile(codes[language], language, "exec")
        assert all(words in codes[language] for words in wanted), codes[language]
        assert "Left out" not in codes[language] and "stream" not in codes[language]


def test_nothing_to_code(visit) -> None:
    here = visit().loaded()
    here.page.keyboard.press("Alt+k")
    assert here.page.locator("#announcement").inner_text() == "Write a message first; the code sends it."
