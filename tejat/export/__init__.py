"""Models to and from the formats of other engines."""
