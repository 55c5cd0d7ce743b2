"""A model as a page: it runs in the browser, on the device that shows it, and nothing is sent anywhere.

DIR/index.html   the page, its style and its program in one file
   /model/       the ONNX export, as `tejat export onnx` writes it
   /runtime/     onnxruntime-web, out of its npm package

A browser gives threads only to a page that is served with two headers; `serve` sends them, and with another server the
page runs on one thread.
"""

import base64
import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path

from tejat import bundle
from tejat.errors import BadInput
from tejat.export import onnx
from tejat.export.appearing import appearing
from tejat.infer.engines import source_hash
from tejat.infer.options import Options

PACKAGE = "onnxruntime-web"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
OLDEST = (1, 24)
"""Older versions let a window of attention see one token too many on a CPU."""

WORKER = ("tokenizer.js", "pixels.js", "rule.js", "frame.js", "engine.js", "worker.js")
"""The program of the thread that computes, each file after those that it needs."""

GUIDED = 2.0
"""How much more a picture follows what was asked where a person wants it to; it takes twice the time."""

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def export(model: Path, folder: Path, runtime: Path, told: Callable[[str], None] = lambda name: None) -> int:
    """Writes the app of a model, whole or not at all; its bytes. `told` is called before each network.

    Raises BadInput as `onnx.export` does, for a `folder` that holds something, and where `runtime`, the folder of the
    npm package, is not there, is too old or lacks a file.
    """
    found, made = _runtime(runtime), bundle.load(model, in_blocks=True)
    _fits(made.config)
    with appearing(folder) as fresh:
        # WebAssembly has no kernels for weights in blocks: unpacked, a step takes a tenth of the time.
        onnx.write(made, fresh / "model", told, source_hash(model), unpacked=True)
        (fresh / "runtime").mkdir()
        for path in found:
            shutil.copy(path, fresh / "runtime" / path.name)
        (fresh / "index.html").write_text(page(), encoding="utf-8")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def is_app(folder: Path) -> bool:
    """Was this folder written by `export`?"""
    return all((folder / name).exists() for name in ("index.html", "runtime", "model/manifest.json"))


def page() -> str:
    """The page, with everything in it that is not the model or the runtime."""
    parts, usual = resources.files("tejat") / "export" / "page", Options()
    looks = resources.files("tejat") / "serve" / "playground"
    palette = (looks / "style" / "palette.css").read_text(encoding="utf-8")
    style = re.sub(r'url\("\.\./(fonts/[^"]+)"\)', lambda found: f"url({_inline(looks / found[1])})", palette)
    filled = {
        "guidance": str(usual.picture_guidance),
        "guided": str(max(GUIDED, usual.picture_guidance)),
        "temperature": str(usual.picture_temperature),
        "icon": _inline(looks / "icons" / "tejat.svg"),
        "style": style + (parts / "style.css").read_text(encoding="utf-8"),
        "worker": program(WORKER),
        "page": (parts / "page.js").read_text(encoding="utf-8"),
    }
    assert not any("</script" in filled[name] for name in ("worker", "page"))
    frame = (parts / "index.html").read_text(encoding="utf-8")
    return re.sub(r"\{(guidance|guided|temperature|icon|style|worker|page)\}", lambda found: filled[found[1]], frame)


def program(names: tuple[str, ...]) -> str:
    """Modules of the page as one, each after those that it needs."""
    parts = resources.files("tejat") / "export" / "page"
    return "\n".join(_alone((parts / name).read_text(encoding="utf-8")) for name in names)


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Serves an app to this machine, with the headers for threads. Raises BadInput for a port that cannot be had."""
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise BadInput(f"port {port} cannot be used ({error.strerror}); give another") from error


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Requests are not told."""


def _alone(module: str) -> str:
    """A module's code where all of them are one: without what it takes from the others and gives to them."""
    return re.sub(r"^(import .*;\n|export (?=class|function|async|const))", "", module, flags=re.MULTILINE)


def _inline(path) -> str:
    """A file as a `data:` address."""
    kind = {"svg": "image/svg+xml", "woff2": "font/woff2"}[path.name.rsplit(".", 1)[1]]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _runtime(package: Path) -> list[Path]:
    mend = f"run `npm install {PACKAGE}` and name its folder by --runtime (default: node_modules/{PACKAGE})"
    try:
        about = json.loads((package / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"there is no npm package {PACKAGE} in {package}; {mend}") from error
    if about.get("name") != PACKAGE:
        raise BadInput(f"{package} holds the npm package {about.get('name')!r}, not {PACKAGE}; {mend}")
    version = str(about.get("version"))
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        least = ".".join(map(str, OLDEST))
        raise BadInput(f"{PACKAGE} {version} attends to one token too many; install {least} or newer")
    found = [package / "dist" / name for name in FILES]
    if lost := [path for path in found if not path.is_file()]:
        raise BadInput(f"{lost[0]} is not there; {mend}")
    return found


def _fits(config: bundle.ModelConfig) -> None:
    if config.vision is not None and config.vision.front_end != "pooled":
        raise BadInput(f"the app shows images to pooled towers alone, and {config.name!r} has another front end")
