"""What happened to a supervised run: RUN/surviving/events.jsonl, a line each, only ever appended to.

{"at": seconds of time.time, "event": …, …}, where the event is one of

    supervised   a supervisor began            generation   processes were started, from which step and what
    stepping     a generation made its first step; "recovery" is how long nothing was made, "cpu" what
                 its processes took of processors until then, in seconds
    fault        what ended a generation       straggler    a process that runs less than the others
    set aside    a damaged checkpoint          shrunk       fewer processes go on
    done, stopped, gave up                     the end
"""

import json
import os
import time
from pathlib import Path
from typing import Any

NAME = "events.jsonl"


class Events:
    """Writes them."""

    def __init__(self, directory: Path):
        self._path = directory / NAME
        self._torn = self._path.is_file() and not self._path.read_bytes().endswith(b"\n")  # a kill cut the last line

    def tell(self, event: str, **more: Any) -> None:
        line = ("\n" if self._torn else "") + json.dumps({"at": time.time(), "event": event, **more}) + "\n"
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, line.encode())
            self._torn = False
        except OSError:  # a full disk must not end what survives one
            pass
        finally:
            os.close(file)


def read(directory: Path) -> list[dict[str, Any]]:
    """All of them, oldest first."""
    path = directory / NAME
    found = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:  # cut by a kill
            continue
    return found
