"""Measuring a model: tasks with their controls, a harness that resumes, statistics with intervals, a report."""
