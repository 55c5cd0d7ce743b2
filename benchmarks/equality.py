"""Is an answer the same, to the bit, alone and in any company?

    python benchmarks/equality.py mini                      # as `tejat serve` runs it
    python benchmarks/equality.py mini --engine jax --orders 20

64 prompts of different lengths, some with images, sounds and films, some with a beginning in common (cache hits), some
with a JSON schema, most greedy: each alone, without a cache of beginnings; then all at once in so many orders, six of
them cancelled on the way. What is written must be the same tokens with the same bits of their log-probabilities. At the
end one JSON object, and exit code 1 unless all are the same.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tejat import bundle
from tejat.cli import default_model
from tejat.codecs.framing import Encoded
from tejat.infer.onnx_model import OnnxModel
from tejat.infer.options import Options
from tejat.infer.pieces import Piece, joined
from tejat.infer.service import Service
from tejat.parts import Audio, Image, Part, Text, Turn, Video

COUNT, CANCELLED = 64, 6
SCHEMA = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
SYSTEM = Turn("system", (Text("You answer in few words. " * 18),))
WORDS = ("star", "lion", "twins", "see", "the", "what")


def requests(framing: Any, tokens: int) -> list[tuple[Encoded, Options]]:
    """Every fourth has a medium, every third a beginning in common; every eighth is sampled, every sixteenth JSON."""
    random = np.random.default_rng(5)
    images = [Image(random.integers(0, 256, (64 + 16 * n, 96, 3), np.uint8)) for n in range(3)]
    sound = Audio(random.uniform(-0.5, 0.5, 9_000).astype(np.float32))
    film = Video(random.integers(0, 256, (2, 32, 48, 3), np.uint8), (0.0, 0.5), sound)
    media: list[Part] = [*images, sound, film]
    made = []
    for n in range(COUNT):
        said: tuple[Part, ...] = (Text(" ".join(random.choice(WORDS, int(random.integers(1, 90))))),)
        if n % 4 == 3:
            said = (media[n // 4 % len(media)], *said)
        turns = (*((SYSTEM,) if n % 3 == 0 else ()), Turn("user", said))
        structured = n % 16 == 5
        made.append(
            (
                framing.prompt(turns),
                Options(
                    max_tokens=tokens,
                    temperature=0.8 if n % 8 == 7 else 0.0,
                    picture_temperature=0.0,
                    seed=n,
                    pictures=n % 5 == 4 and not structured,
                    json_schema=SCHEMA if structured else None,
                ),
            )
        )
    return made


def compared(service: Service, asked: list[tuple[Encoded, Options]], alone: list[Piece], random: Any) -> dict[str, int]:
    """One order: the answers, those that were cut short, and those whose tokens, and whose bits, are the same."""
    gone = set(random.choice(len(asked), CANCELLED, replace=False).tolist())
    tickets = [(n, service.submit(*asked[n])) for n in random.permutation(len(asked)).tolist()]
    found = {"answers": 0, "cancelled": 0, "same_tokens": 0, "same_bits": 0}
    for n, ticket in tickets:
        pieces = []
        for piece in ticket:
            pieces.append(piece)
            if n in gone:
                ticket.cancel()
        answer = joined(pieces)
        count = len(answer.tokens)
        whole = answer.finish_reason != "cancelled"
        found["answers"] += 1
        found["cancelled"] += not whole
        same = answer.tokens.tolist() == alone[n].tokens[:count].tolist()
        found["same_tokens"] += same and (not whole or count == len(alone[n].tokens))
        found["same_bits"] += np.array_equal(answer.logprobs, alone[n].logprobs[:count])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Answers alone and in company, to the bit.")
    parser.add_argument("model", help="a directory, or the name of a model that comes with Tejat")
    parser.add_argument("--engine", choices=("jax", "onnx"), help="default: as `tejat serve` would choose")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=24, help="of an answer, at most")
    parser.add_argument("--orders", type=int, default=20)
    options = parser.parse_args()
    directory = default_model.directory(options.model)
    export = default_model.export(directory, options.engine)
    onnx = None if export is None else OnnxModel(export)
    model = bundle.load(directory) if onnx is None else onnx.bundle
    asked = requests(model.framing, options.tokens)
    wanted = {"slots": options.slots, "queue": 10 * COUNT, "context": 1024, "onnx": onnx}
    with Service(model, prefix_bytes=0, **wanted) as service:
        alone = [joined(list(service.submit(*request))) for request in asked]
    print(f"alone: {len({tuple(one.tokens.tolist()) for one in alone})} different answers", file=sys.stderr, flush=True)
    random, total, began = np.random.default_rng(1), dict[str, int](), time.monotonic()
    with Service(model, **wanted) as service:
        for order in range(options.orders):
            for name, count in compared(service, asked, alone, random).items():
                total[name] = total.get(name, 0) + count
            print(f"order {order + 1}, {time.monotonic() - began:.0f} s: {total}", file=sys.stderr, flush=True)
        cached = service.stats().cached_tokens
    different = len({tuple(one.tokens.tolist()) for one in alone})
    engine = "jax" if onnx is None else "onnx"
    found = {"model": Path(options.model).name, "engine": engine, "orders": options.orders, **total}
    print(json.dumps(found | {"cached_tokens": cached, "different_answers": different}))
    return int(not total["answers"] == total["same_tokens"] == total["same_bits"])


if __name__ == "__main__":
    sys.exit(main())
