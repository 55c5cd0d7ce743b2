"""`tejat chat`: a dialogue, one line a turn, with commands to add media, begin anew and save."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from tejat.cli import default_model
from tejat.cli.drawing import Drawing
from tejat.cli.generate import Gallery, media, show
from tejat.cli.options import parse
from tejat.errors import BadInput

COMMANDS = """\
/image FILE, /audio FILE, /video FILE   add a medium to what you say next
/system TEXT                            how the model should behave from now on; without TEXT, as it likes
/reset                                  begin a new dialogue
/save FILE                              the dialogue so far as JSON, media inside
/help, /quit                            Ctrl-C stops an answer, Ctrl-D ends the chat"""


@dataclass(frozen=True)
class Options:
    """Talk with a model. A line is a turn; /help lists the commands.

    Example: tejat chat --model mini --temperature 0.7
    """

    model: Annotated[str | None, tyro.conf.arg(metavar="NAME|DIR")] = None
    """A model that comes with Tejat, or a directory; default: the largest there is."""
    engine: Literal["jax", "onnx"] | None = None
    """Default: without an accelerator, ONNX Runtime for a model that is exported or in four or eight bits; else JAX."""
    system: str | None = None
    """How the model should behave."""
    out: Path = field(default_factory=Path)
    """Where pictures are saved, as PNG."""
    temperature: float = 0.0
    """0: always the likeliest token."""
    seed: int = 0
    """With what was said before and the options it fixes an answer."""
    max_tokens: int | None = None
    """Of each answer; default: 512, or what the context still holds."""
    drawing: Annotated[Drawing, tyro.conf.arg(name="")] = field(default_factory=Drawing)


def main(arguments: list[str]) -> int:
    """Run `tejat chat`. Raises BadInput for an option or a model that cannot be used, and, where no one is there to
    mend it, for any line that cannot."""
    options = parse(Options, arguments, "tejat chat")
    gallery = Gallery(options.out)
    directory = default_model.directory(options.model)

    import tejat.api

    wishes = tejat.api.Wishes(
        temperature=options.temperature, seed=options.seed, max_tokens=options.max_tokens, **options.drawing.wishes
    )
    chat = Chat(default_model.load(directory, options.engine), gallery, options.system, wishes, options.drawing)
    attended = sys.stdin.isatty()
    if attended:
        print(f"{chat.model.name}; /help lists the commands.")
    for line in _lines(attended):
        try:
            if not chat.take(line):
                break
        except BadInput as error:
            if not attended:
                raise
            print(f"tejat: {error}", file=sys.stderr)
    return 0


def _lines(attended: bool) -> Iterator[str]:
    """Lines of a person, who can edit them, or of a pipe."""
    if not attended:
        yield from (line.rstrip("\n") for line in sys.stdin)
        return
    import readline  # noqa: F401  # importing it gives input() history and editing

    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print("\nCtrl-D or /quit ends the chat.")


class Chat:
    """A dialogue with a model, printed as it goes."""

    def __init__(self, model: Any, gallery: Gallery, system: str | None, wishes: Any, drawing: Drawing | None = None):
        self.model, self.gallery, self.system, self.wishes = model, gallery, system, wishes
        self.drawing = drawing or Drawing()
        self.turns: list = []
        self.waiting: list = []  # media for the next turn

    def take(self, line: str) -> bool:
        """Does what a line says; False ends the chat. Raises BadInput for what cannot be done, and then nothing is."""
        command, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        match command:
            case "":
                pass
            case "/quit":
                return False
            case "/help":
                print(COMMANDS)
            case "/reset":
                self.turns, self.waiting = [], []
            case "/system":
                self.system = rest or None
            case "/image" | "/audio" | "/video":
                kinds = [[Path(rest)] if command == kind else [] for kind in ("/image", "/audio", "/video")]
                if not rest:
                    raise BadInput(f"{command} names no file; write {command} FILE")
                self.waiting += media(*kinds)
            case "/save":
                self._save(rest)
            case _ if command.startswith("/"):
                raise BadInput(f"there is no command {command!r}; /help lists them")
            case _:
                self._answer(line)
        return True

    def _answer(self, line: str) -> None:
        """Says the line with the media that wait, and prints the answer; of one that Ctrl-C stops, the rest stays."""
        from tejat.parts import Text, Turn

        said = Turn("user", (*self.waiting, Text(line)))
        parts = self.drawing.written(self.model, [*self.turns, said], system=self.system, **self.wishes)
        answer: list = []
        try:
            show(_noted(parts, answer), self.gallery)
        except KeyboardInterrupt:
            print("(stopped)")
        self.waiting = []
        # Without an answer the turn is taken back: two turns of one side in a row are nothing the model has seen.
        if answer:
            self.turns += [said, Turn("model", tuple(answer))]

    def _save(self, name: str) -> None:
        from tejat.parts import Document, to_json, write_whole

        if not name:
            raise BadInput("/save names no file; write /save FILE")
        if not self.turns:
            raise BadInput("there is nothing to save; say something first")
        try:
            write_whole(Path(name), (json.dumps(to_json(Document.from_turns(self.turns))) + "\n").encode())
        except OSError as error:
            raise BadInput(f"{name} cannot be written ({error.strerror}); choose another file") from error
        print(f"saved to {name}")


def _noted(parts: Iterator, answer: list) -> Iterator:
    """The same parts, put down before anyone prints them; neighbouring text becomes one part."""
    from tejat.parts import Text

    for part in parts:
        if answer and isinstance(part, Text) and isinstance(answer[-1], Text):
            answer[-1] = Text(answer[-1].text + part.text)
        else:
            answer.append(part)
        yield part
