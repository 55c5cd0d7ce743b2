"""Training that survives its machines: a supervisor, heartbeats, copies in memory, and faults that prove it."""
