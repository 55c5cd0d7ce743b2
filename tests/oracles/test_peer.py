"""The peer that `benchmarks/peers.py` measures is the same network: its loss and gradient are ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tejat.data.packing import Batch
from tejat.model import family, multimodal
from tejat.model.params import initialise
from tejat.train import objective, speed

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("document", [0, 40])
def test_loss_and_gradient_are_those_of_our_decoder(document, monkeypatch):
    import peer_torch
    import peers

    config = speed.bare(family.preset("micro"))
    params = initialise(multimodal.params(config), 0)
    random = np.random.default_rng(0)
    tokens = random.integers(0, config.decoder.vocabulary, (2, 200))
    segments = 1 + np.cumsum(random.random((2, 200)) < (1 / document if document else 0), axis=1)
    positions = np.broadcast_to(np.arange(200), (2, 200))  # along the row: what counts is how far apart two are
    inputs = multimodal.Inputs(tokens, tokens * 0 - 1, positions, segments, tokens * 0, None)
    at, ones = np.broadcast_to(np.arange(200), (2, 200)), np.ones((2, 200), np.float32)
    batch = jax.tree.map(jnp.asarray, Batch(inputs, at, np.roll(tokens, -1, 1), ones, tokens * 0))
    (loss, _), gradient = jax.value_and_grad(lambda p: objective.loss(p, config, batch), has_aux=True)(params)

    described, decoder = peers.described("micro"), params["decoder"]
    model = peer_torch.Decoder(described)
    counts = {"sliding": 0, "full": 0}
    with torch.no_grad():
        model.embedding.copy_(torch.tensor(np.asarray(decoder["embedding"])))
        for block in model.blocks:
            kind = "full" if block.full else "sliding"
            ours = jax.tree.map(lambda a, at=counts[kind]: np.asarray(a[at]), decoder["blocks"][kind])
            counts[kind] += 1
            for name, value in weights(ours).items():
                block.get_parameter(name).copy_(torch.tensor(value))
    how = {"document": document, "attention": "flex"}
    attends = peer_torch.attentions(described, how, torch.tensor(segments), torch.device("cpu"))
    width = described["head_width"]
    ropes = {
        "sliding": peer_torch.tables(200, width, described["sliding_base"], 1.0, "cpu"),
        "full": peer_torch.tables(200, width, described["full_base"], described["full_rotated"], "cpu"),
    }
    # In float32, where the benchmark has bfloat16.
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)
    ropes = {kind: tuple(table.float() for table in pair) for kind, pair in ropes.items()}
    wide = torch.tensor(tokens)
    found = model(wide, wide.roll(-1, 1), ropes, attends, False, 150, False)
    found.backward()
    # Its rotations were rounded to bfloat16.
    assert float(found) == pytest.approx(float(loss), rel=2e-3)
    theirs, mine = model.embedding.grad.numpy(), np.asarray(gradient["decoder"]["embedding"])
    assert np.linalg.norm(theirs - mine) < 0.03 * np.linalg.norm(mine)


def weights(ours: dict) -> dict[str, np.ndarray]:
    """Our names and shapes as the peer's."""
    d = ours["q"].shape[0]
    found = {name: ours[name].reshape(d, -1).T for name in ("q", "k", "v")} | {"o": ours["o"].reshape(-1, d).T}
    found |= {name: ours[name].T for name in ("gate", "up", "down")}
    found |= {name: ours[name] for name in ("q_norm", "k_norm", "scalar")}
    norms = ("attention_norm", "post_attention_norm", "mlp_norm", "post_mlp_norm")
    return found | {f"norms.{i}": ours[name] for i, name in enumerate(norms)}
