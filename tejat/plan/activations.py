"""What a compiled step keeps of its forward pass for the backward one, read from its text.

A compiler tells one number for all that stands beside a program's arguments. What layers leave for their gradients is
told apart by who writes it: layers are scanned, a loop of the forward pass fills arrays with what its rounds leave, and
a loop of the backward pass takes them and changes none. All else is temporary: weights as they are gathered, gradients,
what a layer makes again, the scores of a chunk.
"""

import re
from collections import defaultdict

from tejat.plan.collectives import SHAPE, bytes_of, computations_of

_LOOP = re.compile(r"=\s*\((.*?)\)\s+while\(.*body=%?([\w.\-]+)")
_NAMED = re.compile(r'op_name="([^"]*)"')
_TAKEN = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = .*get-tuple-element\(.*index=(\d+)")
_GIVEN = re.compile(r"^\s*ROOT .* tuple\((.*?)\)(?:,|$)")


def held(text: str) -> float:
    """Bytes of a device that wait for the backward pass; of layers outside of loops none are seen."""
    found, _ = computations_of(text)
    total = 0.0
    for lines in found.values():
        left: dict[str, list[str]] = defaultdict(list)  # types of what was written and not yet taken, by shape
        for line in lines:
            if (loop := _LOOP.search(line)) is None:
                continue
            body = found.get(loop[2], [])
            passed = _unchanged(body)
            if passed is None:
                continue
            name = _named(line, body)
            for at, (dtype, shape) in enumerate(SHAPE.findall(loop[1])):
                # A processor's backward loop may take them widened, so that types are not compared.
                if "transpose(" in name and at in passed and left[shape]:
                    total += bytes_of(left[shape].pop(), shape)
                elif "transpose(" not in name and "jvp(" in name and at not in passed and "," in shape:
                    left[shape].append(dtype)
    return total


def _named(line: str, body: list[str]) -> str:
    """What a loop is of; where a compiler has made it anew, and left it without a name, what stands in it is of."""
    if name := _NAMED.search(line):
        return name[1]
    return " ".join(name[1] for each in body if (name := _NAMED.search(each)))


def _unchanged(body: list[str]) -> set[int] | None:
    """Which of a loop's arrays each round hands on as they are. None where the body does not end as loops do."""
    taken = {match[1]: int(match[2]) for line in body if (match := _TAKEN.match(line))}
    for line in body:
        if match := _GIVEN.match(line):
            given = re.findall(r"%([\w.\-]+)", match[1])
            return {at for at, name in enumerate(given) if taken.get(name) == at}
    return None
