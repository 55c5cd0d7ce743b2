"""A program: answers of a bundle on one device and cut over two, as JSON. python on_two_devices.py DIR"""

import json
import sys
from pathlib import Path

from tejat import bundle
from tejat.infer.options import Options
from tejat.infer.parallel import mesh_of
from tejat.infer.pieces import joined
from tejat.infer.service import Service
from tejat.parts import Text, Turn

model = bundle.load(Path(sys.argv[1]))
prompts = [model.framing.prompt([Turn("user", (Text("star " * n),))]) for n in (1, 5, 60)]
found = []
for mesh in (None, mesh_of("tensor=2", model.config)):
    with Service(model, slots=2, mesh=mesh, warm=mesh is not None) as service:
        wish = Options(max_tokens=16, picture_temperature=0.0)
        tickets = [service.submit(prompt, wish) for prompt in prompts]
        answers = [joined(list(ticket)) for ticket in tickets]
        alone = joined(list(service.submit(prompts[0], wish)))
        found.append(
            {
                "tokens": [answer.tokens.tolist() for answer in answers],
                "logprobs": [answer.logprobs.tolist() for answer in answers],
                "alone": [bool((getattr(alone, n) == getattr(answers[0], n)).all()) for n in ("tokens", "logprobs")],
                "cut": str(service.params["decoder"]["embedding"].sharding.spec) if mesh else "",
                "shard": list(service.params["decoder"]["embedding"].addressable_shards[0].data.shape),
            }
        )
print(json.dumps(found))
