"""The page of `tejat export app`: its parts against Tejat's own by Node, and the whole in a real Chromium.

The parts run as they are shipped, all modules in one. The Chromium tests need the npm package onnxruntime-web: in
node_modules of the repository, where ONNXRUNTIME_WEB says, or fetched by npm; without it they skip and say so.
"""

import base64
import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as pillow

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tejat import bundle, sample  # noqa: E402
from tejat.codecs import image as images  # noqa: E402
from tejat.codecs import vocabulary as vocabularies  # noqa: E402
from tejat.codecs.framing import Encoded  # noqa: E402
from tejat.codecs.vocabulary import EOS, Vocabulary  # noqa: E402
from tejat.errors import BadInput  # noqa: E402
from tejat.export import app, quantize  # noqa: E402
from tejat.infer import constraints, onnx_model  # noqa: E402
from tejat.infer.constraints import Asked, Rule, State  # noqa: E402
from tejat.infer.onnx_engine import OnnxEngine  # noqa: E402
from tejat.infer.options import Options  # noqa: E402
from tejat.parts import Image, Text, Turn  # noqa: E402

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "app"
PACKAGE = Path(os.environ.get("ONNXRUNTIME_WEB", ROOT / "node_modules" / app.PACKAGE))

ASKED = """
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
const config = JSON.parse(readFileSync(process.argv[2]));
const vocabularies = process.argv.slice(3).map((path) => new Vocabulary(readFileSync(path)));
const rule = new Rule(vocabularies[0], config);
const plain = (image) => ({ ...image, data: [...image.data] });
const answers = {
  encode: ([which, text]) => vocabularies[which].encode(text),
  decode: ([which, ids]) => Buffer.concat(ids.map((id) => vocabularies[which].bytes(id))).toString("base64"),
  allowed: ([state, draws, left]) => rule.allowed(state, draws, left),
  after: ([state, id]) => rule.after(state, id),
  due: ([state]) => rule.codeDue(state),
  chosen: ([scores, ranges, how, random]) => chosen(scores, ranges, how, () => random),
  resize: ([{ height, width, data }, h, w]) => plain(resize({ height, width, data: bytes(data) }, h, w)),
  patchify: ([{ height, width, data }, bySize]) => {
    const found = patchify({ height, width, data: bytes(data) }, { ...config.vision, budget_by_size: bySize });
    return { ...found, patches: [...found.patches], positions: [...found.positions].map(Number) };
  },
  joined: ([patches, rows, columns]) => plain(joined(Float32Array.from(patches), rows, columns)),
  prompt: ([turns]) => prompt(turns, vocabularies[0]),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...given] = JSON.parse(line);
  console.log(JSON.stringify(answers[name](given)));
}
"""


@pytest.fixture(scope="module")
def others(micro_vocabulary) -> list[Vocabulary]:
    """Tokenizers of both kinds: unigram, as `micro`'s, and BPE, as `mini`'s."""
    lines = [line for language in sample.languages() for line in sample.prose(language).splitlines()[:60]]
    return [micro_vocabulary, Vocabulary(vocabularies.train(lines, 1_200, kind="bpe", coverage=0.98), 512)]


@pytest.fixture(scope="module")
def ask(tiny, others, tmp_path_factory) -> Iterator[Callable[..., Any]]:
    """What a function of the page gives, by Node."""
    if (node := shutil.which("node")) is None:
        pytest.skip("Node is not on this machine; install it to test the page's parts (Debian: apt-get install nodejs)")
    folder = tmp_path_factory.mktemp("page")
    (folder / "parts.mjs").write_text(app.program(app.WORKER[:-1]) + ASKED)
    bundle.write_config(folder / "config.json", tiny.config)
    paths = [folder / f"{number}.model" for number in range(len(others))]
    for path, vocabulary in zip(paths, others, strict=True):
        path.write_bytes(vocabulary.model)
    words = [node, str(folder / "parts.mjs"), str(folder / "config.json"), *map(str, paths)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdin is not None and process.stdout is not None

        def ask(*question: Any) -> Any:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=40),
    st.text(" abeinorst.,0123456789\n▁é<|>", max_size=60),
    st.lists(st.sampled_from(sample.prose("en").split()), max_size=12).map(" ".join),
)


@settings(max_examples=150, deadline=None)
@given(texts)
@example("")
@example("  two  spaces ▁and▁ their sign ▁")
@example("<|turn>model\n<|picture><|size1|> stays text <0x41>")
@example("🙂👩‍👩‍👧 e\u0301 ﷺ \ufeff１２３ \t\r\n\n")
@example("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
def test_the_ids_of_a_text_are_those_of_the_library(ask, others, text) -> None:
    for which, vocabulary in enumerate(others):
        ids = vocabulary.encode(text)
        assert ask("encode", which, text) == ids
        assert _bytes(ask("decode", which, ids)) == text.encode()


def test_user_defined_pieces_are_never_cut(tiny, tmp_path) -> None:
    """Tokenizers of others have some (Gemma's marks of HTML, runs of spaces)."""
    import sentencepiece

    node = shutil.which("node") or pytest.skip("Node is not on this machine")
    for kind in ("bpe", "unigram"):
        made, defined = io.BytesIO(), [*vocabularies.CONTROLS[:3], "<b>", "abab"]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample.prose("en").splitlines()[:150]),
            model_writer=made,
            vocab_size=600,
            model_type=kind,
            user_defined_symbols=defined,
            byte_fallback=True,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            minloglevel=2,
        )
        (tmp_path / "one.model").write_bytes(made.getvalue())
        lines = ["x<b>y ababab the <|turn>house", "<b>", " abab<b>abab "]
        script = 'import { readFileSync } from "node:fs"; const v = new Vocabulary(readFileSync(process.argv[2]));'
        told = f"{script} console.log(JSON.stringify({json.dumps(lines)}.map((line) => v.encode(line))));"
        (tmp_path / "parts.mjs").write_text(app.program(("tokenizer.js",)) + told)
        words = [node, str(tmp_path / "parts.mjs"), str(tmp_path / "one.model")]
        found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        library = sentencepiece.SentencePieceProcessor(model_proto=made.getvalue())
        assert found == [library.encode(line) for line in lines], kind


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 400))
def test_the_rule_of_pictures_is_tejats(ask, tiny, random, left) -> None:
    rule, size = Rule.of(tiny.vocabulary, tiny.config.picture), tiny.config.decoder.vocabulary
    state, mine = {"written": 0, "rows": 0, "columns": 0}, State(*(np.zeros(1, np.int32) for _ in range(3)))
    asked = Asked(np.ones(1, bool), np.zeros(1, np.int32), np.zeros(1, np.int32))
    for step in range(min(left, 12)):
        may = np.flatnonzero(constraints.allowed(rule, mine, asked, np.asarray([left - step], np.int32), size)[0])
        ranges = ask("allowed", state, True, left - step)
        assert sorted(id for first, end in ranges for id in range(first, end)) == may.tolist()
        assert ask("due", state) == bool(constraints.code_due(mine)[0])
        begins = step == 0 and rule.picture_begin in may
        token = rule.picture_begin if begins else int(random.choice(may.tolist()))
        state, mine = ask("after", state, token), constraints.advance(rule, mine, np.asarray([token], np.int32))
        assert list(state.values()) == [int(part[0]) for part in mine]


def test_the_likeliest_is_the_first_of_equals_and_chance_keeps_to_what_is_left(ask) -> None:
    scores = [9.0, 1.0, 3.0, 3.0, 2.0]
    assert ask("chosen", scores, [[1, 5]], {}, 0.9) == 2
    assert {ask("chosen", scores, [[1, 5]], {"temperature": 1, "topK": 2}, n / 10) for n in range(10)} == {2, 3}
    assert {ask("chosen", scores, [[1, 5]], {"temperature": 1, "topP": 0.5}, n / 10) for n in range(10)} == {2, 3}
    assert {ask("chosen", scores, [[1, 5]], {"temperature": 1}, n / 40) for n in range(40)} == {1, 2, 3, 4}


@settings(max_examples=25, deadline=None)
@given(*[st.integers(1, 60)] * 4, st.integers(0, 2**16))
def test_images_are_resized_as_pillow_does(ask, height, width, h, w, seed) -> None:
    """Across and then down, to the bit. Pillow 13 goes down first where that is much less work; what is cut at black
    and white in between then differs."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    found = ask("resize", _image(pixels), h, w)
    assert found["data"] == images.resize(images.resize(pixels, height, w), h, w).ravel().tolist()


@pytest.mark.parametrize("by_size", [False, True])
@pytest.mark.parametrize("sides", [(50, 90), (300, 20), (7, 8), (1, 400)])
def test_images_become_the_same_patches(ask, tiny, sides, by_size) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*sides, 3), np.uint8)
    vision = dataclasses.replace(tiny.config.vision, budget_by_size=by_size)
    wanted, found = images.patchify(pixels, vision), ask("patchify", _image(pixels), by_size)
    order = np.argsort(wanted.slots, kind="stable")
    assert found["count"] == wanted.count and found["positions"] == wanted.positions[order].ravel().tolist()
    difference = np.abs(np.float32(found["patches"]) - wanted.patches[order].ravel())
    assert difference.max() == 0 or (sides[0] > sides[1] and difference.mean() < 0.004)  # tall: see above


def test_pictures_come_of_the_same_patches(ask) -> None:
    patches = np.random.default_rng(0).uniform(-0.1, 1.1, (6, 8 * 8 * 3)).astype(np.float32)
    found = ask("joined", patches.ravel().tolist(), 2, 3)
    shades = np.reshape(found["data"], (16, 24, 4))
    assert np.array_equal(shades[..., :3], images.join(patches, 2, 3)) and (shades[..., 3] == 255).all()


def test_a_conversation_is_framed_as_tejat_does(ask, tiny) -> None:
    shown, drawn = Image(np.zeros((40, 60, 3), np.uint8)), tiny.framing.codes(np.asarray([[5, 9]]))
    count = images.patchify(shown.pixels, tiny.config.vision).count
    turns = [
        Turn("user", (shown, Text("What is it?"))),
        Turn("model", (Text("A\nbox."),)),
        Turn("user", (Text("Draw."),)),
    ]
    told = [
        {"role": "user", "parts": [{"image": {"count": count}}, {"text": "What is it?"}]},
        {"role": "model", "parts": [{"ids": tiny.vocabulary.encode("A\nbox.")}]},
        {"role": "user", "parts": [{"text": "Draw."}]},
    ]
    wanted, found = tiny.framing.prompt(turns), ask("prompt", told)
    assert found["ids"] == wanted.tokens.tolist()
    assert [place and place[1] for place in found["soft"]] == [
        int(soft) if item >= 0 else None for soft, item in zip(wanted.soft, wanted.item, strict=True)
    ]
    told[1]["parts"] = [{"ids": drawn}]  # what the model wrote stays as it wrote it
    ids = ask("prompt", told)["ids"]
    begin = ids.index(tiny.vocabulary["<|picture>"])
    assert ids[begin : begin + len(drawn)] == drawn and ids[begin + len(drawn)] == tiny.vocabulary["<turn|>"]


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory) -> Path:
    """`tiny` in four bits."""
    folder = tmp_path_factory.mktemp("model")
    bundle.save(folder, quantize.quantize(tiny, quantize.Plan(method="nearest")), "float16")
    return folder


@pytest.fixture
def package(tmp_path) -> Path:
    """What the npm package is, as far as an export looks at it."""
    folder = tmp_path / app.PACKAGE
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": app.PACKAGE, "version": "1.30.0"}))
    for name in app.FILES:
        (folder / "dist" / name).write_text(name)
    return folder


def test_the_page_is_whole_and_asks_nobody_else(model, package, tmp_path) -> None:
    size = app.export(model, tmp_path / "app", package)
    assert app.is_app(tmp_path / "app") and size == sum(p.stat().st_size for p in (tmp_path / "app").rglob("*.*"))
    page = (tmp_path / "app" / "index.html").read_text()
    assert len(page) < 300_000 and not re.search(r"^(import|export) ", page, re.MULTILINE)
    addresses = set(re.findall(r"""(?:src|href)=["']([^"']+)""", page)) | set(re.findall(r"url\(([^)]+)\)", page))
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.findall(r"https?://(?!www\.w3\.org)", page)
    assert {path.name for path in (tmp_path / "app" / "runtime").iterdir()} == set(app.FILES)
    with pytest.raises(BadInput, match="is there already; give a new directory"):
        app.export(model, tmp_path / "app", package)


def test_what_the_browser_would_lack_is_told(model, package, tmp_path) -> None:
    def refused(told: str) -> None:
        with pytest.raises(BadInput, match=told):
            app.export(model, tmp_path / "app", package)
        assert not (tmp_path / "app").exists()

    (package / "dist" / app.FILES[2]).unlink()
    refused(r"ort-wasm-simd-threaded.wasm is not there; run `npm install onnxruntime-web`")
    (package / "package.json").write_text('{"name": "onnxruntime-web", "version": "1.23.2"}')
    refused(r"onnxruntime-web 1.23.2 attends to one token too many; install 1.24 or newer")
    (package / "package.json").write_text('{"name": "left-pad", "version": "1.0.0"}')
    refused("holds the npm package 'left-pad', not onnxruntime-web")
    (package / "package.json").unlink()
    refused("there is no npm package onnxruntime-web in .*; run `npm install onnxruntime-web` and name its folder by")


@pytest.fixture
def served(tmp_path) -> Iterator[Callable[[Path], str]]:
    """Serves a folder as `--serve` does."""
    running = []

    def served(folder: Path) -> str:
        serving = app.server(folder, 0)
        running.append(serving)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        return f"http://localhost:{serving.server_address[1]}/"

    yield served
    for serving in running:
        serving.shutdown()
        serving.server_close()


def test_it_is_served_with_what_threads_need(served, tmp_path) -> None:
    (tmp_path / "one.mjs").write_text("1")
    with urlopen(served(tmp_path) + "one.mjs") as answer:
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert answer.headers["Content-Type"] == "text/javascript"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory) -> Path:
    """The npm package: the one that is there, or one that is fetched for these tests."""
    if (PACKAGE / "package.json").is_file():
        return PACKAGE
    if (npm := shutil.which("npm")) is None:
        pytest.skip(f"the npm package {app.PACKAGE} is not in {PACKAGE}, and npm is not on this machine")
    folder = tmp_path_factory.mktemp("npm")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"{app.PACKAGE}@^1.30"]
    if (done := subprocess.run(install, cwd=folder, capture_output=True, text=True)).returncode:
        pytest.skip(f"npm cannot install {app.PACKAGE} here: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "node_modules" / app.PACKAGE


@pytest.fixture(scope="module")
def written(model, runtime, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "app"
    app.export(model, folder, runtime)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, served) -> Iterator[Callable[..., Any]]:
    """A page that shows an app. What it says to the console, and what it asks of others, must be nothing."""
    pages, told = [], []

    def visit(folder: Path, **options: Any) -> Any:
        url = served(folder)
        page = chromium.new_context(**options).new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: told.append(request.url) if not _own(request.url, url) else None)
        page.goto(url)
        pages.append(page)
        return page

    yield visit
    for page in pages:
        page.context.close()
    assert not told


def _own(address: str, url: str) -> bool:
    return address.startswith((url, "data:", f"blob:{url}"))


def answer(page: Any, text: str, *shown: Path, new: bool = True, stopped: str = "") -> list[int]:
    """The ids that come in answer to a message, in a new conversation or in the one that is there; all of them, or
    those until it is stopped, by "Escape" or by the "button"."""
    if new and page.locator("#fresh").is_enabled():
        page.locator("#fresh").click()
    page.evaluate("delete document.body.dataset.ids")
    if shown:
        page.locator("#file").set_input_files(shown)
        page.wait_for_selector("#shown li")
    page.fill("#prompt", text)
    page.keyboard.press("Enter")
    if stopped:
        page.wait_for_selector(".turn.model p, .turn.model canvas")
        page.keyboard.press(stopped) if stopped == "Escape" else page.locator("#send.stops").click()
    page.wait_for_selector("body[data-ids], .fails", state="attached", timeout=120_000)
    assert not page.locator(".fails").count()
    return json.loads(page.evaluate("document.body.dataset.ids"))


READY = "#examples:not([hidden])"


@pytest.mark.slow
def test_in_chromium_it_writes_and_draws_what_the_engine_does(written, visit, tmp_path) -> None:
    """Greedy, against ONNX Runtime on the very files: text, codes, and an image that is shown."""
    engine = OnnxEngine(onnx_model.OnnxModel(written / "model"))
    pixels = np.random.default_rng(0).integers(0, 256, (70, 50, 3), np.uint8)
    pillow.fromarray(pixels).save(tmp_path / "shown.png")
    page = visit(written, viewport={"width": 1100, "height": 800})
    page.wait_for_selector(READY, timeout=60_000)
    page.select_option("#variety", "0 0")
    assert page.evaluate("self.crossOriginIsolated")
    drawn, answers = 0, []
    for text, shown, guidance in (
        ("Draw: red apple.", (), 1.0),
        ("What is 17 + 25?", (), 1.0),
        ("What is it?", (Image(pixels),), 1.0),
        ("Draw: red apple.", (), app.GUIDED),
    ):
        page.select_option("#pictures", str(guidance))
        asked = engine.bundle.framing.prompt([Turn("user", (*shown, Text(text)))])
        room = engine.bundle.config.context - len(asked)
        wishes = Options(max_tokens=room, picture_temperature=0.0, picture_guidance=guidance)
        wanted = engine.generate([asked], wishes)[0].tokens.tolist()
        ended = wanted[-1] in (engine.bundle.vocabulary["<turn|>"], EOS)
        found = answer(page, text, *[tmp_path / "shown.png" for _ in shown])
        assert found == wanted[: len(wanted) - ended], (text, guidance)
        answers.append(found)
        drawn += page.locator(".turn.model figcaption").count()
    assert drawn > 0 and answers[0] != answers[-1]
    # What was read before is not read again, and the answer is as if it were.
    first, second = answer(page, "Be brief.", stopped="button"), answer(page, "And now?", new=False)
    marks, prompt = engine.bundle.vocabulary, engine.bundle.framing.prompt
    words = [prompt([Turn("user", (Text(text),))]).tokens.tolist() for text in ("Be brief.", "And now?")]
    whole = [*words[0], *first, marks["<turn|>"], *marks.encode("\n"), *words[1][1:]]
    count = len(whole)
    none = np.zeros(count, np.int32)
    asked = Encoded(np.asarray(whole, np.int32), none > 0, none, none, none - 1, none, ())
    room = engine.bundle.config.context - count
    wishes = Options(max_tokens=room, picture_temperature=0.0, picture_guidance=app.GUIDED)
    wanted = engine.generate([asked], wishes)[0].tokens.tolist()
    assert second == [id for id in wanted if id not in (marks["<turn|>"], EOS)]


PUT = """([kind, data]) => {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0)), moved = new DataTransfer();
  moved.items.add(new File([bytes], "one.png", { type: "image/png" }));
  const event = kind === "paste" ? new ClipboardEvent(kind, { clipboardData: moved, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: moved, bubbles: true, cancelable: true });
  document.getElementById("prompt").dispatchEvent(event);
}"""


@pytest.mark.slow
def test_images_are_pasted_dropped_and_taken_back(written, visit, tmp_path) -> None:
    pillow.new("RGBA", (20, 10), (255, 0, 0, 128)).save(tmp_path / "one.png")
    data = base64.b64encode((tmp_path / "one.png").read_bytes()).decode()
    page = visit(written)
    page.wait_for_selector(READY, timeout=60_000)
    for count, kind in enumerate(("paste", "drop"), 1):
        page.evaluate(PUT, [kind, data])
        page.wait_for_selector(f"#shown li:nth-child({count})")
    page.locator("#shown li button").first.click()
    assert page.locator("#shown li").count() == 1
    (tmp_path / "none.png").write_bytes(b"no image")
    page.locator("#file").set_input_files(tmp_path / "none.png")
    page.wait_for_selector("#speed:has-text('none.png cannot be read; try PNG or JPEG')")
    assert page.locator("#shown li").count() == 1 and answer(page, "", new=False)


@pytest.mark.slow
def test_it_stops_when_it_is_told_and_answers_again(written, visit) -> None:
    page = visit(written, viewport={"width": 360, "height": 740}, color_scheme="dark")
    page.wait_for_selector(READY, timeout=60_000)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / "first-360-dark.png")
    whole = answer(page, "Tell me everything.")
    for stopped in ("button", "Escape"):
        assert 0 < len(answer(page, "Tell me everything.", stopped=stopped)) < len(whole)
    page.wait_for_selector("#send:not(.stops)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert answer(page, "And now?")
    page.screenshot(path=SHOTS / "answer-360-dark.png")


@pytest.mark.slow
def test_a_file_that_was_changed_is_told(written, visit, tmp_path) -> None:
    shutil.copytree(written, tmp_path / "app")
    network = tmp_path / "app" / "model" / "decoder.onnx"
    whole = network.read_bytes()
    for damaged, told in (
        (whole[:-9], f"has {len(whole) - 9} bytes and had {len(whole)}"),
        (whole[:-1] + b"?", "as it was"),
    ):
        network.write_bytes(damaged)
        page = visit(tmp_path / "app")
        page.wait_for_selector("#state:has-text('export the app again')", timeout=60_000)
        assert f"decoder.onnx {'is not ' if told == 'as it was' else ''}{told}" in page.inner_text("#state")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(written, visit, scheme) -> None:
    """By axe, before and after an answer."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit(written, viewport={"width": 1100, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page.wait_for_selector(READY, timeout=60_000)
    assert axe.run(page).violations_count == 0, axe.run(page).generate_report()
    answer(page, "Draw: a cat.")
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"answer-1100-{scheme}.png")


def _image(pixels: np.ndarray) -> dict[str, Any]:
    height, width, _ = pixels.shape
    return {"height": height, "width": width, "data": base64.b64encode(pixels.tobytes()).decode()}


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
