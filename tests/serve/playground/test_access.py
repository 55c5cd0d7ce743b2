"""For everybody: by keyboard, on a narrow screen, with a screen reader; and when something is wrong."""

import re

import pytest

from tejat.serve import keys

pytestmark = pytest.mark.slow

SCREENS = [(1280, False), (1280, True), (360, False), (360, True)]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
FOCUS = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
NAMED = """() => {
  const n = document.activeElement;
  return n === document.body || Boolean(n.getAttribute('aria-label') || n.textContent.trim() || n.labels?.length);
}"""


def faults(here) -> list[str]:
    """What axe-core finds wrong with the page as it is."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs `pip install axe-playwright-python`"
    )
    result = axe.Axe().run(
        here.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
    )
    return [f"{v['id']}: {v['help']}: {[n['html'][:200] for n in v['nodes']]}" for v in result.response["violations"]]


@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_axe(visit, files, width, dark) -> None:
    here = visit(width=width, dark=dark).loaded()

    def look(name: str) -> None:
        assert here.page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert not (found := faults(here)), f"{name}: " + "\n".join(found)
        here.shot(f"axe-{name}")

    look("first")
    here.settings(Longest_answer="20")
    here.attach(files["dusk.png"], files["tone.wav"], files["clip.webm"])
    here.page.get_by_text("Clip and frame rate").click()
    here.prompt.fill("What is in these?")
    look("prompt")
    here.send()
    look("talk")
    here.button("Compare two answers").click()
    here.send("Two")
    look("pair")
    here.button("Settings", exact=True).click()
    here.page.get_by_label("Answer in JSON").check()
    here.page.get_by_role("spinbutton", name="Top P").fill("7")
    look("settings")
    here.button("Close the settings").click()
    here.page.keyboard.press("Alt+k")
    look("code")
    here.page.keyboard.press("Escape")
    here.prompt.blur()
    here.page.keyboard.press("?")
    look("keys")
    here.page.keyboard.press("Escape")
    if width < 900:
        here.button("Conversations").click()
    look("list")


MARKDOWN = """async () => {
  const { MarkdownView } = await import('./markdown/view.js');
  const view = new MarkdownView();
  view.update(`# One\\n\\n> quote with [a link](https://example.org)\\n\\n- [x] done\\n- \\`code\\`
\\n|a|b|\\n|-|-|\\n|1|2|
\\n\\`\\`\\`python\\ndef f(): return "x"  # one\\n1.5\\n\\`\\`\\`\\n\\n1. one\\n2. two`);
  document.querySelector('.message.model .body').replaceChildren(view.node);
}"""


@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_axe_on_markdown(visit, width, dark) -> None:
    here = visit(width=width, dark=dark).loaded()
    here.settings(Longest_answer="4")
    here.send("Write")
    here.page.evaluate(MARKDOWN)
    assert not (found := faults(here)), "\n".join(found)
    here.shot("markdown")


def test_keyboard_alone(visit) -> None:
    """From the first key to the second answer without a mouse."""
    here = visit().loaded()
    press = here.page.keyboard.press
    press("Alt+s")
    assert here.page.evaluate(FOCUS) == "Close the settings"
    for _ in range(20):
        press("Tab")
        if here.page.evaluate("document.activeElement.id") == "field-maxOutputTokens":
            break
    here.page.keyboard.type("12")
    press("Alt+s")
    assert here.page.evaluate(FOCUS) == "Settings" and not here.page.locator("#settings").is_visible()
    press("/")
    here.page.keyboard.type("One line")
    press("Shift+Enter")
    here.page.keyboard.type("and another")
    press("Enter")
    here.until("document.querySelectorAll('article.message').length === 2")
    here.answered()
    assert here.page.locator(".said").inner_text() == "One line\nand another"
    assert here.requests[0][1]["generationConfig"]["maxOutputTokens"] == 12
    press("ArrowUp")
    assert here.prompt.input_value() == "One line\nand another"
    press("Escape")
    assert here.prompt.input_value() == ""
    press("Alt+n")
    assert here.page.get_by_text("What shall we look at?").is_visible()
    press("Alt+c")
    assert here.button("Compare two answers").get_attribute("aria-pressed") == "true"
    press("Alt+c")
    press("Alt+h")
    assert not here.page.locator("#history").is_visible()
    # Every thing that Tab reaches has a name, and shows that it is reached.
    here.page.reload()
    here.loaded()
    here.page.evaluate("document.body.focus()")
    for _ in range(25):
        press("Tab")
        assert here.page.evaluate(NAMED)


def test_the_caret_stays(visit) -> None:
    """Nothing that comes in from the server or is saved takes the keyboard's focus away."""
    here = visit().loaded()
    here.send("One", wait=False)
    here.button("Settings", exact=True).click()
    field = here.page.get_by_label("System instruction")
    field.fill("")
    here.page.keyboard.type("Be ")
    here.answered()
    here.page.keyboard.type("brief.", delay=120)  # over the time in which settings are saved
    assert field.input_value() == "Be brief."
    here.button("Close the settings").click()

    picker = here.page.get_by_label("Model", exact=True)
    picker.focus()
    picker.select_option(label="artist")
    here.page.wait_for_timeout(600)
    assert picker.evaluate("n => n === document.activeElement")

    here.button("Ask again").click()
    here.answered()
    here.button("Earlier branch").focus()
    here.page.keyboard.press("Enter")
    assert here.page.evaluate(FOCUS) == "Later branch"
    here.button("Rename: One").focus()
    here.prompt.evaluate("n => { n.value = 'Two'; n.dispatchEvent(new Event('input')); }")
    here.button("Send").evaluate("n => n.click()")
    here.answered()
    assert here.messages.count() == 4


def test_narrow_drawers(visit) -> None:
    here = visit(width=360).loaded()
    assert not here.page.locator("#history").is_visible()
    here.button("Conversations").click()
    assert here.page.locator("#history").is_visible() and here.page.locator("main").evaluate("n => n.inert")
    here.page.keyboard.press("Escape")
    assert not here.page.locator("#history").is_visible()
    here.button("Settings", exact=True).click()
    here.page.mouse.click(5, 300)  # beside it
    assert not here.page.locator("#settings").is_visible()
    for button in here.page.locator("main button:visible").all():
        box = button.bounding_box()
        assert box["width"] >= 24 and box["height"] >= 24 and box["x"] + box["width"] <= 360


def test_theme(visit) -> None:
    here = visit(dark=False).loaded()
    paper = "getComputedStyle(document.body).backgroundColor"
    light = here.page.evaluate(paper)
    here.button("Light or dark").click()
    assert here.page.evaluate(paper) == light
    here.button("Light or dark").click()
    dark = here.page.evaluate(paper)
    assert dark != light
    here.page.reload()
    here.loaded()
    assert here.page.evaluate(paper) == dark


def test_the_server_refuses(visit) -> None:
    """What the server says comes as one sentence, beside the message, with a way to try again."""
    here = visit().loaded()
    here.errors_expected = True
    here.button("Settings", exact=True).click()
    here.page.get_by_label("Answer in JSON").check()
    here.page.get_by_label("JSON schema").fill('{"type": "strange"}')
    here.button("Close the settings").click()
    here.send("Hello")
    error = here.page.locator(".error span").inner_text()
    assert re.fullmatch(r"\S[^\n]{10,400}[.!?]", error), error
    here.shot("refused")
    here.button("Settings", exact=True).click()
    here.page.get_by_label("Answer in JSON").uncheck()
    here.page.get_by_role("spinbutton", name="Longest answer").fill("5")
    here.button("Close the settings").click()
    here.button("Try again").click()
    here.answered()
    here.until("!document.querySelector('.error')")
    assert here.messages.count() == 2 and "of 2" not in here.messages.last.inner_text()  # no branch of nothing


def test_keys(visit, serve, models, tmp_path) -> None:
    path = tmp_path / "keys.json"
    key = keys.add(path, "alice", None, None)
    slow = keys.add(path, "bob", 6, None)
    guarded = serve("--keys", str(path), models=models[:1])
    here = visit(guarded, errors=True)
    here.page.get_by_role("dialog").wait_for()
    here.shot("key")
    here.page.get_by_label("API key").last.fill("wrong")
    here.page.keyboard.press("Enter")
    here.page.get_by_text("does not know this API key").wait_for()
    here.page.get_by_label("API key").last.fill(key)
    here.page.keyboard.press("Enter")
    here.loaded()
    here.settings(Longest_answer="6")
    here.send("Hello")
    assert here.page.locator(".error").count() == 0
    here.prompt.fill("code")
    here.page.keyboard.press("Alt+k")
    code = here.page.locator("dialog pre").inner_text()
    assert "$TEJAT_API_KEY" in code and key not in code
    here.page.keyboard.press("Escape")
    here.button("API key").click()
    here.page.get_by_label("API key").last.fill(slow)
    here.page.keyboard.press("Enter")
    here.page.locator("dialog").wait_for(state="detached")
    for _ in range(6):
        here.send("More")
        if here.page.locator(".error").count():
            break
    assert re.search(r"\d+ s\.$", here.page.locator(".error span").inner_text())
    here.shot("busy")

    # Of this tab alone: nothing lasting was asked for.
    assert here.page.evaluate("[...Object.values(localStorage)].join()").find(key) < 0


def test_the_server_is_gone(visit, serve, models) -> None:
    server = serve(models=models[:1])
    here = visit(server).loaded()
    here.errors_expected = True
    here.settings(Longest_answer="6")
    here.page.context.set_offline(True)
    here.send("Anybody?")
    assert "does not answer; is “tejat serve” still running?" in here.page.locator(".error").inner_text()
    here.shot("gone")
    here.page.context.set_offline(False)
    here.button("Try again").click()
    here.answered()
    here.until("!document.querySelector('.error')")
    assert here.messages.last.locator(".body").inner_text().strip()

    # In the middle of an answer; what was written stays.
    here.ask_at_length()
    here.send("At length", wait=False)
    here.begun()
    server.process.kill()
    here.answered()
    assert (
        here.page.locator(".error span").inner_text()
        == "The connection to the server broke in the middle of the answer."
    )
    assert here.messages.last.locator("pre").inner_text().startswith("[")
