"""The playground's files as they are shipped: nothing inline, from elsewhere, missing, or left over."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tejat

ROOT = Path(tejat.__file__).parent / "serve" / "playground"
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
TEXT = {".html", ".css", ".js", ".svg"}
READS_MARKUP = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe|parseHTMLUnsafe|createContextualFragment|DOMParser|srcdoc|eval)\b"
    r"|document\.write|new Function|javascript:|setAttribute\(\s*[\"']style|(?<![.#\w])import\s*\("
)
GROUNDS = ("paper", "sheet", "rail", "raised", "wash")
EXPORT = re.compile(r"^export (?:async )?(?:function\*? |class |const )(\w+)", re.MULTILINE)
ICON = re.compile(r'(?:(?<![.\w])(?:icon|tool|toggle|action|button)|#button|#tool)\("(\w+)"')


def sources(*endings: str) -> dict[str, str]:
    """Text of the files with these endings, by their path in the bundle."""
    found = (path for path in sorted(ROOT.rglob("*")) if path.suffix in endings)
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in found}


class Page(HTMLParser):
    """Tags with their attributes, and whatever text stands inside of scripts and styles."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.inline += data.strip()


@pytest.fixture(scope="module")
def page() -> Page:
    return Page((ROOT / "index.html").read_text("utf-8"))


def test_nothing_is_inline(page) -> None:
    """The server's policy forbids it, and a page that needs it would be blank."""
    assert page.inline == ""
    for tag, attributes in page.tags:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")], (tag, attributes)


def test_nothing_comes_from_elsewhere() -> None:
    for name, text in sources(*TEXT).items():
        addresses = set(re.findall(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}[^\s\"'`)]*", text, re.IGNORECASE))
        addresses -= {
            address for address in addresses if address in (SVG_NAMESPACE, SVG_NAMESPACE.removeprefix("http:"))
        }
        assert not addresses, f"{name} names {addresses}"


def test_no_step_reads_text_as_markup() -> None:
    for name, text in sources(".js").items():
        code = re.sub(r"^\s*(//|\*|/\*).*$", "", text, flags=re.MULTILINE)
        assert not (found := READS_MARKUP.search(code)), f"{name}: {found[0]}"


def test_what_the_page_names_is_there(page) -> None:
    named = [attributes.get("src") or attributes.get("href") for _, attributes in page.tags]
    files = [name for name in named if name and not name.startswith("#")]
    assert "app.js" in files
    for name in files:
        assert not name.startswith("/"), f"{name} would miss a server behind a proxy's folder"
        assert (ROOT / name).is_file(), name


def test_every_import_is_of_something_exported() -> None:
    modules = sources(".js")
    reached, waiting = set(), ["app.js"]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        for names, target in re.findall(r'import\s+(?:(\{[^}]*\}|\*\s+as\s+\w+)\s+from\s+)?"([^"]+)"', modules[name]):
            path = (ROOT / name).parent.joinpath(target).resolve().relative_to(ROOT.resolve()).as_posix()
            assert path in modules, f"{name} imports {target}, which is not there"
            exported = set(EXPORT.findall(modules[path]))
            for wanted in filter(None, (word.split(" as ")[0].strip() for word in names.strip("{}").split(","))):
                assert wanted in exported, f"{name} imports {wanted} from {target}, which has no such export"
                used = re.findall(rf"\b{wanted}\b", modules[name].replace(f'"{target}"', ""))
                assert len(used) > 1, f"{name} imports {wanted} and does not use it"
            waiting.append(path)
    assert reached == set(modules), f"modules that nothing imports: {set(modules) - reached}"


def test_every_stylesheet_and_font_is_used(page) -> None:
    sheets = sources(".css")
    assert set(sheets) == {attributes["href"] for _, attributes in page.tags if attributes.get("rel") == "stylesheet"}
    fonts = {name for text in sheets.values() for name in re.findall(r'url\("\.\./(fonts/[^"]+)"\)', text)}
    assert fonts == {path.relative_to(ROOT).as_posix() for path in ROOT.glob("fonts/*.woff2")}
    assert "SIL Open Font License" in (ROOT / "fonts/OFL.txt").read_text("utf-8")


def test_every_icon_is_drawn() -> None:
    drawn = set(re.findall(r'^  (\w+): "M', (ROOT / "icons.js").read_text("utf-8"), re.MULTILINE))
    asked = {name for text in sources(".js").values() for name in ICON.findall(text)}
    assert len(asked) > 15
    assert asked <= drawn, asked - drawn


def test_it_is_small() -> None:
    sizes = {path: path.stat().st_size for path in ROOT.rglob("*") if path.is_file()}
    assert {path.suffix for path in sizes} <= TEXT | {".woff2", ".txt"}
    assert sum(sizes.values()) < 400_000
    for name, text in sources(".js", ".css").items():
        assert len(text.splitlines()) <= 500, name


def test_what_can_be_typed_into_or_is_chosen_is_seen() -> None:
    """WCAG 2.1, 1.4.11: edges stand out from every ground by 3 to 1, by day and by night; axe-core looks at text."""
    styles = sources(".css")
    colours = dict(re.findall(r"--(\w+): light-dark\((#\w{6}, #\w{6})\)", styles["style/palette.css"]))
    for at in (0, 1):
        edge, *grounds = (luminance(colours[name].split(", ")[at]) for name in ("edge", *GROUNDS))
        for name, ground in zip(GROUNDS, grounds, strict=True):
            ratio = (max(edge, ground) + 0.05) / (min(edge, ground) + 0.05)
            assert ratio >= 3, f"--edge on --{name}: {ratio:.2f}"
    edged = {"style/controls.css": ("textarea", ".segments input:checked + span"), "style/composer.css": (".composer",)}
    for name, ends in edged.items():
        for end in ends:
            rules = re.findall(rf"^{re.escape(end)} {{([^}}]*)}}", styles[name], re.MULTILINE)
            assert any("var(--edge)" in rule for rule in rules), f"{name}: {end}"


def luminance(colour: str) -> float:
    """Of an sRGB colour, as WCAG has it."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
