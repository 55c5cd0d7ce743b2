"""The report as a browser reads it: whole, escaped, self-contained, and showing what it was given."""

import base64
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from tejat import media
from tejat.errors import BadInput
from tejat.evals import charts, embed, plots, report
from tejat.evals.answering import Answering, Depicting, Ending
from tejat.evals.gallery import confusions, gallery
from tejat.evals.harness import Result, Row
from tejat.evals.neighbours import Neighbours
from tejat.evals.report import Gallery, Report, Sample, Section, Table
from tejat.evals.statistics import Estimate
from tejat.evals.tasks import Item, Outcome
from tejat.evals.verdicts import Verdict
from tejat.parts import Audio, Image, Text, Turn, Video

RANDOM = np.random.default_rng(0)
PICTURE = Image(RANDOM.integers(0, 256, (40, 60, 3), dtype=np.uint8))
SOUND = Audio((0.5 * np.sin(np.arange(16_000) / 10)).astype(np.float32))
CLIP = Video(RANDOM.integers(0, 256, (9, 16, 16, 3), dtype=np.uint8), tuple(n / 4 for n in range(9)), SOUND)
EVIL = '</script><script>alert("x")</script>&<b>\u202e'


def row(name: str = "caption", **changes) -> Row:
    given = dict(suite="sample", name=name, metric="exact match", better="higher", kind="proportion")
    given |= dict(value=0.75, stderr=0.05, low=0.65, high=0.85, n=80, clusters=80, chance=0.1)
    given |= dict(blanked=Estimate(0.125, 0.03, 0.07, 0.2, 80, 80), difference=Estimate(0.625, 0.05, 0.5, 0.75, 80, 80))
    return Row(**given | dict(baseline=0.05, baseline_is="always “cat”", passes=True) | changes)


class Page(HTMLParser):
    """Checks that every tag is closed where it should be, and gathers addresses and text."""

    VOID = {"meta", "link", "img", "br", "line", "circle", "rect", "path", "polyline", "polygon"}

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.said = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.said += data

    def addresses(self) -> list[str]:
        return [attrs[key] for _, attrs in self.tags for key in ("src", "href", "data", "poster") if key in attrs]


def log(folder: Path, steps: int = 200) -> Path:
    path = folder / "log.jsonl"
    lines = [
        {"step": s, "text_loss": 5 - s / 100, "picture_loss": 6.0, "rate": 1e-3, "note": "x", "tokens_per_s": 2e4}
        for s in range(1, steps + 1)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 201, "text_lo')
    return path


def everything(folder: Path) -> Report:
    samples = [
        Sample((PICTURE, Text(EVIL)), (Text(EVIL),), expected=EVIL, right=False, blanked=EVIL, note=EVIL),
        Sample((SOUND,), (Text("volcano"),), expected="volcano", right=True),
        Sample((CLIP, Text("What moves?")), (), expected="a cat", right=False, blanked=""),
        Sample((Text("Draw a cat"),), (PICTURE,), right=True, nearest=Image(PICTURE.pixels[::-1])),
        Sample((Text("Once upon"),), (Text(" a time"),), continues=True),
    ]
    prose = row(
        "prose", kind="ratio", better="lower", metric="bits per byte", value=2.5, low=2.4, high=2.6, chance=None
    )
    return Report(
        title=EVIL,
        summary=EVIL,
        facts=[("command", EVIL), (EVIL, "2 cores")],
        rows=[row(), row(EVIL, metric=EVIL, baseline_is=EVIL, passes=False, clusters=16), prose],
        log=log(folder),
        galleries=[Gallery(EVIL, samples, 80, 61, [("dog", EVIL, 3), ("cat", "", 2)], EVIL)],
        sections=[Section(EVIL, [EVIL, Table([EVIL, "n"], [[EVIL, "3"]]), Gallery("words", samples[4:], 1)])],
    )


def test_page_is_whole_escaped_and_self_contained(tmp_path: Path) -> None:
    report.write(everything(tmp_path), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not any(tag in ("script", "iframe", "object", "embed", "base") for tag, _ in page.tags)
    assert all(address.startswith("data:") for address in page.addresses())
    assert not re.search(r"https?://|@import|url\(", text)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert page.said.count(EVIL) >= 15  # wherever it was given it is shown, letter for letter
    assert "‪" not in text and 'name="viewport"' in text and "prefers-color-scheme: dark" in text


def test_numbers_beside_the_main_one_have_intervals_too() -> None:
    of = Estimate(0.25, 0.02, 0.2, 0.3, 99, 99)
    made = row(remarks={"BLEU": of, "threshold": "0.50"}, by={"language": {"de": of, "en": of}})
    said = Page(report.render(Report("parts", rows=[made]))).said
    assert said.count("0.200 – 0.300± 0.02099") == 3 and "threshold0.50" in said
    assert "0.650 – 0.850± 0.050" in said and "± is one standard error" in said
    told = made.to_json()["remarks"]
    assert told["threshold"] == "0.50" and told["BLEU"]["n"] == 99 and json.dumps(told)


def test_how_it_was_asked_is_set_as_text_is() -> None:
    made = row(asked="the turns alone", contamination="held out", shuffled=Estimate(0.1, 0.01, 0.1, 0.2, 9, 9))
    page = Page(report.render(Report("words", rows=[made])))
    assert [attrs.get("class") for tag, attrs in page.tags if tag == "table"] == ["results", "words"]
    assert "± is one standard error" in page.said and "Shuffled: " in page.said


def test_every_control_has_its_verdict_and_what_it_means() -> None:
    above = Estimate(0.025, 0.01, 0.005, 0.045, 80, 80)
    verdicts = {"blanked": Verdict(above, "stays above text alone")}
    said = Page(report.render(Report("c", rows=[row(text_only=above._replace(value=0.1), verdicts=verdicts)]))).said
    assert "sample captionblanked+0.0250.005 – 0.04580stays above text alone" in said
    assert "what is left of the medium still tells something" in said and "was not needed" not in said


def test_page_shows_the_numbers(tmp_path: Path) -> None:
    said = Page(report.render(everything(tmp_path))).said
    for number in ("0.750", "0.650 – 0.850", "0.100", "0.125", "+0.625", "+0.500 … +0.750", "0.050", "in 16 clusters"):
        assert number in said
    assert "the first 5 of 80; of all, 61 right" in said
    assert "dog taken for" in said and "taken for nothing ×2" in said
    assert "text loss, nats per token" in said and "tokens per s" in said and "note" not in said.replace("nothing", "")
    assert "✗" in said and "✓" in said


def test_media_on_the_page_are_those_given(tmp_path: Path) -> None:
    page = Page(report.render(everything(tmp_path)))
    found = {
        kind: [a.partition(",")[2] for a in page.addresses() if a.startswith(f"data:{kind}")]
        for kind in ("image", "audio")
    }
    decoded = [np.asarray(pillow.open(io.BytesIO(base64.b64decode(data)))) for data in found["image"]]
    for pixels in (PICTURE.pixels, PICTURE.pixels[::-1], CLIP.frames[0], CLIP.frames[-1]):
        assert any(np.array_equal(pixels, each) for each in decoded)
    sound = media.read_audio(base64.b64decode(found["audio"][0]))
    np.testing.assert_allclose(sound.samples, SOUND.samples, atol=1e-4)


def test_one_table_for_each_measure() -> None:
    bits = [row(name, kind="ratio", better="lower", metric="bits per byte", value=2.0) for name in ("en", "de")]
    page = Page(report.render(Report("tables", rows=[bits[0], row("caption"), bits[1], row("fact", metric="match")])))
    assert [tag for tag, _ in page.tags].count("table") == 2
    assert "Bits per byte, lower is better." in page.said and "Share of items, higher is better." in page.said


def test_an_empty_report_is_a_page() -> None:
    assert Page(report.render(Report("nothing yet"))).said.split() == ["nothing", "yet", "Tejatnothing", "yet"]


def test_empty_lines_are_counted() -> None:
    sample = Sample((Text("Go on."),), (Text("a\n\nb" + "\n" * 9 + "c"),))
    page = Page(report.render(Report("lines", galleries=[Gallery("words", [sample], 1, right=0)])))
    assert "a\n\nb\n⏎ × 9\nc" in page.said and "all 1, 0 right" in page.said


def test_an_unknown_interval_is_said() -> None:
    one = row(low=-np.inf, high=np.inf, kind="mean", n=1, clusters=1, blanked=None, difference=None)
    assert "unknown" in Page(report.render(Report("one", rows=[one]))).said


def test_large_pictures_and_long_sounds_are_reduced() -> None:
    large = embed.picture(Image(np.zeros((500, 1000, 3), np.uint8)))
    assert 'width="384" height="192"' in large
    long = embed.html(Audio(np.zeros(16_000 * 60, np.float32)))
    assert "60.0 s, the first 30 here" in long
    data = re.search(r"base64,([^\"]*)", long)[1]
    assert media.read_audio(base64.b64decode(data)).seconds == pytest.approx(30)


def test_strip_has_the_first_and_the_last_frame() -> None:
    assert re.findall(r"<small>(.*?)</small>", embed.html(CLIP))[:-1] == [
        "0.0 s",
        "0.5 s",
        "0.8 s",
        "1.2 s",
        "1.5 s",
        "2.0 s",
    ]
    short = Video(CLIP.frames[:1], (0.0,))
    assert re.findall(r"<small>(.*?)</small>", embed.html(short)) == ["0.0 s"]


def marks(svg: str) -> dict[str, dict[str, str]]:
    return {each.get("class"): each.attrib for each in ElementTree.fromstring(svg)}


def test_bar_marks_stand_where_their_numbers_are() -> None:
    found = marks(charts.interval(row(), 1.0))

    def number(x: str) -> float:
        return (float(x) - charts.MARGIN) / (charts.WIDTH - 2 * charts.MARGIN)

    assert number(found["value"]["cx"]) == pytest.approx(0.75, abs=1e-3)
    assert number(found["interval"]["x"]) == pytest.approx(0.65, abs=1e-3)
    assert float(found["interval"]["width"]) == pytest.approx(0.2 * (charts.WIDTH - 2 * charts.MARGIN), abs=0.1)
    assert number(found["chance"]["x1"]) == pytest.approx(0.1, abs=1e-3)
    assert number(found["blanked"]["cx"]) == pytest.approx(0.125, abs=1e-3)


@pytest.mark.parametrize(("high", "end"), [(2.6, 3.0), (4.9, 5.0), (7.2, 8.0), (0.31, 0.4), (10.0, 10.0)])
def test_scale_ends_at_a_round_number(high: float, end: float) -> None:
    given = row(kind="ratio", value=high * 0.9, low=high * 0.8, high=high, blanked=None, baseline=None)
    assert charts.scale_end([given]) == pytest.approx(end)
    assert charts.scale_end([row()]) == 1.0


def test_panel_draws_the_curve_downhill(tmp_path: Path) -> None:
    losses = plots.curves(log(tmp_path))
    figure = charts.panel(losses[0])
    points = re.search(r'class="curve" points="([^"]*)"', figure)[1].split()
    x, y = zip(*(map(float, point.split(",")) for point in points), strict=True)
    assert list(x) == sorted(x) and y[0] < y[-1]  # SVG counts down the page
    flat = charts.panel(losses[1])
    assert "NaN" not in flat and "inf" not in flat


def test_curves_skip_what_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = [
        '{"step": 1, "rate": 1, "text_loss": 3.0}',
        "[1]",
        "half {",
        '{"text_loss": 9}',
        '{"step": 2, "text_loss": NaN}',
    ]
    path.write_text("\n".join([*lines, '{"step": 3, "text_loss": 2, "done": true, "name": "x"}']))
    assert plots.curves(path) == [("text_loss", [1, 3], [3.0, 2]), ("rate", [1], [1])]
    with pytest.raises(BadInput, match="cannot be read"):
        plots.curves(tmp_path / "none.jsonl")


def test_smoothing_does_not_lag() -> None:
    line = [3.0 * n for n in range(300)]
    assert plots.smooth(line)[:-15] == pytest.approx(line[:-15])
    noise = RANDOM.normal(size=3000)
    assert np.std(plots.smooth(noise)[200:]) < 0.15


def test_loss_plot_has_a_panel_for_each_modality(tmp_path: Path) -> None:
    plots.loss_plot(log(tmp_path), tmp_path / "two.png")
    (tmp_path / "one.jsonl").write_text('{"step": 1, "text_loss": 3.0}\n{"step": 2, "text_loss": 2.0}\n')
    plots.loss_plot(tmp_path / "one.jsonl", tmp_path / "one.png")
    two, one = (pillow.open(tmp_path / name) for name in ("two.png", "one.png"))
    assert two.width == 2 * one.width and two.height == one.height
    (tmp_path / "one.jsonl").write_text('{"step": 1, "rate": 3.0}\n')
    with pytest.raises(BadInput, match="no losses"):
        plots.loss_plot(tmp_path / "one.jsonl", tmp_path / "none.png")


def result() -> Result:
    said = ["dog", "The dog", "cat", "", "", "cow", "dog"]
    items = tuple(
        Item(f"i{n}", "c", (Turn("user", (PICTURE, Text("What?"))),), (answer,))
        for n, answer in enumerate(["cat", "cat", "cat", "cow", "cow", "cow", "owl"])
    )
    scores = [0, 0, 1, 0, 0, 1, 0]
    outcomes = {i.id: Outcome(float(s), (Text(t),)) for i, s, t in zip(items, scores, said, strict=True)}
    blind = {i.id: Outcome(0.0, (Text("fox"), PICTURE)) for i in items}
    return Result(Answering("sample", "animals", list), row("animals"), items, outcomes, {"blanked": blind})


def test_gallery_takes_the_first_in_order() -> None:
    made = gallery(result(), first=3)
    assert (made.title, made.total, made.right) == ("animals", 7, 2)
    assert [(s.answer[0].text, s.right, s.expected) for s in made.samples] == [
        *[("dog", False, "cat"), ("The dog", False, "cat"), ("cat", True, "cat")]
    ]
    assert made.samples[0].prompt == (PICTURE, Text("What?")) and made.samples[0].blanked == "fox [a picture]"


def test_confusions_are_those_that_come_again() -> None:
    assert confusions(result()) == [("cat", "dog", 2), ("cow", "", 2)]


def shades() -> Neighbours:
    plain = {name: Image(np.full((32, 32, 3), shade, np.uint8)) for name, shade in [("black", 0), ("grey", 100)]}
    half = np.zeros((32, 32, 3), np.uint8)
    half[:, :16] = 255
    return Neighbours(plain | {"half": Image(half)})


def test_nearest_is_the_picture_with_the_same_things_in_the_same_places() -> None:
    neighbours = shades()
    assert neighbours.nearest(Image(np.full((64, 48, 3), 120, np.uint8))) == "grey"
    assert neighbours.nearest(Image(neighbours.pictures["half"].pixels // 4 * 3 + 30)) == "half"


def test_gallery_of_drawings_shows_the_nearest_and_counts_what_was_drawn_instead() -> None:
    task = Depicting("s", "draw", list, shades)
    items = tuple(Item(f"i{n}", "c", (Turn("user", (Text("Draw it."),)),), ("half",)) for n in range(4))
    grey = Image(np.full((8, 8, 3), 110, np.uint8))
    answers = [(grey,), (Text("half"), grey), (shades().pictures["half"],), (Text("half"),)]
    outcomes = {i.id: Outcome(float(task.judge(a, i)), a) for i, a in zip(items, answers, strict=True)}
    assert [outcome.score for outcome in outcomes.values()] == [0, 0, 1, 0]
    made = gallery(Result(task, row("draw"), items, outcomes, {}))
    assert made.confusions == [("half", "grey", 2)]
    assert made.samples[0].nearest == shades().pictures["grey"] and made.samples[3].nearest is None


def test_confusions_of_endings_are_the_endings() -> None:
    items = [Item(f"i{n}", "c", (), (answer,)) for n, answer in enumerate(["moves left", "moves left", "spins"])]
    task = Ending("s", "motion", lambda: items)
    said = ["The cat spins", "a dog spins.", "The cat moves"]
    outcomes = {i.id: Outcome(0.0, (Text(text),)) for i, text in zip(items, said, strict=True)}
    assert confusions(Result(task, row("motion"), tuple(items), outcomes, {})) == [("moves left", "spins", 2)]
