"""A real `tejat serve` with two models of random weights, and a real Chromium that visits it.

Needs Playwright's Python package and a Chromium on the machine (Debian: `apt-get install chromium`); without them the
tests skip and say so. Pictures of every screen go to `build/playground/`.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as pillow

from tejat import bundle
from tejat.bundle import Bundle
from tejat.parts import Audio, to_wav

SHOTS = Path(__file__).parents[3] / "build" / "playground"
FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
STARTING = 600.0  # seconds that a server may take to load two models; on a very busy machine 180 were too few


@dataclasses.dataclass(frozen=True)
class Served:
    """A server of the models `micro`, which writes, and `artist`, which begins a picture wherever it may."""

    url: str
    process: subprocess.Popen | None = None


@pytest.fixture(scope="session")
def models(micro: Bundle, artist: Bundle, tmp_path_factory) -> list[Path]:
    named = dataclasses.replace(artist, config=dataclasses.replace(artist.config, name="artist"))
    directories = [tmp_path_factory.mktemp("micro"), tmp_path_factory.mktemp("artist")]
    for directory, model in zip(directories, (micro, named), strict=True):
        bundle.save(directory, model)
    return directories


@pytest.fixture(scope="session")
def serve(models, tmp_path_factory) -> Iterator[Callable[..., Served]]:
    """Starts a server with these further options of `tejat serve`; all are stopped at the end."""
    running: list[subprocess.Popen] = []

    def serve(*options: str, models: list[Path] = models) -> Served:
        words = [word for model in models for word in ("--model", str(model))]
        log = tmp_path_factory.mktemp("log") / "serve.log"
        files = str(tmp_path_factory.mktemp("files"))
        command = [sys.executable, "-m", "tejat", "serve", *words, "--port", "0", "--files", files, *options]
        with log.open("w") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"JAX_PLATFORMS": "cpu"})
        running.append(process)
        for _ in range(int(STARTING * 10)):
            if found := re.search(r"at (http://\S+/) after", log.read_text()):
                return Served(found[1].replace("localhost", "127.0.0.1"), process)
            if process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"tejat serve did not start: {log.read_text()[-2000:]}")

    yield serve
    for process in running:
        process.terminate()
    for process in running:
        process.wait(60)


@pytest.fixture(scope="session")
def served(request) -> Served:
    """One server for all; TEJAT_SERVED=URL takes one that runs already, with the models `micro` and `artist`."""
    running = os.environ.get("TEJAT_SERVED")
    return Served(running) if running else request.getfixturevalue("serve")()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Not of the session: while Playwright's driver lives no test of the same process can run a loop of its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs `pip install playwright`")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium on the machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """A person at the page. Whatever the browser complains of fails the test that caused it."""

    def __init__(
        self,
        browser: Any,
        served: Served,
        *,
        width: int = 1280,
        dark: bool = False,
        errors: bool = False,
        **context: Any,
    ):
        height = 860 if width > 600 else 740
        scheme = "dark" if dark else "light"
        self.served, self.width, self.scheme = served, width, scheme
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            permissions=["microphone", "clipboard-read", "clipboard-write"],
            accept_downloads=True,
            reduced_motion="reduce",
            **context,
        )
        self.context.set_default_timeout(60_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[tuple[str, dict]] = []  # (model, body) of every answer asked for
        self.uploads = 0
        self.errors_expected = errors  # Chromium writes every 4xx and failed fetch to the console
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._asked)
        self.page.goto(served.url)
        self.prompt.wait_for()

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning") and not (self.errors_expected and "Failed to load" in message.text):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.served.url, "blob:", "data:")):
            self.complaints.append(f"asked for {request.url}")
        if found := re.search(r"/models/([^:]+):(?:streamG|g)enerateContent", request.url):
            self.requests.append((found[1], request.post_data_json))
        self.uploads += "/upload/" in request.url and request.headers.get("x-goog-upload-command") == "start"

    @property
    def prompt(self) -> Any:
        return self.page.locator("#prompt")

    @property
    def messages(self) -> Any:
        return self.page.locator("article.message")

    def button(self, name: str, **options: Any) -> Any:
        return self.page.get_by_role("button", name=name, **options)

    def until(self, expression: str, seconds: float = 60.0) -> None:
        """Waits for JavaScript to be true. Playwright's own way is an eval in the page, which our policy forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"after {seconds:.0f} s this is not so: {expression}"
            self.page.wait_for_timeout(30)

    def loaded(self) -> "Visit":
        """The models are there."""
        self.until("document.querySelector('.picker option')?.value.startsWith('models/')")
        return self

    def attach(self, *paths: Path) -> None:
        before = self.page.locator(".card").count()
        self.page.locator("input[type=file][multiple]").set_input_files([str(path) for path in paths])
        self.until(f"document.querySelectorAll('.card').length === {before + len(paths)}")

    def settings(self, **values: str) -> None:
        """Fills fields of the settings by their labels ("_" for a space)."""
        if not self.page.locator("#settings").is_visible():
            self.button("Settings", exact=True).click()
        for label, value in values.items():
            self.page.locator("#settings").get_by_label(label.replace("_", " "), exact=True).last.fill(value)
        self.button("Close the settings").click()

    def ask_at_length(self) -> None:
        """From now on answers are lists of at least 300 numbers: random weights would end them anywhere."""
        self.button("Settings", exact=True).click()
        self.page.get_by_label("Answer in JSON").check()
        self.page.get_by_label("JSON schema").fill('{"type": "array", "items": {"enum": [1, 2]}, "minItems": 300}')
        self.page.get_by_role("spinbutton", name="Longest answer").fill("1900")
        self.button("Close the settings").click()

    def begun(self) -> None:
        """The answer has its first words, and goes on."""
        self.until("document.querySelector('.message.running pre')?.textContent.length > 4")

    def choose_model(self, name: str, label: str = "Model") -> None:
        self.page.get_by_label(label, exact=True).select_option(label=name)

    def send(self, text: str = "", wait: bool = True) -> None:
        """Writes at the end of the prompt and presses Enter."""
        before = self.messages.count()
        if text:
            self.prompt.fill(text)
        self.button("Send").wait_for()
        self.until("!document.querySelector('.send').disabled")
        self.prompt.press("Enter")
        self.until(f"document.querySelectorAll('article.message').length >= {before + 2}")
        if wait:
            self.answered()

    def answered(self) -> None:
        self.until("!document.querySelector('.message.running, .send.stops')")

    def shot(self, name: str) -> None:
        """A picture of the screen, kept as the test's artefact."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}-{self.width}-{self.scheme}.png"))


@pytest.fixture
def visit(chromium, served) -> Iterator[Callable[..., Visit]]:
    """Opens the page in a browser of its own, empty history included: visit(width=360, dark=True, served=other)."""
    open_: list[Visit] = []

    def visit(served: Served = served, **options: Any) -> Visit:
        open_.append(Visit(chromium, served, **options))
        return open_[-1]

    yield visit
    for one in open_:
        one.context.close()
    complaints = [complaint for one in open_ for complaint in one.complaints]
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    """A photograph, a picture above the inline limit, a sound, and a film of 6 s with its sound."""
    directory = tmp_path_factory.mktemp("media")
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 320, dtype=np.uint8)
    photo = np.stack([np.tile(ramp, (240, 1)), np.full((240, 320), 90, np.uint8), np.tile(ramp[::-1], (240, 1))], -1)
    pillow.fromarray(photo).save(directory / "dusk.png")
    pillow.fromarray(random.integers(0, 256, (400, 600, 3), np.uint8)).save(directory / "large.png")
    moments = np.arange(32_000, dtype=np.float32) / 16_000
    tone = (0.4 * np.sin(2 * np.pi * 440 * moments) * np.sin(np.pi * moments / 2)).astype(np.float32)
    (directory / "tone.wav").write_bytes(to_wav(Audio(tone)))
    _film(directory / "clip.webm")
    (directory / "notes.txt").write_text("no medium")
    return {path.name: path for path in directory.iterdir()}


def _film(path: Path) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for at in range(60):
            pixels = np.full((96, 160, 3), 40, np.uint8)
            pixels[30:60, 2 * at : 2 * at + 20] = (244, 136, 106)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
