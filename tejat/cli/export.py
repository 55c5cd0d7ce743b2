"""`tejat export`: a model in a format that other engines read."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from tejat.cli.options import only_with, parse

if TYPE_CHECKING:
    from tejat.cli.import_ import Import
    from tejat.export.huggingface import Done


@dataclass(frozen=True)
class Export:
    """Write a model for other engines: Hugging Face, ONNX Runtime, llama.cpp and what is built on it, or a browser.

    huggingface: a directory for `AutoModelForImageTextToText.from_pretrained`; weights keep the type they have, and
    those in four or eight bits become the float32 that they stand for.

    onnx: a directory of networks; of a model from `tejat quantize` on the very grid that it is on, else in 32 bits.

    gguf: one file, with the tokenizer in it: text and the codes of pictures.

    app: a directory with a page that runs the model in the browser, and nothing leaves the device. It needs the npm
    package onnxruntime-web, of which it takes what it needs.

    Example: tejat export huggingface runs/demo/model exported
             tejat export onnx mini mini-onnx
             tejat export gguf mini mini.gguf && tejat export gguf mini mini.gguf --check
             npm install onnxruntime-web && tejat export app mini app --serve
    """

    format: Annotated[Literal["huggingface", "onnx", "gguf", "app"], tyro.conf.Positional]
    """Whose format."""
    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|DIR")]
    """The directory of a model, or the name of one that comes with Tejat."""
    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR|FILE")]
    """A new directory; of gguf, a new file."""
    type: Literal["F32", "F16", "Q8_0", "Q4_0"] | None = None
    """Of the matrices in gguf; default: Q4_0 or Q8_0 as the model has them, else F16."""
    check: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of gguf: write nothing, and say whether the file that is there is as it was exported."""
    cache: Literal[32, 8] = 32
    """Of onnx: bits of each number of the keys and values that answers keep; 8 take a quarter of the memory, write
    faster behind long contexts, and read prompts more slowly."""
    runtime: Path | None = None
    """Of app: the folder of the npm package onnxruntime-web; default: node_modules/onnxruntime-web."""
    serve: tyro.conf.FlagCreatePairsOff[bool] = False
    """Of app: show it to the browsers of this machine, once it is written or if it is there already."""
    port: int = 8090
    """Of app: where it is served; 0: any that is free."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat export`. Raises BadInput for a model, a directory or a file that cannot be used."""
    options = parse(Export, arguments, "tejat export")
    for format, names in {"gguf": ("type", "check"), "onnx": ("cache",), "app": ("runtime", "serve", "port")}.items():
        if options.format != format:
            only_with(f"`tejat export {format}`", options, *names)

    # After the options are read: a wrong one is told without waiting for JAX.
    from tejat import bundle

    model = bundle.find(options.model)
    if options.format == "huggingface":
        from tejat.export import huggingface

        report(huggingface.export(model, options.directory, Progress("exporting")), options)
    elif options.format == "onnx":
        from tejat.export import onnx

        files = onnx.export(model, options.directory, _writing, options.cache)
        _report_files({"directory": str(options.directory), "bytes": sum(files.values()), "files": files}, options)
    elif options.format == "app":
        _app(model, options)
    elif options.check:
        from tejat.export import gguf_hash

        gguf_hash.check(options.directory)
        size = options.directory.stat().st_size
        _report_files({"file": str(options.directory), "bytes": size, "whole": True}, options)
    else:
        from tejat.export import gguf

        done = gguf.export(model, options.directory, options.type)
        for line in done.left_out:
            print(f"tejat: {line}", file=sys.stderr)
        _report_files({"file": str(options.directory), **done._asdict()}, options)
    return 0


def _writing(name: str) -> None:
    print(f"writing {name} …", file=sys.stderr)


def _app(model: Path, options: Export) -> None:
    from tejat.export import app

    folder = options.directory
    if not (options.serve and app.is_app(folder)):
        runtime = options.runtime or Path("node_modules", app.PACKAGE)
        size = app.export(model, folder, runtime, _writing)
        _report_files({"directory": str(folder), "bytes": size}, options)
    if not options.serve:
        print(f"show it by `tejat export app {options.model} {folder} --serve`", file=sys.stderr)
        return
    with app.server(folder, options.port) as serving:
        port = serving.server_address[1]
        print(f"{folder} is at http://localhost:{port}/; Ctrl-C ends it", file=sys.stderr, flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print("ended", file=sys.stderr)


def _report_files(found: dict, options: Export) -> None:
    if options.json:
        print(json.dumps(found))
        return
    print(f"{options.directory} has {found['bytes'] / 1e6:,.1f} MB{', as it was exported' * options.check}")


def report(done: "Done", options: "Export | Import") -> None:
    """What was written, as one line or as one JSON object."""
    if options.json:
        print(json.dumps({"directory": str(options.directory), **done._asdict()}))
        return
    print(f"{options.directory} holds {done.tensors} tensors, {done.bytes:,} bytes of weights")
    if done.unread:
        print(f"left out {len(done.unread)} tensors that no layer reads, {done.unread[0]} the first")


class Progress:
    """A line on standard error every two seconds from the first piece on, and none for what takes less."""

    def __init__(self, doing: str):
        self._doing = doing
        self._start = self._last = self._before = 0.0

    def __call__(self, done: int, whole: int) -> None:
        now = time.monotonic()
        if not self._start:
            self._start = self._last = now
            self._before = done
            return
        if now - self._last < 2 and done < whole or done == whole and self._last == self._start:
            return
        self._last = now
        rate = (done - self._before) / (now - self._start)
        told = f"{done / 1e6:,.0f} of {whole / 1e6:,.0f} MB, {rate / 1e6:,.0f} MB/s, {(whole - done) / rate:.0f} s left"
        print(f"{self._doing}: {told}", file=sys.stderr, flush=True)
