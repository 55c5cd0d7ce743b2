"""Marked-up text as paragraphs in light Markdown: HTML, and XML of the Mallard kind."""

from collections.abc import Callable

from lxml import etree, html

HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
SKIPPED = {"script", "style", "nav", "head", "noscript", "svg", "form", "iframe", "object", "button", "input", "label"}
LEAVES = {*HEADINGS, "p", "pre", "dt", "tr", "figcaption", "caption", "summary", "address"}
BLOCKS = LEAVES | {
    *("html", "body", "div", "section", "article", "main", "header", "footer", "aside", "ul", "ol", "li", "dl", "dd"),
    *("table", "tbody", "thead", "tfoot", "blockquote", "figure", "details", "td", "th", "center", "fieldset"),
}


def words(element: etree._Element) -> str:
    """The text of an element on one line."""
    return " ".join("".join(element.itertext()).split())


def blocks(root: etree._Element, keep: Callable[[etree._Element, str], bool] = lambda _, text: True) -> list[str]:
    """Paragraphs of HTML below an element: headings marked by #, items of lists by "-" or their number, code indented
    by four, cells of tables parted by "|".

    Args:
      root: where to begin.
      keep: is asked of every paragraph, with the element that it comes from.
    """
    found: list[str] = []

    def put(element: etree._Element, text: str, mark: str = "") -> None:
        if text and keep(element, text):
            found.append(mark + text)

    def walk(element: etree._Element, mark: str) -> str:
        """Goes through a container; the mark that is still due after it."""
        loose: list[str] = [element.text or ""]

        def flush() -> None:
            nonlocal loose, mark
            text = " ".join("".join(loose).split())
            loose = []
            if text:
                put(element, text, mark)
                mark = ""

        number = 0
        for child in element:
            tag = child.tag if isinstance(child.tag, str) else None
            if tag is None or tag in SKIPPED:
                loose.append(child.tail or "")
                continue
            if tag not in BLOCKS and not any(inner.tag in BLOCKS for inner in child.iter(etree.Element)):
                loose += [*child.itertext(), child.tail or ""]
                continue
            flush()
            if tag in HEADINGS:
                put(child, words(child), HEADINGS[tag] + " ")
            elif tag == "pre":
                code = "".join(child.itertext()).strip("\n").expandtabs(8).rstrip()
                put(child, "\n".join(f"    {line}".rstrip() for line in code.split("\n")) if code.strip() else "")
            elif tag == "tr":
                cells = [words(cell) for cell in child if cell.tag in ("td", "th")]
                put(child, " | ".join(cells).strip(" |"))
            elif tag == "li":
                number += 1
                walk(child, f"{number}. " if element.tag == "ol" else "- ")
            elif tag in LEAVES and not any(inner.tag in BLOCKS for inner in child.iterdescendants(etree.Element)):
                put(child, words(child), mark)
                mark = ""
            else:
                mark = walk(child, mark)
            loose.append(child.tail or "")
        flush()
        return mark

    walk(root, "")
    return found


def parsed_html(data: bytes) -> etree._Element | None:
    """The tree of an HTML file in UTF-8; None where there is none."""
    try:
        tree = html.document_fromstring(data, parser=html.HTMLParser(encoding="utf-8"))
    except (etree.ParserError, ValueError):
        return None
    for line_break in tree.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    return tree
