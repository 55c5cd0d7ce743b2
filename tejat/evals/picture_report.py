"""A report on image tokenizers: what they keep of held-out pictures, by kind, beside WebP and AVIF at equal bytes.

Nothing is chosen: pictures are taken at even distances of what is held out, and the sheet shows the first of them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from tejat.codecs.image import fitted, resize
from tejat.codecs.picture import PictureCodec
from tejat.data import rasters
from tejat.data.corpus.media_concepts import HELD_OUT_FAMILIES, STYLES
from tejat.evals import legibility, picture_rivals, picture_sheets
from tejat.evals.picture_classifier import Classifier, frechet, look
from tejat.evals.picture_quality import Quality, quality, use
from tejat.evals.picture_sheets import Cell
from tejat.train.pictures import on_white

RIVALS = 24  # pictures of a kind that WebP and AVIF are tried on, some 60 files of each
SHOWN = 10
BUDGETS = (64, 256, 1_024)
FLAT, LINES = ("emojione", "emojione-v1"), ("openmoji",)
SEEN = tuple(style for style, family in STYLES.items() if family not in HELD_OUT_FAMILIES)
DRAWINGS: tuple[tuple[str, rasters.Split, str, tuple[str, ...]], ...] = (
    ("drawings, unseen styles (emojione)", "heldout", "style", FLAT),
    ("drawings, unseen style of black lines (openmoji)", "heldout", "style", LINES),
    ("drawings, unseen things", "heldout", "concept", SEEN),
    ("drawings, trained on", "train", "", SEEN),
)
"""Kinds of drawings: name, split, axis on which they are held out, styles. Those trained on tell how hard the others
are: a style of thin lines takes more bytes than one of plain shapes, for any codec."""

Pixels = UInt8[np.ndarray, "H W 3"]

SIZES = ((9, 12), (13, 17), (18, 30))  # pixels of letters, from and to


@dataclass(frozen=True)
class Subject:
    """Pictures of one kind, on white, and where in them the things are."""

    name: str
    pictures: list[UInt8[np.ndarray, "H W 3"]]
    inside: list[Bool[np.ndarray, "H W"]]

    @classmethod
    def of(cls, name: str, drawings: UInt8[np.ndarray, "n S S 4"], most: int) -> "Subject":
        chosen = drawings[np.linspace(0, len(drawings) - 1, min(most, len(drawings))).astype(int)]
        return cls(name, [on_white(drawing) for drawing in chosen], [drawing[..., 3] > 127 for drawing in chosen])

    def within(self, codec: PictureCodec, budget: int) -> "Subject":
        """As large as a budget of codes shows them."""
        sizes = [fitted(p.shape[0], p.shape[1], codec.config.patch, budget) for p in self.pictures]
        masks = [np.repeat((255 * mask[..., None]).astype(np.uint8), 3, -1) for mask in self.inside]
        return Subject(
            self.name,
            [resize(p, *size) for p, size in zip(self.pictures, sizes, strict=True)],
            [resize(m, *size)[..., 0] > 127 for m, size in zip(masks, sizes, strict=True)],
        )


def heldout(corpus: Path, most: int) -> list[Subject]:
    """What a corpus of `recipes/pictures_corpus.py` holds out, by kind; drawings by style and by whether the thing was
    seen in other styles, and some that were trained on."""
    count = max(most, 400)
    subjects = [
        Subject.of("photographs", rasters.photographs(corpus, "heldout", sky=False, side=256), most),
        Subject.of("night skies", rasters.photographs(corpus, "heldout", sky=True, side=256), most),
    ]
    every = min(25, max(1, 400 // most))  # of one item in more, a kind may have none
    for name, split, axis, chosen in DRAWINGS:
        drawn = rasters.drawings(corpus, split, side=256, sources=("concepts",), axis=axis, every=every)
        styles = np.array([style for _, style in rasters.names(corpus, split, axis, every)])
        if np.isin(styles, chosen).any():
            subjects.append(Subject.of(name, drawn[np.isin(styles, chosen)], most))
    return [
        *subjects,
        Subject.of("charts", rasters.charts(corpus, "heldout", count, seed=1), most),
        Subject.of("text", rasters.pages(corpus, "heldout", count, seed=1), most),
    ]


def report(
    codecs: Mapping[str, PictureCodec],
    subjects: Sequence[Subject],
    pages: Sequence[tuple[np.ndarray, dict]] = (),
    rivals: int = RIVALS,
    told: Callable[[str], None] = lambda line: None,
    judge: Classifier | None = None,
) -> dict[str, Any]:
    """Every number of the report, as JSON holds them. `pages` are English ones, with what they say; in the features of
    a `judge` pictures are compared as sets."""
    found: dict[str, Any] = {"tokenizers": {}, "rivals": {}, "budgets": {}, "legibility": {}}
    for name, codec in codecs.items():
        codes, rows = [], {}
        for subject in subjects:
            told(f"{name}: {subject.name}")
            seen = subject.within(codec, codec.budget)
            coded = codec.encode_many(seen.pictures)
            codes += [code.reshape(-1) for code in coded]
            drawn = [codec.decode(code) for code in coded]
            row = quality(seen.pictures, drawn, seen.inside)
            rows[subject.name] = {"pictures": len(seen.pictures), **row._asdict()}
            if judge and len(drawn) > 1:
                rows[subject.name]["frechet"] = _distance(judge, seen.pictures, drawn)
        used = use(np.concatenate(codes), codec.config.codes)
        found["tokenizers"][name] = {
            "codebook": codec.config.codes,
            "codes": codec.budget,
            "bytes": bytes_of(codec),
            "use": used._asdict(),
            "kinds": rows,
        }
        told(f"{name}: other budgets")
        found["budgets"][name] = {str(n): _at(codec, subjects, n) for n in BUDGETS if _fits(codec, n)}
        if legibility.tesseract() and pages:
            told(f"{name}: reading")
            found["legibility"][name] = _read(partial(_through, codec), subjects, pages)
    first = next(iter(codecs.values()))
    within = {subject.name: subject.within(first, first.budget) for subject in subjects} if rivals else {}
    for name, encode in picture_rivals.codecs().items() if rivals else ():
        told(name)
        packed = partial(_packed, encode, bytes_of(first))
        found["rivals"][name] = {kind: _rival(seen, packed, rivals, judge) for kind, seen in within.items()}
        if legibility.tesseract() and pages:
            told(f"{name}: reading")
            found["legibility"][name] = _read(lambda page, packed=packed: packed(page)[0], [*within.values()], pages)
    return found


def _through(codec: PictureCodec, picture: Pixels) -> Pixels:
    return codec.decode(codec.encode(picture))


def _packed(encode: Any, most: int, picture: Pixels) -> tuple[Pixels, int | None]:
    """(what comes back of so many bytes, how many they are); of what does not fit the mean colour, for which the bytes
    are enough."""
    coded = picture_rivals.at_bytes(picture, most, encode)
    return (coded.pixels, coded.bytes) if coded else (np.full_like(picture, picture.mean((0, 1))), None)


def bytes_of(codec: PictureCodec) -> int:
    """Of the codes of a picture at its budget, each with as many bits as its codebook needs."""
    return math.ceil(codec.budget * math.log2(codec.config.codes) / 8)


def _fits(codec: PictureCodec, budget: int) -> bool:
    return math.isqrt(budget) <= codec.config.table


def _at(codec: PictureCodec, subjects: Sequence[Subject], budget: int, most: int = 16) -> dict[str, Any]:
    """Quality at another budget of codes, at the size that it shows."""
    other, rows = PictureCodec(codec.params, codec.config), {}
    other.budget = budget
    for subject in subjects:
        seen = Subject(subject.name, subject.pictures[:most], subject.inside[:most]).within(other, budget)
        drawn = [other.decode(code) for code in other.encode_many(seen.pictures)]
        height, width = seen.pictures[0].shape[:2]
        rows[subject.name] = {"size": f"{width}x{height}", **quality(seen.pictures, drawn, seen.inside)._asdict()}
    return rows


def _rival(
    subject: Subject, packed: Callable[[Pixels], tuple[Pixels, int | None]], count: int, judge: Classifier | None
) -> dict[str, Any]:
    places = np.linspace(0, len(subject.pictures) - 1, min(count, len(subject.pictures))).astype(int)
    shown, inside = [subject.pictures[k] for k in places], [subject.inside[k] for k in places]
    made = [packed(picture) for picture in shown]
    drawn, sizes = [pixels for pixels, _ in made], [size for _, size in made if size is not None]
    row = {"pictures": len(shown), "too large": len(made) - len(sizes)}
    row |= {"bytes": float(np.mean(sizes)) if sizes else None, **quality(shown, drawn, inside)._asdict()}
    if judge and len(drawn) > 1:
        row["frechet"] = _distance(judge, shown, drawn)
    return row


def _distance(judge: Classifier, shown: Sequence[Pixels], drawn: Sequence[Pixels]) -> float:
    (before, _), (after, _) = look(judge, shown), look(judge, drawn)
    return frechet(before, after)


def _read(
    through: Callable[[Pixels], Pixels], subjects: Sequence[Subject], pages: Sequence[tuple[np.ndarray, dict]]
) -> dict[str, Any]:
    """Character error rates of what has been through a codec: of pages against what they say, of charts against what
    was read before."""
    shown = [on_white(page) for page, _ in pages]
    drawn = [through(page) for page in shown]
    before, after = legibility.read(shown), legibility.read(drawn)
    said = [" ".join(told["text"].split()) for _, told in pages]
    rows: dict[str, Any] = {}
    for low, high in SIZES:
        k = [n for n, (_, told) in enumerate(pages) if low <= told["size"] <= high]
        if k:
            rows[f"text, letters of {low} to {high} pixels"] = {
                "pictures": len(k),
                "before": legibility.error_rate([said[n] for n in k], [before[n] for n in k]),
                "after": legibility.error_rate([said[n] for n in k], [after[n] for n in k]),
            }
    for subject in subjects:
        if subject.name == "charts":
            charts = subject.pictures[: len(pages)]
            before = legibility.read(charts, sparse=True)
            after = legibility.read([through(chart) for chart in charts], sparse=True)
            rate = legibility.error_rate(before, after)
            rows["charts, against what was read before"] = {"pictures": len(charts), "before": 0.0, "after": rate}
    return rows


def tables(found: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    names = list(found["tokenizers"])
    kinds = list(found["tokenizers"][names[0]]["kinds"])
    columns = [*((name, found["tokenizers"][name]["kinds"]) for name in names), *found["rivals"].items()]
    lines = [
        "PSNR in dB (of all pixels on white | inside things) and SSIM:",
        "",
        "| kind | pictures | " + " | ".join(name for name, _ in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for kind in kinds:
        shown = [_cell(rows[kind]) for _, rows in columns]
        lines.append(f"| {kind} | {found['tokenizers'][names[0]]['kinds'][kind]['pictures']} | {' | '.join(shown)} |")
    seen = [(name, rows) for name, rows in columns if all("frechet" in rows[kind] for kind in kinds)]
    if seen:
        head = [f"{name} ({max(row['pictures'] for row in rows.values())})" for name, rows in seen]
        lines += ["", "Fréchet distance to the originals; only columns of as many pictures can be compared:", ""]
        lines += ["| | " + " | ".join(head) + " |", "|---|" + "---|" * len(head)]
        for kind in kinds:
            lines.append(f"| {kind} | " + " | ".join(f"{rows[kind]['frechet']:.2f}" for _, rows in seen) + " |")
    lines += [
        "",
        "| tokenizer | codes of a picture | bytes | codebook | used | perplexity |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        row = found["tokenizers"][name]
        used = f"{row['use']['used']:.1%} in {row['use']['codes']:,} codes | {row['use']['perplexity']:.0f}"
        lines.append(f"| {name} | {row['codes']} | {row['bytes']} | {row['codebook']:,} | {used} |")
    for name, budgets in found["budgets"].items():
        offered = [f"{n} codes ({next(iter(rows.values()))['size']})" for n, rows in budgets.items()]
        lines += ["", f"| {name} | " + " | ".join(offered) + " |", "|---|" + "---|" * len(budgets)]
        lines += [f"| {kind} | " + " | ".join(_cell(rows[kind]) for rows in budgets.values()) + " |" for kind in kinds]
    if found["legibility"]:
        readers = list(found["legibility"])
        lines += ["", "Character errors of what Tesseract reads:", ""]
        lines += ["| | pictures | before | " + " | ".join(readers) + " |", "|---|---|---|" + "---|" * len(readers)]
        for what, row in found["legibility"][names[0]].items():
            after = " | ".join(f"{found['legibility'][name][what]['after']:.1%}" for name in readers)
            lines.append(f"| {what} | {row['pictures']} | {row['before']:.1%} | {after} |")
    else:
        lines += [
            "",
            "Legibility was not measured: Tesseract is not installed (Debian: apt-get install tesseract-ocr).",
        ]
    return "\n".join(lines)


def _cell(row: Mapping[str, Any]) -> str:
    values = Quality(row["psnr"], row["inside"], row["ssim"])
    return f"{values.psnr:.1f} \\| {values.inside:.1f}, {values.ssim:.3f}"


def sheet(codecs: Mapping[str, PictureCodec], subjects: Sequence[Subject], path: Path, shown: int = SHOWN) -> None:
    """Pictures of every kind, and beside each what each tokenizer makes of it; nothing is chosen."""
    first, rows = next(iter(codecs.values())), []
    for subject in subjects:
        seen = subject.within(first, first.budget).pictures
        chosen = [seen[k] for k in np.linspace(0, len(seen) - 1, shown).astype(int)]
        made = [[resize(_through(codec, one), *one.shape[:2]) for codec in codecs.values()] for one in chosen]
        rows.append((subject.name, [Cell([one, *after]) for one, after in zip(chosen, made, strict=True)]))
    picture_sheets.write(picture_sheets.sheet(rows), path)
