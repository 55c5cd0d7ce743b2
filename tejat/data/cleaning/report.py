"""What a step did: records seen, changed and dropped, for which reason, by source and language, with examples."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

EXAMPLES = 5
"""Examples kept for each reason."""

LONGEST = 300
"""Characters of an example."""

Group = tuple[str, str]
"""The source of records and their language; "" where it is not known."""


@dataclass
class Report:
    """The doings of one step, or of the same step over several sources together.

    Attributes:
      step: its name.
      seen: records by group.
      dropped: records by reason and group.
      changed: records by what was changed in them and group; a record may be changed in several ways.
      characters: of text in the records seen and dropped.
      examples: for each reason or change, the first few.
      notes: numbers that are not of records, by name: "e-mail addresses replaced".
    """

    step: str
    seen: Counter[Group] = field(default_factory=Counter)
    dropped: dict[str, Counter[Group]] = field(default_factory=dict)
    changed: dict[str, Counter[Group]] = field(default_factory=dict)
    characters: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)

    def see(self, group: Group, characters: int = 0) -> None:
        """Counts a record that came in."""
        self.seen[group] += 1
        self.characters["seen"] += characters

    def drop(self, reason: str, group: Group, example: str = "", characters: int = 0) -> None:
        """Counts a record that does not go on."""
        self.dropped.setdefault(reason, Counter())[group] += 1
        self.characters["dropped"] += characters
        self._show(reason, group, example)

    def change(self, what: str, group: Group, example: str = "") -> None:
        """Counts a record that goes on otherwise than it came."""
        self.changed.setdefault(what, Counter())[group] += 1
        self._show(what, group, example)

    @property
    def counts(self) -> tuple[int, int]:
        """Records seen and records dropped."""
        return self.seen.total(), sum(found.total() for found in self.dropped.values())

    def shares(self, by: str = "language") -> dict[str, tuple[int, int]]:
        """(seen, dropped) for each language or, with by="source", each source."""
        at = ("source", "language").index(by)
        seen: Counter[str] = Counter()
        dropped: Counter[str] = Counter()
        for group, count in self.seen.items():
            seen[group[at]] += count
        for found in self.dropped.values():
            for group, count in found.items():
                dropped[group[at]] += count
        return {name: (seen[name], dropped[name]) for name in sorted(seen)}

    def merge(self, other: "Report") -> None:
        """Adds what the same step did elsewhere. Raises ValueError for another step's."""
        if other.step != self.step:
            raise ValueError(f"a report of {other.step!r} does not add to one of {self.step!r}")
        self.seen.update(other.seen)
        self.characters.update(other.characters)
        self.notes.update(other.notes)
        for mine, theirs in ((self.dropped, other.dropped), (self.changed, other.changed)):
            for reason, found in theirs.items():
                mine.setdefault(reason, Counter()).update(found)
        for reason, shown in other.examples.items():
            kept = self.examples.setdefault(reason, [])
            kept += shown[: EXAMPLES - len(kept)]

    def to_json(self) -> dict[str, Any]:
        """A value for `json.dumps`: groups are lists [source, language, count]."""

        def listed(found: Counter[Group]) -> list[list]:
            return [[*group, count] for group, count in sorted(found.items())]

        return {
            "step": self.step,
            "seen": listed(self.seen),
            "dropped": {reason: listed(found) for reason, found in self.dropped.items()},
            "changed": {what: listed(found) for what, found in self.changed.items()},
            "characters": dict(self.characters),
            "examples": self.examples,
            "notes": dict(self.notes),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Report":
        def counted(rows: Iterable[list]) -> Counter[Group]:
            return Counter({(source, language): count for source, language, count in rows})

        return cls(
            value["step"],
            counted(value["seen"]),
            {reason: counted(rows) for reason, rows in value["dropped"].items()},
            {what: counted(rows) for what, rows in value["changed"].items()},
            Counter(value["characters"]),
            {reason: list(shown) for reason, shown in value["examples"].items()},
            Counter(value["notes"]),
        )

    def lines(self) -> list[str]:
        """For people: totals, then each reason with its count and examples."""
        seen, dropped = self.counts
        found = [f"{self.step}: {seen:,} seen, {dropped:,} dropped ({dropped / max(seen, 1):.2%})"]
        for mark, kind in (("-", self.dropped), ("~", self.changed)):
            for reason, groups in sorted(kind.items(), key=lambda pair: -pair[1].total()):
                found.append(f"  {mark} {reason}: {groups.total():,}")
                found += [f"      {example}" for example in self.examples.get(reason, [])]
        return found + [f"  = {name}: {count:,}" for name, count in sorted(self.notes.items())]

    def _show(self, reason: str, group: Group, example: str) -> None:
        shown = self.examples.setdefault(reason, [])
        if example and len(shown) < EXAMPLES:
            told = " ".join(example.split())
            told = told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"
            shown.append(f"[{'/'.join(name for name in group if name) or '?'}] {told}")
