"""Cleaning: steps over a stream of records, each a plain object with one call and a report of what it dropped and why.

A record is an `Item` or a `Document`. `step(records, source)` yields those that stay, perhaps changed, in order; it
holds a few hundred of them at most, and its class says what else grows. `step.report` tells the rest.

    step                          a record's …            drops or changes
    language.Language             running text            gives it its language; takes untranslated paragraphs out
    private.Private               every text              replaces addresses, numbers and keys by marks
    safety.Safety                 every text              pornography, abuse, hate, harm, by lists
    quality.Heuristics            running text            what is no prose, by rules
    learned_quality.Quality       running text            what a classifier takes for no prose
    captions.Captions             media                   media without a word
    sounds.Sounds                 sounds                  damaged, empty, silent
    pictures.Pictures             pictures                damaged, of absurd shape, blank
    contamination.Contamination   texts and pictures      what has a question or picture of an evaluation in it
    duplicates.Exact              the whole               what was there before
    duplicates.Near               running text            what nearly was
    pictures.NearPictures         pictures                what nearly was
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from tejat.data.cleaning.records import Record
from tejat.data.cleaning.report import Report

Step = Callable[..., Iterator[Record]]
"""`step(records, source="")`, with `step.report`."""


def clean(records: Iterable[Record], steps: Sequence[Step], source: str = "") -> Iterator[Record]:
    """What is left of the records after all steps, in their order."""
    for step in steps:
        records = step(records, source)
    return iter(records)


__all__ = ["Record", "Report", "Step", "clean"]
