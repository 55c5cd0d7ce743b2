"""Inference: what may be written, how it is chosen, and the engine that writes, scores and embeds in batches."""
