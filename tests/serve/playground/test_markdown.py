"""Markdown in real Chromium: hostile text stays text, nothing that was written goes missing, time stays linear."""

import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.slow

TAGS = """DIV P H3 H4 H5 H6 HR BR BLOCKQUOTE OL UL LI TABLE THEAD TBODY TR TH TD FIGURE FIGCAPTION PRE CODE
EM STRONG DEL A SPAN BUTTON SVG PATH"""
ATTRIBUTES = "class dir start tabindex role aria-label aria-hidden scope href target rel type viewbox d"

RENDER = """async (texts) => {
  const { MarkdownView } = await import("./markdown/view.js");
  const plain = (href) => { try { return decodeURI(href); } catch { return href; } };
  const depth = (node, top) => { let d = 0; for (let at = node; at !== top; at = at.parentNode) d += 1; return d; };
  const seen = [];
  for (const text of texts) {
    const view = new MarkdownView();
    const begun = performance.now();
    view.update(text);
    const milliseconds = performance.now() - begun;
    document.body.append(view.node);
    const nodes = [...view.node.querySelectorAll("*")];
    const links = nodes.filter((n) => n.tagName === "A");
    seen.push({
      milliseconds,
      tags: [...new Set(nodes.map((n) => n.tagName.toUpperCase()))],
      attributes: [...new Set(nodes.flatMap((n) => n.getAttributeNames()))],
      links: links.map((n) => ({ href: n.href, written: plain(n.href), rel: n.rel, target: n.target })),
      text: view.node.textContent,
      html: view.node.innerHTML,
      deep: nodes.reduce((most, n) => Math.max(most, depth(n, view.node)), 0),
    });
    view.node.remove();
  }
  return seen;
}"""

GROWING = """async (pairs) => {
  const { MarkdownView } = await import("./markdown/view.js");
  return pairs.map(([text, cuts]) => {
    const grown = new MarkdownView();
    for (const cut of cuts) grown.update(text.slice(0, cut));
    grown.update(text);
    const whole = new MarkdownView();
    whole.update(text);
    return [grown.node.innerHTML, whole.node.innerHTML];
  });
}"""

HOSTILE = [
    "<script>window.hurt = 1</script>",
    "<img src=x onerror='window.hurt = 1'>",
    "<svg/onload=window.hurt=1>",
    "[click](javascript:window.hurt=1)",
    "[click](JaVaScRiPt:window.hurt=1)",
    "[click](\x01javascript:window.hurt=1)",
    "[click](data:text/html,<script>window.hurt=1</script>)",
    "[click](vbscript:x) [file](file:///etc/passwd) [blob](blob:x)",
    "<javascript:window.hurt=1>",
    "![x](https://example.org/x.png \"title\")",
    "[a](https://example.org/\"onmouseover=\"window.hurt=1)",
    "`<b>` **<i>x</i>** ~~<u>~~",
    "```html\n<script>window.hurt = 1</script>\n```",
    "```\"><img src=x onerror=window.hurt=1>\nx\n```",
    "| <img src=x onerror=window.hurt=1> | b |\n|---|---|\n| <script>1</script> | c |",
    "# <iframe srcdoc='<script>parent.hurt=1</script>'>",
    "> - 1. > <style>*{display:none}</style>",
    "&lt;script&gt; &#60;b&#62; &amp;",
    "\u202eevil\u202c \u2028 \u0000 \ufeff \ud83d\ude00",
    "[__proto__](https://example.org/) [constructor](x)",
    "- [x] <b>done</b>\n- [ ] to do",
]  # fmt: skip

MARKS = ["*", "**", "_", "__", "~~", "`", "``", "```", "\n", "\n\n", "    ", " ", "[", "](", ")", "![", "<", ">", "> "]
MARKS += ["- ", "1. ", "# ", "|", "|-|-|", "---", "\\", "https://x.org/a_b", "javascript:alert(1)", "<img onerror=x>"]
WHOLE = [
    "`word`",
    "**word**",
    "*é*",
    "~~日本~~",
    "[word](https://x.org/)",
    "\n- word\n",
    "\n> word\n",
    "\n```\nword\n```\n",
]
pieces = st.sampled_from([*MARKS, *WHOLE, "word", "é", "日本", "😀"])
markdown = st.lists(pieces | st.text(max_size=6), max_size=40).map("".join)


@pytest.fixture(scope="module")
def rendered(chromium, served):
    """Renders texts by the shipped module, under the server's policy."""
    page = chromium.new_page()
    page.goto(served.url)
    page.wait_for_selector("#prompt")
    yield lambda texts: page.evaluate(RENDER, texts)
    assert page.evaluate("window.hurt") is None
    page.close()


@pytest.fixture(scope="module")
def grown(chromium, served):
    page = chromium.new_page()
    page.goto(served.url)
    page.wait_for_selector("#prompt")
    yield lambda pairs: page.evaluate(GROWING, pairs)
    page.close()


def check(seen: dict) -> None:
    assert set(seen["tags"]) <= set(TAGS.split()), seen["tags"]
    assert {name.lower() for name in seen["attributes"]} <= set(ATTRIBUTES.split()), seen["attributes"]
    for link in seen["links"]:
        assert re.match(r"(https?://|mailto:)", link["href"]), link
        assert link["rel"] == "noopener noreferrer nofollow" and link["target"] == "_blank"
    assert seen["deep"] <= 80


def test_hostile_text_stays_text(rendered) -> None:
    for text, seen in zip(HOSTILE, rendered(HOSTILE), strict=True):
        check(seen)
        for word in re.findall(r"<(script|img|svg|iframe|style|b|i|u)\b", text):
            assert f"<{word}" in seen["text"], f"{text!r} lost its {word}"
    joined = "\n\n".join(HOSTILE)
    (seen,) = rendered([joined])
    check(seen)


@settings(max_examples=80, deadline=None, suppress_health_check=[*HealthCheck])
@given(st.lists(markdown, min_size=1, max_size=8))
def test_any_text(rendered, texts) -> None:
    """Only the allowed elements, and every letter is still there, on the page or in a link's address."""
    for text, seen in zip(texts, rendered(texts), strict=True):
        check(seen)
        missing = letters(text) - letters(seen["text"] + "".join(link["written"] for link in seen["links"]))
        assert not missing, (missing, text, seen["html"])


@settings(max_examples=80, deadline=None, suppress_health_check=[*HealthCheck])
@given(st.lists(st.tuples(markdown, st.lists(st.integers(0, 200), max_size=8)), min_size=1, max_size=8))
def test_growing_is_whole(grown, pairs) -> None:
    """Text that comes in pieces looks in the end as it does at once."""
    cut = [(text, sorted(at for at in cuts if at <= len(text))) for text, cuts in pairs]
    for a, b in grown(cut):
        assert a == b


def test_time_is_linear(rendered) -> None:
    """No letters of an answer hang the page: four times as many take no ten times as long."""
    units = ["* ", "**a ", "*a _b ", "[", "[](", "[a](b", "![", "`", "`a``", "<", "<h", "http", "> ", "- ", "1. ", "#"]
    units += ["~~", "~~a", "\\", "_a_", "**a*", "((", "```a", "    - ", "\t", "* * ", "*a**", "|", "a|", "```\n", "\n"]
    units += ["- a\n\n", "a\n|-|\n", "".join(" " * i + "- x\n" for i in range(40))]
    makers = [lambda n, unit=unit: (unit * (n // len(unit) + 1))[:n] for unit in units]
    makers += [
        lambda n: "[" * (n // 5) + "a" + "](x)" * (n // 5),
        lambda n: "```" + "a" * n + "`",
        lambda n: "**a " * (n // 8) + "a** " * (n // 8),
        lambda n: "| a " * (n // 8) + "\n" + "|---" * (n // 8),
    ]
    for make, seen in zip(makers, rendered([make(60_000) for make in makers]), strict=True):
        check(seen)
        if seen["milliseconds"] > 500:
            runs = [rendered([make(15_000), make(60_000)]) for _ in range(3)]
            quarter, whole = (min(run[size]["milliseconds"] for run in runs) for size in (0, 1))
            assert whole < 10 * quarter + 100, f"{make(12)!r} takes {quarter:.0f} and {whole:.0f} ms"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a *b* **c** ~~d~~ `e`", "<p>a <em>b</em> <strong>c</strong> <del>d</del> <code>e</code></p>"),
        ("***a***", "<p><em><strong>a</strong></em></p>"),
        ("snake_case_name and 2*3*4", "<p>snake_case_name and 2<em>3</em>4</p>"),
        ("**a *b** c*", "<p><em><em>a <em>b</em></em> c</em></p>"),
        ("``a`b`` \\*no\\*", "<p><code>a`b</code> *no*</p>"),
        ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
        ("## Two\n# One #", '<h4 class="level-2">Two</h4><h3 class="level-1">One</h3>'),
        ("- a\n- b\n  - c\n\n2. d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><ol start=\"2\"><li>d</li></ol>"),
        ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
        ("---", "<hr>"),
        ("[a *b*](https://example.org/x?y=(1)) c", '<p><a href="https://example.org/x?y=(1)">a <em>b</em></a> c</p>'),
        ("https://x.org/a_b, ok", '<p><a href="https://x.org/a_b">https://x.org/a_b</a>, ok</p>'),
        ("[a](b.html)", "<p>a (b.html)</p>"),
        ("|a|\n|:-|\n|1 \\| 2|", "<table><tr><th>a</th></tr><tr><td>1 | 2</td></tr></table>"),
    ],
)  # fmt: skip
def test_markdown_is_read(rendered, text, html) -> None:
    (seen,) = rendered([text])
    rest = r' (?:dir|target|rel|scope|tabindex|role|aria-label)="[^"]*"| class="(?!level)[^"]*"'
    plain = re.sub(rest, "", seen["html"])
    plain = re.sub(r"</?(?:div|thead|tbody)>", "", plain)
    assert plain == html


def test_code_is_kept_to_the_letter(rendered) -> None:
    code = 'def f(x):\n\n    return "<b>" + x  # a *comment*\n'
    (seen,) = rendered([f"```python\n{code}```\nafter"])
    assert code.rstrip("\n") in seen["text"]
    assert '<span class="code-word">def</span>' in seen["html"]
    assert '<span class="code-comment"># a *comment*</span>' in seen["html"]


def letters(text: str) -> Counter[str]:
    """Letters, without the x of a task that is done. Digits are left out: lists number themselves."""
    return Counter(c for c in text if c.isalpha() and c not in "xX")
