"""Machines that lie: corruption of numbers found, the bad device named, and the run brought back to a clean state."""
