"""Manual pages in many languages, from roff (the `man` macros; groff_man(7), groff_char(7))."""

import gzip
import re
from collections.abc import Iterator

from tejat.data.corpus.language import tag
from tejat.data.corpus.prose import Repeated, pages
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_NAMED = {
    **{"aq": "'", "dq": '"', "oq": "‘", "cq": "’", "lq": "“", "rq": "”", "bu": "•", "em": "—", "en": "–", "hy": "-"},
    **{"co": "©", "rg": "®", "tm": "™", "ha": "^", "ti": "~", "ga": "`", "rs": "\\", "sl": "/", "mu": "×", "de": "°"},
    **{"->": "→", "<-": "←", "<=": "≤", ">=": "≥", "!=": "≠", "+-": "±", "Fo": "«", "Fc": "»", "ss": "ß", "ul": "_"},
    **{"lB": "[", "rB": "]", "lC": "{", "rC": "}", "ba": "|", "or": "|", "mi": "−", "pl": "+", "eq": "=", "at": "@"},
    **{"sh": "#", "Do": "$", "Eu": "€", "Po": "£", "sc": "§", "12": "½", "14": "¼", "34": "¾", "if": "∞", "~=": "≈"},
}
_ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", ":": "\u0308", "~": "\u0303", ",": "\u0327", "o": "\u030a"}
_ESCAPE = re.compile(
    r"\\(?:f(?:\[[^\]]*\]|\(..|.)|s[-+]?(?:\d+|\[[^\]]*\])|\[([^\]]*)\]|\((..)|\*(?:\[([^\]]*)\]|\((..)|(.))"
    r"|([mMgFk](?:\[[^\]]*\]|\(..|.))|[hvwlLDXRbNoxZ]'[^']*'|(.))"
)
_FONTS = {"B", "I", "BR", "RB", "BI", "IB", "IR", "RI", "SM", "SB", "R"}
_BREAKS = {"PP", "P", "LP", "HP", "sp", "RS", "RE", "br", "ti", "in", "PD", "ad", "na", "ne", "bp"}
_MDOC = {"Dd", "Dt", "Sh", "Nm"}
_LEAST = 300  # characters of a page


def manuals(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Pages with their sections. The line of NAME is the summary: "copy files and directories"."""
    fresh = Repeated(dropped)
    for path in paths.values():
        for file in sorted(path.glob("usr/share/man/**/*.gz")):
            folder = file.parent.parent.name
            language = "en" if folder == "man" else tag(folder)
            if file.is_symlink():
                continue
            name, section = file.name.removesuffix(".gz").rsplit(".", 1)
            try:
                source = gzip.decompress(file.read_bytes()).decode()
            except (OSError, UnicodeDecodeError) as error:
                dropped.drop("pages that are not UTF-8", f"{file.name} ({language}): {error}")
                continue
            if re.match(r"\s*\.so ", source):
                dropped.drop("pages that only refer to another", f"{file.name} ({language})")
                continue
            if re.search(r"^\.(Dd|Sh) ", source, re.MULTILINE):
                dropped.drop("pages in mdoc", f"{file.name} ({language})")
                continue
            summary, paragraphs = text(source)
            paragraphs = fresh(paragraphs)
            if sum(map(len, paragraphs)) < _LEAST:
                dropped.drop(f"pages below {_LEAST} characters", f"{file.name} ({language})")
                continue
            yield from pages(f"{name}({section})", paragraphs, language, f"man/{name}.{section}", dropped, summary)


def unescaped(line: str) -> str:
    """A line of roff without its escapes."""

    def plain(match: re.Match) -> str:
        bracket, pair, *string, dropped, one = match.groups()
        name = bracket or pair
        if name:
            if name in _NAMED:
                return _NAMED[name]
            if re.fullmatch(r"u[0-9A-F]{4,6}", name):
                return chr(int(name[1:], 16))
            if len(name) == 2 and name[0] in _ACCENTS:
                return name[1] + _ACCENTS[name[0]]
            return ""
        if any(string):
            return {"R": "®", "Tm": "™", "lq": "“", "rq": "”"}.get(next(filter(None, string)), "")
        if dropped or one is None:
            return ""
        return {"e": "\\", "\\": "\\", "-": "-", "~": " ", " ": " ", "0": " ", "'": "'", "`": "`", ".": "."}.get(
            one, ""
        )

    return _ESCAPE.sub(plain, line) if "\\" in line else line


def text(source: str) -> tuple[str, list[str]]:
    """(what NAME says after the dash, paragraphs) of a page."""
    found: list[str] = []
    lines: list[str] = []
    label = ""  # of a list item, waiting for its text
    code = due_label = in_name = False
    summary = ""

    def flush() -> None:
        nonlocal lines, label
        body = "\n".join(f"    {line}".rstrip() for line in lines) if code else " ".join(" ".join(lines).split())
        if label or body.strip():
            found.append(
                f"{label}\n    {body.strip()}"
                if label and body and not code
                else "\n".join(filter(None, (label, body)))
            )
        lines, label = [], ""

    skip_until = ""
    for raw in source.split("\n"):
        if skip_until:
            if raw.startswith(skip_until):
                skip_until = ""
            continue
        if raw.startswith(("'\\\"", '.\\"')):
            continue
        raw = re.sub(r'\\["#].*', "", raw)
        if raw[:1] not in (".", "'"):
            line = unescaped(raw)
            if due_label:
                flush()
                label, due_label = " ".join(line.split()), False
            elif not line.strip() and not code:
                flush()
            else:
                lines.append(line)
            continue
        macro, _, rest = raw[1:].strip().partition(" ")
        words = [unescaped(a or b) for a, b in re.findall(r'"((?:[^"]|"")*)"|(\S+)', rest)]
        if macro in ("SH", "SS"):
            flush()
            if in_name:
                summary, found, in_name = _name(found), [], False
            if not found and not summary and macro == "SH" and words:
                in_name = True  # the first section of every page is NAME, whatever it is called
            elif words:
                found.append(f"{'#' if macro == 'SH' else '##'} {' '.join(words)}")
        elif macro in ("TP", "TQ"):
            flush()
            due_label = True
        elif macro == "IP":
            flush()
            label = words[0] if words else ""
            label = "-" if label in ("•", "*", "o", "-") else label
        elif macro in _FONTS:
            spaced = macro in ("B", "I", "SM", "SB", "R")
            line = (" " if spaced else "").join(words)
            if due_label:
                flush()
                label, due_label = line, False
            else:
                lines.append(line)
        elif macro in ("nf", "EX"):
            flush()
            code = True
        elif macro in ("fi", "EE"):
            flush()
            code = False
        elif macro in ("UR", "MT"):
            lines.append(" ".join(words))
        elif macro in ("UE", "ME"):
            if words and lines:
                lines[-1] += words[0]
        elif macro in ("de", "de1", "ig", "am"):
            skip_until = ".."
        elif macro == "TS":
            flush()
            skip_until = ".TE"
        elif macro in _BREAKS:
            if macro in ("br", "RS", "RE", "PD", "ad", "na", "in", "ti") and (code or macro in ("PD", "ad", "na")):
                continue
            if not (label and not lines):
                flush()
    flush()
    return summary, [part for part in found if part.strip()]


def _name(found: list[str]) -> str:
    """Of "cp - copy files": what stands after the dash."""
    whole = " ".join(" ".join(found).split())
    parts = re.split(r"\s[-–—−]{1,2}\s|\s[-–—]\s?|\s?[－―]\s?", whole, maxsplit=1)
    return parts[1].strip() if len(parts) == 2 else ""
