"""Tasks of lm-evaluation-harness on files of the user's own, so that they run offline: YAML, data and metrics."""
