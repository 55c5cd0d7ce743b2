"""The `tejat` command: one table of verbs, each a module of this package with `main(arguments: list[str]) -> int`.

Only the module of the verb that was asked for is imported, so that `tejat --help` is instant and
`tejat doctor` does not load a server.
Exit codes: 0 done, 1 the work failed, 2 the input cannot be used, 130 stopped by Ctrl-C.
"""

import errno
import io
import os
import re
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple

import tejat
from tejat.errors import BadInput


class Verb(NamedTuple):
    """A verb of the command line.

    Attributes:
      help: one line for `tejat --help`.
      module: where its `main` lives.
    """

    help: str
    module: str


VERBS = {
    "demo": Verb("the tour: trains a small model, which then answers, draws, hears and watches", "tejat.cli.demo"),
    "chat": Verb("talk with a model; pictures, sound and video welcome", "tejat.cli.chat"),
    "generate": Verb("answer one prompt", "tejat.cli.generate"),
    "serve": Verb("a server of the Gemini and OpenAI interfaces, and a playground", "tejat.cli.serve"),
    "family": Verb("the sizes: parameters, memory, arithmetic", "tejat.cli.family"),
    "doctor": Verb("what this machine has, and whether it computes correctly", "tejat.cli.doctor"),
    "data": Verb("build, inspect and report data sets", "tejat.cli.data"),
    "tokenizer": Verb("train tokenizers of text and of pictures, and report on them", "tejat.cli.tokenizer"),
    "train": Verb("train a model from a recipe", "tejat.cli.train"),
    "goodput": Verb("where the time of a run went", "tejat.cli.goodput"),
    "tune": Verb("tune a model: supervised, reward, rlhf, distill", "tejat.cli.tune"),
    "eval": Verb("measure a model: table, plots, report", "tejat.cli.eval"),
    "plan": Verb("compile the real step for TPU pods, on a laptop", "tejat.cli.plan"),
    "chaos": Verb("train under injected faults and prove nothing is lost", "tejat.cli.chaos"),
    "export": Verb("to Hugging Face, ONNX Runtime and llama.cpp", "tejat.cli.export"),
    "import": Verb("from Hugging Face", "tejat.cli.import_"),
    "quantize": Verb("a model in four or eight bits, and what that costs", "tejat.cli.quantize"),
    "bench": Verb("speed of making batches, training, serving and writing", "tejat.cli.bench"),
}

_OF_PATHS = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
"""What is wrong with a path that was given; other failures of files are of the machine."""

_OUT_OF_MEMORY = re.compile("RESOURCE_EXHAUSTED.*(memory|allocat)", re.IGNORECASE | re.DOTALL)
"""What XLA says where a device's memory does not suffice. Other things are exhausted too: a message's size, say."""

_HELP_OPTIONS = ("-h", "--help", "help")


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
      arguments: the words after `tejat`; those of this process when None.
    """
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # In a locale without ± or é a table with a question mark is more use than none.
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(errors="replace")
    try:
        try:
            return _dispatch(words)
        finally:
            sys.stdout.flush()
    except BadInput as error:
        if os.environ.get("TEJAT_TRACEBACK") == "1":
            traceback.print_exc()
        print(f"tejat: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # On a line of its own: a terminal shows ^C, and perhaps progress, on this one.
        print("\ntejat: stopped" if sys.stderr.isatty() else "tejat: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python flushes stdout once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A full disk, a directory that may not be written to: met wherever in the work. Every file is written whole, so
        # that none is left in halves.
        if os.environ.get("TEJAT_TRACEBACK") == "1":
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"tejat: error: {where}{error.strerror or error}; mend that and run it again", file=sys.stderr)
        return 2 if error.errno in _OF_PATHS else 1
    except Exception as error:
        # Libraries that write files tell of a full disk each in an exception of its own.
        full = os.strerror(errno.ENOSPC)
        known = full in str(error) or _OUT_OF_MEMORY.search(str(error))
        if os.environ.get("TEJAT_TRACEBACK") == "1" or not known:
            raise
        if full in str(error):
            print(f"tejat: error: {full}; make room and run it again", file=sys.stderr)
            return 1
        wanted = re.search(r"allocate ([\d.]+ ?\w+)", str(error))
        told = f" where {wanted[1]} more were wanted" if wanted else ""
        print(
            f"tejat: error: the device's memory is too short{told}; take fewer or shorter rows, a smaller model, more "
            "parts of a batch (--set accumulate=…) or more devices (--mesh)",
            file=sys.stderr,
        )
        return 2


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in _HELP_OPTIONS:
        print(_help())
        return 0
    name, rest = words[0], words[1:]
    if name == "--version":
        print(f"tejat {tejat.__version__}")
        return 0
    if name not in VERBS:
        near = get_close_matches(name, VERBS, n=1)
        mend = f"did you mean `tejat {near[0]}`?" if near else "`tejat --help` lists the verbs."
        raise BadInput(f"there is no verb {name!r}; {mend}")
    return import_module(VERBS[name].module).main(rest)


def _help() -> str:
    width = max(map(len, VERBS))
    lines = [
        f"tejat {tejat.__version__}: one Transformer for text, images, audio and video.",
        "",
        "usage: tejat VERB [options]      `tejat VERB --help` shows an example",
        "",
    ]
    lines += [f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items()]
    lines += ["", "Start with `tejat demo`. `TEJAT_TRACEBACK=1` shows where an error came from."]
    return "\n".join(lines)
