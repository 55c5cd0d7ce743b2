"""Post-training: a model that talks is tuned on dialogues, on preferences, and on rewards for its own answers."""
