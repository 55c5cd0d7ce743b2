"""Mathematics as Metamath's databases have it: theorems with what they say, what they assume, and their proofs.

A proof is stored as letters that count steps (Metamath book, appendix B). Here it is unfolded: for every step that uses
an axiom or a theorem, its name, and what it proves, which follows by substitution into that theorem.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tejat.data.corpus.prose import pieces
from tejat.data.corpus.source import Dropped, Paths
from tejat.data.shards import Item

_STEPS = 24  # of a proof that is shown whole; longer ones are named by what they use
_ROUNDS = 400  # steps of a proof, syntax included, that are unfolded

Symbols = tuple[str, ...]


@dataclass
class _Assertion:
    symbols: Symbols
    floating: list[tuple[str, str, str]]  # (label, kind, variable) in order
    essential: list[tuple[str, Symbols]]
    proof: list[str] = field(default_factory=list)
    about: str = ""


def theorems(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """The theorems of set.mm: classical logic, set theory, numbers, analysis, algebra."""
    file = paths["metamath-databases"] / "usr/share/metamath/databases/set.mm"
    for label, theorem, lines in _read(file.read_text(), dropped):
        head = [f"Theorem {label}. {theorem.about}".strip()]
        if theorem.essential:
            head.append("Given: " + " ; ".join(" ".join(symbols[1:]) for _, symbols in theorem.essential))
        head.append("Statement: " + " ".join(theorem.symbols[1:]))
        text = "\n".join([*head, *lines])
        for part in pieces([text]):
            yield Item("text", {"text": part, "language": "zxx", "group": f"metamath/{label}"})


def _read(source: str, dropped: Dropped) -> Iterator[tuple[str, _Assertion, list[str]]]:
    """Theorems in order, each with the lines of its proof."""
    assertions: dict[str, _Assertion] = {}
    hypotheses: dict[str, tuple[str, Symbols]] = {}  # label to ("f" or "e", symbols)
    variables: set[str] = set()
    scopes: list[list[str]] = [[]]  # labels of active hypotheses
    comment, label, tokens = "", "", iter(source.split())
    for token in tokens:
        if token == "$(":
            words = []
            for token in tokens:
                if token == "$)":
                    break
                words.append(token)
            comment = " ".join(words)
        elif token == "${":
            scopes.append([])
        elif token == "$}":
            scopes.pop()
        elif token in ("$c", "$v", "$d"):
            body = list(_until(tokens, "$."))
            if token == "$v":
                variables |= {*body}
        elif token in ("$f", "$e"):
            hypotheses[label] = (token[1], tuple(_until(tokens, "$.")))
            scopes[-1].append(label)
        elif token in ("$a", "$p"):
            symbols = tuple(_until(tokens, "$." if token == "$a" else "$="))
            active = [name for scope in scopes for name in scope]
            essential = [(name, hypotheses[name][1]) for name in active if hypotheses[name][0] == "e"]
            used = {s for s in symbols if s in variables} | {s for _, e in essential for s in e if s in variables}
            floating = [
                (name, *hypotheses[name][1])
                for name in active
                if hypotheses[name][0] == "f" and hypotheses[name][1][1] in used
            ]
            found = assertions[label] = _Assertion(symbols, floating, essential, about=_about(comment))
            comment = ""
            if token == "$p":
                found.proof = list(_until(tokens, "$."))
                if symbols[0] != "|-":
                    continue
                if "(New usage is discouraged.)" in found.about:
                    dropped.drop("theorems whose use the database discourages", label)
                    continue
                lines = _steps(label, found, assertions, hypotheses)
                yield label, found, lines
        else:
            label = token


def _until(tokens: Iterator[str], end: str) -> Iterator[str]:
    for token in tokens:
        if token == end:
            return
        if token == "$(":
            for inner in tokens:
                if inner == "$)":
                    break
            continue
        yield token


def _about(comment: str) -> str:
    """What the comment says, without who contributed and shortened, and without marks of the typesetter."""
    text = re.sub(
        r"\((?:Contributed|Revised|Proof shortened|Proof modification)[^()]*(?:\([^()]*\)[^()]*)*\)", "", comment
    )
    text = re.sub(r"[`~] ?|_(?=\w)|(?<=\w)_", "", text)
    return " ".join(text.split())


def _steps(label: str, theorem: _Assertion, assertions: dict, hypotheses: dict) -> list[str]:
    """The proof as lines "name: what it proves"; or one line of the theorems that a long one uses."""
    proof = theorem.proof
    if not proof or proof[0] != "(" or "?" in proof:
        return []
    end = proof.index(")")
    used, letters = proof[1:end], "".join(proof[end + 1 :])
    uses = [name for name in used if name in assertions and assertions[name].symbols[0] == "|-"]
    brief = [f"The proof uses {', '.join(uses)}."] if uses else []
    if len(letters) > _ROUNDS:
        return brief
    # All variables of set.mm are declared before any assumption, so that this is the order of the frame.
    mandatory = [name for name, *_ in theorem.floating] + [name for name, _ in theorem.essential]
    stack: list[Symbols] = []
    saved: list[Symbols] = []
    lines: list[str] = []
    number = 0
    try:
        for letter in letters:
            if letter == "Z":
                saved.append(stack[-1])
                continue
            if "U" <= letter <= "Y":
                number = number * 5 + ord(letter) - ord("U") + 1
                continue
            at, number = number * 20 + ord(letter) - ord("A"), 0
            if at < len(mandatory):
                stack.append(hypotheses[mandatory[at]][1])
                continue
            at -= len(mandatory)
            if at >= len(used):
                stack.append(saved[at - len(used)])
                continue
            name = used[at]
            if name in hypotheses:
                stack.append(hypotheses[name][1])
                continue
            proved = _applied(assertions[name], stack)
            stack.append(proved)
            if proved[0] == "|-":
                lines.append(f"{name}: {' '.join(proved[1:])}")
    except (IndexError, KeyError, ValueError):
        return brief
    if len(stack) != 1 or stack[0] != theorem.symbols:
        return brief
    return ["Proof:", *lines] if len(lines) <= _STEPS else brief


def _applied(assertion: _Assertion, stack: list[Symbols]) -> Symbols:
    """Takes an assertion's hypotheses off the stack; what it then says."""
    count = len(assertion.floating) + len(assertion.essential)
    given = stack[len(stack) - count :] if count else []
    if len(given) != count:
        raise ValueError("the stack is too short")
    if count:
        del stack[len(stack) - count :]
    substitution = {variable: symbols[1:] for (_, _, variable), symbols in zip(assertion.floating, given, strict=False)}
    for (_, due), symbols in zip(assertion.essential, given[len(assertion.floating) :], strict=True):
        if _substituted(due, substitution) != symbols:
            raise ValueError("what is given is not what the assertion asks for")
    return _substituted(assertion.symbols, substitution)


def _substituted(symbols: Symbols, substitution: dict[str, Symbols]) -> Symbols:
    found: list[str] = []
    for symbol in symbols:
        found += substitution.get(symbol, (symbol,))
    return tuple(found)
