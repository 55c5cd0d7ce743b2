"""How much better an answer, or a token of it, was than expected. On the host: these are a few thousand numbers."""

import numpy as np
from jaxtyping import Float

EPSILON = 1e-6
"""Added to deviations: a group whose answers all earn the same teaches nothing."""


def group_relative(rewards: Float[np.ndarray, "G K"], normalise: bool = True) -> Float[np.ndarray, "G K"]:
    """Rewards relative to those of the other answers to the prompt (Shao et al. 2024, GRPO, section 4.1.2).

    Divided by their deviation, or not: that makes prompts that are nearly always or never solved weigh more (Liu et al.
    2025, "Understanding R1-Zero-like training"). Of a single answer to a prompt: zeros.
    """
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    if not normalise or rewards.shape[1] < 2:
        return centred
    return centred / (rewards.std(axis=1, ddof=1, keepdims=True) + EPSILON)


def generalised(
    rewards: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"], discount: float, trace: float
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """(advantages, returns) of one answer's tokens (Schulman et al. 2016, GAE); nothing comes after the last."""
    found = np.zeros(len(rewards))
    next_value = next_advantage = 0.0
    for at in range(len(rewards) - 1, -1, -1):
        surprise = rewards[at] + discount * next_value - values[at]
        found[at] = next_advantage = surprise + discount * trace * next_advantage
        next_value = values[at]
    return found, found + values


def whitened(answers: list[Float[np.ndarray, " n"]]) -> list[Float[np.ndarray, " n"]]:
    """The same with mean zero and deviation one over all tokens of all answers."""
    every = np.concatenate(answers)
    deviation = np.sqrt(every.var(ddof=1) + 1e-8) if len(every) > 1 else 1.0
    return [(mine - every.mean()) / deviation for mine in answers]


def importance(
    trainer: Float[np.ndarray, " n"], sampler: Float[np.ndarray, " n"], most: float
) -> Float[np.ndarray, " n"]:
    """Weights of tokens that another program sampled: the ratio of probabilities, truncated (Ionides 2008).

    Sampler and trainer compute the same model in other shapes and perhaps precisions; without the weights, what is
    meant to be on-policy is not (Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy").
    """
    return np.minimum(np.exp(np.clip(trainer - sampler, -20.0, 20.0)), most)


def steered(weight: float, measured: float, target: float, answers: int, horizon: float = 10_000.0) -> float:
    """The next weight of the divergence, by how far it is from its target (Ziegler et al. 2019, section 2.2)."""
    error = float(np.clip(measured / target - 1.0, -0.2, 0.2))
    return weight * (1.0 + error * answers / horizon)
