"""The page of `tejat export app` in Chromium beside ONNX Runtime outside of it: the same answer, in turns.

python benchmarks/browser.py MODEL --runtime node_modules/onnxruntime-web [--rounds 3] [--json]

Tokens a second of one greedy answer, the prompt not counted; medians. "blocks" are the four-bit kernels that ONNX
Runtime has outside of browsers; "unpacked" runs the very files of the page. Needs Playwright and Chromium.
"""

import json
import shutil
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from playwright.sync_api import sync_playwright

from tejat import bundle
from tejat.export import app, onnx
from tejat.infer.onnx_engine import OnnxEngine
from tejat.infer.onnx_model import OnnxModel
from tejat.infer.options import Options
from tejat.parts import Text, Turn


@dataclass(frozen=True)
class Asked:
    """What is measured."""

    model: Annotated[str, tyro.conf.Positional]
    runtime: Path = Path("node_modules/onnxruntime-web")
    prompt: str = "Draw: red apple."
    rounds: int = 3
    json: tyro.conf.FlagCreatePairsOff[bool] = False


def in_page(page: Any, prompt: str) -> tuple[list[int], float]:
    """(ids, seconds) of an answer in a new conversation."""
    if page.locator("#fresh").is_enabled():
        page.locator("#fresh").click()
    page.evaluate("delete document.body.dataset.ids")
    page.fill("#prompt", prompt)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ids]", state="attached", timeout=300_000)
    return json.loads(page.evaluate("document.body.dataset.ids")), float(page.evaluate("document.body.dataset.seconds"))


def outside(engine: OnnxEngine, prompt: str) -> tuple[list[int], float]:
    """The same of an engine; from its first token on."""
    asked = engine.bundle.framing.prompt([Turn("user", (Text(prompt),))])
    ids, first = [], 0.0
    for piece in engine.stream(asked, Options(max_tokens=1_024, picture_temperature=0.0)):
        first = first or time.perf_counter()
        ids += [int(token) for token in piece.tokens]
    return ids, time.perf_counter() - first


def main() -> None:
    asked = tyro.cli(Asked)
    found: dict[str, list[float]] = {"page": [], "unpacked": [], "blocks": []}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        model, place = bundle.find(asked.model), Path(folder)
        app.export(model, place / "app", asked.runtime)
        onnx.export(model, place / "onnx")
        engines = {"unpacked": place / "app" / "model", "blocks": place / "onnx"}
        engines = {name: OnnxEngine(OnnxModel(path)) for name, path in engines.items()}
        serving = app.server(place / "app", 0)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        begun = time.perf_counter()
        page.goto(f"http://localhost:{serving.server_address[1]}/")
        page.wait_for_selector("#examples:not([hidden])", timeout=120_000)
        loading, threads = time.perf_counter() - begun, page.get_attribute("#model", "title")
        page.select_option("#variety", "0 0")
        answers: dict[str, list[int]] = {}
        for number in range(asked.rounds + 1):  # the first is to warm up
            for name in found:
                told = in_page(page, asked.prompt) if name == "page" else outside(engines[name], asked.prompt)
                answers[name] = told[0]
                if number:
                    found[name].append(len(told[0]) / told[1])
        browser.close()
        serving.shutdown()
    same = answers["unpacked"][: len(answers["page"])] == answers["page"]
    rates = {name: statistics.median(each) for name, each in found.items()}
    result = {"tokens_per_s": rates, "tokens": len(answers["page"]), "same_tokens": same, "loading_s": loading}
    if asked.json:
        print(json.dumps(result))
        return
    print(f"{result['tokens']} tokens; the page loads in {loading:.1f} s and runs {threads}; same tokens: {same}")
    for name, rate in rates.items():
        print(f"{name:10} {rate:7.1f} tokens/s   {', '.join(f'{one:.0f}' for one in found[name])}")


if __name__ == "__main__":
    main()
