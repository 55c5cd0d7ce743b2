"""Plans: the real step compiled for hardware that is not here, and what it will need and take there."""
