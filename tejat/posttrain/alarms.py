"""Signs that a policy is no longer worth training, looked for before anything is learnt from its answers."""

import math
from collections.abc import Sequence

from tejat.posttrain.loop import Collapsed
from tejat.posttrain.recipe import Rlhf


def look(recipe: Rlhf, rewards: Sequence[float], divergence: float, entropy: float, step: int) -> None:
    """Raises Collapsed, saying why, for a reward that is no number, or a policy too far off, too sure or too unsure.

    `divergence` and `entropy` are means over the tokens of answers, in nats.
    """
    wrong = [reward for reward in rewards if not math.isfinite(reward)]
    if wrong:
        raise Collapsed(f"{len(wrong):,} of {len(rewards):,} rewards of step {step} are no numbers ({wrong[0]})")
    if not (math.isfinite(divergence) and math.isfinite(entropy)):
        raise Collapsed(f"the policy of step {step} computes no numbers: divergence {divergence}, entropy {entropy}")
    if divergence > recipe.most_kl:
        told = f"{divergence:.3g} nats a token from the first model, and {recipe.most_kl:g} are the most"
        raise Collapsed(f"the policy of step {step} is {told}; raise kl, or lower schedule.peak")
    if entropy < recipe.least_entropy:
        told = f"{entropy:.3g} nats a token, and {recipe.least_entropy:g} are the least"
        raise Collapsed(f"the policy of step {step} has an entropy of {told}; set entropy, or lower schedule.peak")
    if entropy > recipe.most_entropy:
        told = f"{entropy:.3g} nats a token, and {recipe.most_entropy:g} are the most"
        raise Collapsed(f"the policy of step {step} has an entropy of {told}; lower schedule.peak")
