"""The options of a verb: a dataclass, read from the words of a command line by tyro.

What tyro cannot be told is done here: help that names no default where there is none, and errors that are one sentence.
"""

import contextlib
import io
import re
import sys
import types
import typing
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from tejat.errors import BadInput

T = TypeVar("T")

_NAMES = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}


def parse(kind: type[T], arguments: list[str], prog: str) -> T:
    """The options that the words give.

    Args:
      kind: a dataclass; the docstrings of its fields are the help.
      arguments: the words after the verb.
      prog: the verb as it is called, for help and errors.

    Raises:
      BadInput: for words that are no options of this kind.
      SystemExit: for --help, after it was printed.
    """
    _explain(kind)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            found = tyro.cli(kind, args=arguments, prog=prog)
    except SystemExit as ended:
        if not ended.code:
            raise
        raise BadInput(_sentence(complaint.getvalue(), prog)) from None
    sys.stderr.write(complaint.getvalue())
    return found


def only_with(what: str, options: Any, *names: str) -> None:
    """Raises BadInput where one of these options was given, which without `what` would do nothing."""
    fallback = {field.name: field.default for field in fields(options)}
    for name in names:
        if getattr(options, name) != fallback[name]:
            raise BadInput(f"--{name.replace('_', '-')} is of {what} alone; leave it out")


@cache
def _explain(kind: type) -> None:
    """Options without a value show no default and no `None`: their help says what happens then."""
    for field in fields(kind):
        hint = kind.__annotations__[field.name]
        plain, *more = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
        if is_dataclass(plain):
            _explain(plain)
        elif field.default is None or field.default is False or (field.default == () and not _repeats(more)):
            name = _name(plain)
            kind.__annotations__[field.name] = Annotated[
                (plain, tyro.conf.arg(metavar=name, help_behavior_hint=""), *more)
            ]


def _repeats(markers: list[Any]) -> bool:
    """Whether an option is given again for each value; tyro says so in its help."""
    return any(each is tyro.conf.UseAppendAction for each in markers)


def _name(hint: Any) -> str | None:
    """What stands for the value of an option that may be left out; None: what tyro calls it."""
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return None
    (given,) = (each for each in typing.get_args(hint) if each is not type(None))
    if typing.get_origin(given) is Literal:
        return "{" + ",".join(map(str, typing.get_args(given))) + "}"
    return _NAMES[given]


def _sentence(box: str, prog: str) -> str:
    """What tyro says in a box of several lines: what is wrong, and between rules what could be meant. Where standard
    output is not of UTF-8 there are blanks for the box, and its title is a line of its own."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in box.splitlines()]
    sections: list[list[str]] = [[]]
    for line in lines:
        text = line[2:].rstrip(" │")
        if line.startswith(("╭", "╰")):
            continue
        if text and not text.strip("─- "):
            sections.append([])
        else:
            sections[-1].append(text)
    if not lines[0].startswith("╭"):
        del sections[0]
    told = " ".join(line.strip() for line in sections[0])
    mend = f"`{prog} --help` tells what it takes"
    if told.startswith("Missing from"):
        needed = [line.strip() for line in sections[0] if re.match(r" {4}\S", line)]
        return f"`{prog}` needs {_listed(needed, 'and')}; {mend}"
    if unknown := re.match(r"Unrecognized options: (.*)", told):
        near = [line.split()[0] for section in sections[1:-1] for line in section if re.match(r" {4}-", line)]
        meant = f"did you mean {_listed(near, 'or')}?" if near else mend
        return f"`{prog}` does not know {unknown[1]}; {meant}"
    if choice := re.match(r"invalid choice (.*) for argument '(.*)'\. Expected one of \((.*)\)", told):
        offered = sorted(each for each in re.findall(r"'([^']*)'", choice[3]) if each != "None")
        return f"{choice[2]} is {choice[1]}; give {_listed(offered, 'or')}"
    if number := re.match(r"Error parsing (\S+): (invalid literal|could not convert).*?: ('.*')", told):
        what = "a whole number" if number[2] == "invalid literal" else "a number"
        return f"{number[1]} is {number[3]}; give {what}"
    if lacking := re.match(r"Missing value for argument '(.*)'", told):
        return f"{lacking[1]} has no value; give one"
    return f"{told or box.strip()}; {mend}"


def _listed(words: list[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))
