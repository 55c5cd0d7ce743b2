"""The harness: what it asks, what it keeps, how it goes on after a kill, what its rows say."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tejat import media
from tejat.errors import BadInput
from tejat.evals import harness
from tejat.evals.answering import Answering
from tejat.evals.progress import Progress
from tejat.evals.statistics import proportion
from tejat.evals.tasks import Item, Outcome, some
from tejat.parts import Audio, Image, Text, Turn


def picture(number: int) -> Image:
    return Image(np.full((2, 2, 3), number, np.uint8))


def items(count: int) -> list[Item]:
    """Item n shows grey n, and to name its number is right; two items share a cluster."""
    turns = [(Turn("user", (picture(n), Text("Which?"))),) for n in range(count)]
    return [Item(f"i{n}", f"c{n // 2}", turns[n], (str(n),), chance=0.1) for n in range(count)]


class Reads:
    """Names the grey it sees, draws what it saw, counts what it was asked, and dies when it is told to."""

    def __init__(self, dies_after: int | None = None):
        self.asked: list[int] = []
        self.dies_after = dies_after

    def generate_batch(self, prompts, **options):
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        greys = [
            int(part.pixels[0, 0, 0]) if isinstance(part := prompt[0].parts[0], Image) else -1 for prompt in prompts
        ]
        self.asked += greys
        return [SimpleNamespace(parts=(Text(str(grey)),)) for grey in greys]


def task(count: int = 10, batch: int = 4, name: str = "greys") -> Answering:
    made = Answering("test", name, lambda: items(count))
    made.batch = batch
    return made


def run(model: Reads, out: Path, *tasks: Answering, fingerprint: str = "f", limit: int | None = None):
    return harness.run(model, tasks or [task()], out, fingerprint=fingerprint, limit=limit, stream=io.StringIO())


def test_row(tmp_path: Path) -> None:
    (result,) = run(Reads(), tmp_path)
    row = result.row
    assert (row.suite, row.name, row.metric, row.value, row.n, row.clusters) == (
        "test",
        "greys",
        "exact match",
        1,
        10,
        5,
    )
    assert row.low == pytest.approx(proportion([1.0] * 10, [n // 2 for n in range(10)]).low)
    assert row.chance == pytest.approx(0.1) and row.luck == pytest.approx(1e-10)
    assert row.blanked.value == row.text_only.value == 0.0 and row.difference.value == 1.0
    assert row.verdicts["blanked"].told == "falls to text alone" and row.verdicts["blanked"].above.n == 10
    assert row.mcnemar == pytest.approx(2 * 0.5**10)
    assert row.baseline == 0.1
    assert row.passes  # the low end is past 3 * 0.1, and the blanked value is 0
    told = json.loads(json.dumps(row.to_json(), allow_nan=False))
    assert told["verdicts"]["blanked"]["verdict"] == "falls to text alone" and told["text_only"]["value"] == 0.0


def test_an_even_answer_everywhere_does_not_pass(tmp_path: Path) -> None:
    class Same(Reads):
        def generate_batch(self, prompts, **options):
            return [SimpleNamespace(parts=(Text("3"),)) for _ in prompts]

    (result,) = run(Same(), tmp_path)
    assert result.row.value == result.row.blanked.value == 0.1
    assert result.row.difference.value == 0 and result.row.mcnemar == 1.0
    assert result.row.verdicts["blanked"].told == "does not fall"
    assert result.row.passes is False


def test_nothing_right_does_not_pass_where_nothing_is_right_without_the_picture_either(tmp_path: Path) -> None:
    class Silent(Reads):
        def generate_batch(self, prompts, **options):
            return [SimpleNamespace(parts=(Text("?"),)) for _ in prompts]

    def unguessable() -> list[Item]:
        return [replace(item, chance=0.0) for item in items(10)]

    (result,) = run(Silent(), tmp_path, Answering("test", "greys", unguessable))
    assert result.row.value == result.row.blanked.value == 0 and result.row.passes is False


@pytest.mark.parametrize(
    ("level", "factor", "due"), [(0.0, 3, 0.0), (0.1, 3, 0.3), (0.2, 3, 0.6), (0.5, 3, 0.75), (0.4, 2, 0.7)]
)
def test_bar(level: float, factor: float, due: float) -> None:
    assert harness.bar(level, factor) == pytest.approx(due)


def test_everything_is_asked_once_with_the_senses_and_once_without(tmp_path: Path) -> None:
    model = Reads()
    run(model, tmp_path)
    assert model.asked == [*range(10), *[128] * 10, *[-1] * 10]
    again = Reads()
    run(again, tmp_path)
    assert again.asked == []


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    first, second, whole = Reads(dies_after=7), Reads(), Reads()
    with pytest.raises(KeyboardInterrupt):
        run(first, tmp_path)
    (resumed,) = run(second, tmp_path)
    assert first.asked == [*range(7)] and second.asked == [7, 8, 9, *[128] * 10, *[-1] * 10]
    (result,) = run(whole, tmp_path / "fresh")
    assert resumed.row == result.row and resumed.outcomes == result.outcomes


def test_a_line_cut_short_is_asked_again(tmp_path: Path) -> None:
    run(Reads(), tmp_path)
    path = tmp_path / "samples" / "test.greys.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    model = Reads()
    (result,) = run(model, tmp_path)
    assert model.asked == [-1]
    assert path.read_bytes() == whole and result.row.n == 10


def test_another_model_is_asked_everything(tmp_path: Path) -> None:
    run(Reads(), tmp_path)
    model = Reads()
    run(model, tmp_path, fingerprint="g")
    assert len(model.asked) == 30


def test_a_changed_item_is_asked_again(tmp_path: Path) -> None:
    run(Reads(), tmp_path)
    changed = items(10)
    changed[4] = Item("i4", "c2", changed[4].turns, ("four", "4"))
    model = Reads()
    run(model, tmp_path, Answering("test", "greys", lambda: changed))
    assert model.asked == [4, 128, -1]


def test_limit_then_all(tmp_path: Path) -> None:
    model = Reads()
    (result,) = run(model, tmp_path, limit=3)
    few = model.asked[:3]
    assert model.asked[3:] == [*[128] * 3, *[-1] * 3] and result.row.n == 3 and few == sorted(few)
    run(model, tmp_path, limit=6)  # those three, and three others
    assert len({*model.asked[:3], *model.asked[9:12]}) == 6 and len(model.asked) == 18
    run(model, tmp_path)
    assert sorted(model.asked) == sorted([*range(10), *[128] * 10, *[-1] * 10])


def test_a_limit_takes_from_all_over_a_task() -> None:
    chosen = [int(item.id[1:]) for item in some(tuple(items(240)), 24)]
    assert chosen == sorted(chosen) and len({*chosen}) == 24
    assert all(2 <= sum(low <= n < low + 60 for n in chosen) <= 10 for low in range(0, 240, 60))
    assert some(tuple(items(3)), 9) == tuple(items(3))


def test_samples_are_lines_of_json_with_media_beside_them(tmp_path: Path) -> None:
    class Draws(Reads):
        def generate_batch(self, prompts, **options):
            return [SimpleNamespace(parts=(Text("line\u2028separator"), prompt[0].parts[0])) for prompt in prompts]

    (first,) = run(Draws(), tmp_path, task(2))
    path = tmp_path / "samples" / "test.greys.jsonl"
    lines = [json.loads(line) for line in path.read_text().split("\n")[1:-1]]
    assert [(line["id"], line["control"], line["score"]) for line in lines] == [
        *[("i0", "", 0.0), ("i1", "", 0.0), ("i0", "blanked", 0.0), ("i1", "blanked", 0.0)],
        *[("i0", "text-only", 0.0), ("i1", "text-only", 0.0)],
    ]
    assert (tmp_path / "samples" / "media" / lines[0]["answer"][1]["image"]["file"]).is_file()
    model = Reads()
    (second,) = run(model, tmp_path, task(2))
    assert model.asked == [] and second.outcomes == first.outcomes
    assert second.outcomes["i1"].parts[1] == picture(1)


def test_a_survey_lists_what_cannot_be_measured_and_goes_on(tmp_path: Path) -> None:
    class Blind(Reads):
        def generate_batch(self, prompts, **options):
            raise BadInput("the model 'micro' sees no images")

    tasks = [task(name="greys"), Answering("test", "none", list), Answering("test", "twice", lambda: items(1) * 2)]
    results, not_run = harness.survey(Blind(), tasks, tmp_path, fingerprint="f", stream=io.StringIO())
    assert results == []
    assert [(one.name, one.reason) for one in not_run] == [
        ("greys", "the model 'micro' sees no images"),
        ("none", "the task 'none' has no items; give it material that has some"),
        ("twice", "two items of the task 'twice' have one id; make every id unique"),
    ]
    results, not_run = harness.survey(Reads(), tasks, tmp_path, fingerprint="f", stream=io.StringIO())
    assert [result.row.name for result in results] == ["greys"] and len(not_run) == 2


def test_when_time_is_over_what_is_done_is_kept_and_a_second_run_goes_on(tmp_path: Path, monkeypatch) -> None:
    model, clock = Reads(), SimpleNamespace(now=0.0)
    monkeypatch.setattr(harness.time, "monotonic", lambda: clock.now)
    real = model.generate_batch

    def slow(prompts, **options):
        clock.now += 1
        return real(prompts, **options)

    model.generate_batch = slow  # batches of 4, and of 10 items with two controls there are 8
    kept: list[tuple[int, int]] = []
    some = [task(name=name) for name in ("a", "b", "c")]

    def go(until: float):
        return harness.survey(
            *(model, some, tmp_path),
            fingerprint="f",
            stream=io.StringIO(),
            until=until,
            done=lambda results, not_run: kept.append((len(results), len(not_run))),
        )

    results, not_run = go(until=10)
    assert [result.row.name for result in results] == ["a"] and kept == [(1, 0), (1, 1), (1, 2)]
    assert [one.reason for one in not_run] == [
        "the time was over after 7 of 30 answers; run it again to go on",
        "the time was over before it began; run it again to go on",
    ]
    results, not_run = go(until=100)
    assert [result.row.name for result in results] == ["a", "b", "c"] and not not_run and len(model.asked) == 90


def test_a_task_whose_picture_is_missing_is_not_run_and_its_reason_names_the_file(tmp_path: Path) -> None:
    """And never counted as nought: half of the items are there, and would be answered."""

    def half() -> list[Item]:
        lost = (Turn("user", (media.read_image(tmp_path / "gone.png"), Text("Which?"))),)
        return [*items(5), Item("lost", "lost", lost, ("1",))]

    model = Reads()
    results, not_run = harness.survey(
        model, [Answering("t", "lost", half), task()], tmp_path, fingerprint="f", stream=io.StringIO()
    )
    assert [result.row.name for result in results] == ["greys"] and len(model.asked) == 30
    assert [one.name for one in not_run] == ["lost"] and "gone.png" in not_run[0].reason
    assert not (tmp_path / "samples" / "t.lost.jsonl").exists()


def test_a_task_broken_within_is_told_by_its_kind_and_a_fault_of_ours_is_not_hidden(tmp_path: Path) -> None:
    def broken():
        raise ValueError("row 3 has no answer")

    def incomplete():
        return [Item("a", "a", (Turn("user", (Text({}["question"]),)),), ("b",))]

    class Full(Reads):
        def generate_batch(self, prompts, **options):
            raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")

    tasks = [Answering("t", "bad", broken), Answering("t", "incomplete", incomplete), task()]
    _, found = harness.survey(Full(), tasks, tmp_path, fingerprint="f", stream=io.StringIO())
    assert [one.reason for one in found] == [
        "ValueError: row 3 has no answer",
        "KeyError: 'question'",
        "RuntimeError: RESOURCE_EXHAUSTED: out of memory",
    ]

    class Faulty(Reads):
        def generate_batch(self, prompts, **options):
            raise AttributeError("ours")

    with pytest.raises(AttributeError):
        harness.survey(Faulty(), [task()], tmp_path, fingerprint="f", stream=io.StringIO())


def test_controls_shuffled_and_tags_in_rows(tmp_path: Path) -> None:
    """A model that hears only where the loud part of a sound is, of two places."""

    class Hears:
        def generate_batch(self, prompts, **options):
            said = []
            for prompt in prompts:
                heard = prompt[0].parts[0]
                samples = np.abs(heard.samples if isinstance(heard, Audio) else np.zeros(2))
                half = len(samples) // 2
                said.append("first" if samples[:half].sum() > samples[half:].sum() else "second")
            return [SimpleNamespace(parts=(Text(text),)) for text in said]

    def sounds() -> list[Item]:
        made = []
        for n in range(40):
            samples = np.zeros(400, np.float32)
            samples[(n % 2) * 200 : (n % 2) * 200 + 200] = 0.5
            turns = (Turn("user", (Audio(samples), Text("Where?"))),)
            answer = ("first", "second")[n % 2]
            made.append(Item(f"s{n}", f"s{n}", turns, (answer,), chance=0.5, tags={"half": answer}))
        return made

    heard = Answering("test", "halves", sounds).with_(ways=("blanked", "shuffled"))
    (result,) = harness.run(Hears(), [heard], tmp_path, fingerprint="f", stream=io.StringIO())
    row = result.row
    assert row.value == 1.0 and row.blanked.value == 0.5 and 0.2 < row.shuffled.value < 0.8
    assert row.order_adds.value == pytest.approx(1 - row.shuffled.value)
    assert {name: (one.value, one.n) for name, one in row.by["half"].items()} == {
        "first": (1.0, 20),
        "second": (1.0, 20),
    }
    told_of = {way: one.told for way, one in row.verdicts.items()}
    assert told_of == {"blanked": "falls to text alone", "shuffled": "falls to text alone"}
    told = json.loads(json.dumps(row.to_json(), allow_nan=False))
    assert told["by"]["half"]["first"]["n"] == 20 and told["asked"].startswith("the turns alone")
    (again,) = harness.run(None, [heard], tmp_path, fingerprint="f", stream=io.StringIO())
    assert again.row == row


def test_details_are_kept(tmp_path: Path) -> None:
    class Counting(Answering):
        def measure(self, model, items):
            return [Outcome(1.0, (), 1.0, {"votes": {"a": n}}) for n, _ in enumerate(items)]

    counting = Counting("test", "votes", lambda: items(3)).with_(ways=())
    (first,) = harness.run(None, [counting], tmp_path, fingerprint="f", stream=io.StringIO())
    (second,) = harness.run(None, [counting], tmp_path, fingerprint="f", stream=io.StringIO())
    assert second.outcomes == first.outcomes and first.outcomes["i2"].detail == {"votes": {"a": 2}}


def test_fingerprint_sees_weights_and_not_other_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    first = harness.fingerprint(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    assert harness.fingerprint(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert harness.fingerprint(tmp_path) != first


def test_progress_is_plain_lines_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tejat.evals.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = Progress("greys", 100, done=20, stream=stream)
    for seconds, count in [(1, 10), (9, 10), (1, 0), (9, 60)]:
        now[0] += seconds
        progress.advance(count)
    # After 10 s 20 of the 80 that were due are done: 2 a second, 60 left. What was done before does not count.
    assert stream.getvalue().splitlines() == ["greys: 40/100, 2/s, 30 s left", "greys: 100/100, 4/s, 20 s"]


def test_progress_renews_one_line_in_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    Progress("greys", 2, stream=stream).advance(2)
    assert re.fullmatch(r"\r\x1b\[Kgreys: 2/2, \S+/s, 0 s\n", stream.getvalue())
