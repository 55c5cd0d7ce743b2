"""`tejat generate`: one prompt, one answer. Text goes to standard output as it comes, pictures to files."""

import itertools
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from tejat.cli import default_model
from tejat.cli.drawing import Drawing
from tejat.cli.options import only_with, parse
from tejat.errors import BadInput

# One file for each time the option is given: else it would swallow the prompt that follows.
Files = Annotated[tuple[Path, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FILE")]

# A model can write any byte, and a terminal obeys some of them.
_UNSEEN = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


@dataclass(frozen=True)
class Generate:
    """Answer one prompt, with images, sound and video in it; the options --image, --audio and --video may be repeated.

    Example: tejat generate "What is this?" --image cat.png
    """

    prompt: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PROMPT")]
    """What to say to the model; media come before it."""
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME|DIR")] = None
    """A model that comes with Tejat, or a directory; default: the largest there is."""
    engine: Literal["jax", "onnx"] | None = None
    """Default: without an accelerator, ONNX Runtime for a model that is exported or in four or eight bits; else JAX."""
    image: Files = ()
    """An image to see."""
    audio: Files = ()
    """A sound to hear."""
    video: Files = ()
    """A video to watch."""
    frames: int = 16
    """Of each video, evenly spaced."""
    fps: float | None = None
    """Frames a second of each video, instead of --frames."""
    start: float = 0.0
    """Second of each video from which on it is watched."""
    end: float | None = None
    """Second of each video up to which it is watched; default: its end."""
    system: str | None = None
    """How the model should behave."""
    out: Path = field(default_factory=Path)
    """Where pictures are saved, as PNG."""
    temperature: float = 0.0
    """0: always the likeliest token."""
    seed: int = 0
    """With the prompt and the options it fixes the answer."""
    max_tokens: int | None = None
    """Of the answer; default: 512, or what the context still holds."""
    drawing: Annotated[Drawing, tyro.conf.arg(name="")] = field(default_factory=Drawing)
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str]) -> int:
    """Run `tejat generate`. Raises BadInput for a file, an option or a model that cannot be used."""
    options = parse(Generate, arguments, "tejat generate")
    if not options.video:
        only_with("--video", options, "frames", "fps", "start", "end")
    from tejat.parts import Text

    gallery = Gallery(options.out)
    directory = default_model.directory(options.model)
    span = {"frames": options.frames, "fps": options.fps, "start": options.start, "end": options.end}
    prompt = [*media(options.image, options.audio, options.video, **span), Text(options.prompt)]

    import tejat.api

    model = default_model.load(directory, options.engine)
    drawing = options.drawing
    wishes = tejat.api.Wishes(
        temperature=options.temperature, seed=options.seed, max_tokens=options.max_tokens, **drawing.wishes
    )
    if options.json:
        answer = model.answer(prompt, system=options.system, best_of=drawing.best_of, **wishes)
        print(json.dumps(_report(answer, gallery)))
    else:
        answered = show(drawing.written(model, prompt, system=options.system, **wishes), gallery)
        if not answered:  # as of silence: else a user could not tell it from a program that failed
            print("tejat: the model ended its answer without a word", file=sys.stderr)
    return 0


def media(images: Iterable[Path], sounds: Iterable[Path], videos: Iterable[Path], **of_videos: Any) -> list:
    """Parts of files, images first; `of_videos` are options of `media.read_video`.

    Raises BadInput, naming the file, for one that cannot be read.
    """
    from tejat import media

    return [
        *(media.read_image(path) for path in images),
        *(media.read_audio(path) for path in sounds),
        *(media.read_video(path, **of_videos) for path in videos),
    ]


class Gallery:
    """A directory to which pictures are saved under numbers not yet taken."""

    def __init__(self, directory: Path):
        """Raises BadInput, before anything is written, where there can be no such directory."""
        nearest = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise BadInput(f"pictures cannot be saved to {directory}, since {nearest} is a file; give a directory")
        self.directory = directory

    def save(self, image) -> Path:
        """Where the image is saved, now. Raises BadInput where the directory cannot be written to."""
        from tejat import media

        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            paths = (self.directory / f"picture-{n}.png" for n in itertools.count(1))
            path = next(path for path in paths if not path.exists())
            media.write_png(image, path)
        except OSError as error:
            raise BadInput(f"no picture can be saved to {self.directory} ({error.strerror}); see --out") from error
        return path


def show(parts: Iterable, gallery: Gallery) -> bool:
    """Prints an answer as it comes; pictures are saved, and shown where the terminal can. Whether any came."""
    from tejat.cli import picture_in_terminal
    from tejat.parts import Image, Text

    fresh, answered = True, False  # at the start of a line; whether anything came
    try:
        for part in parts:
            answered = True
            match part:
                case Text(text):
                    sys.stdout.write(text.translate(_UNSEEN) if sys.stdout.isatty() else text)
                    fresh = text.endswith("\n")
                case Image(pixels):
                    path = gallery.save(part)
                    if not fresh:
                        print()
                    if picture_in_terminal.shown():
                        print(picture_in_terminal.render(pixels))
                    print(path)
                    fresh = True
            sys.stdout.flush()
    finally:
        if not fresh:
            print(flush=True)
    return answered


def _report(answer, gallery: Gallery) -> dict:
    """What `--json` prints; more keys are the reason why the answer ended."""
    from tejat.parts import Text

    parts = [
        {"text": part.text} if isinstance(part, Text) else {"image": str(gallery.save(part))} for part in answer.parts
    ]
    return {
        "parts": parts,
        "usage": answer.usage,
        "tokens": answer.tokens.tolist(),
        "logprobs": answer.logprobs.tolist(),
        "finish_reason": answer.finish_reason,
    }
