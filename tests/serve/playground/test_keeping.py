"""History in the browser: named, deleted, taken out as a file and brought in again."""

import copy
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

USER = {"role": "user", "parent": None, "parts": [{"kind": "text", "text": "Hello"}]}
STORED = """async (store) => {
  const database = await new Promise((done) => (indexedDB.open('tejat').onsuccess = (e) => done(e.target.result)));
  const rows = await new Promise((done) => {
    database.transaction(store).objectStore(store).getAll().onsuccess = (e) => done(e.target.result);
  });
  database.close();
  return rows.length;
}"""


@pytest.fixture
def talked(visit, files):
    """Two conversations, the first with a picture in, the second with pictures out and a branch."""
    here = visit().loaded()
    answers(here, "Text only")
    here.settings(Longest_answer="40")
    here.attach(files["dusk.png"])
    here.send("A picture of dusk")
    answers(here, "Text and pictures")
    here.page.keyboard.press("Alt+n")
    here.choose_model("artist")
    here.send("Draw")
    here.button("Ask again").click()
    here.answered()
    return here


def answers(here, kind: str) -> None:
    here.button("Settings", exact=True).click()
    here.page.get_by_label(kind).check(force=True)
    here.button("Close the settings").click()


def titles(here) -> list[str]:
    return here.page.locator(".history .title").all_inner_texts()


def test_rename_and_delete(talked) -> None:
    here = talked
    assert titles(here) == ["Draw", "A picture of dusk"]
    here.button("Rename: Draw").click()
    here.page.get_by_role("textbox", name="Name").fill("The <i>moon</i>")
    here.shot("rename")
    here.page.keyboard.press("Enter")
    here.page.get_by_text("The <i>moon</i>").first.wait_for()
    assert titles(here) == ["The <i>moon</i>", "A picture of dusk"]

    media = here.page.evaluate(STORED, "media")
    here.page.locator(".history li").nth(1).hover()
    here.button("Delete: A picture of dusk").click()
    here.shot("delete")
    here.page.get_by_role("button", name="Cancel").click()
    assert len(titles(here)) == 2
    here.page.locator(".history li").nth(1).hover()
    here.button("Delete: A picture of dusk").click()
    here.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    here.until("document.querySelectorAll('.history .title').length === 1")
    assert here.page.evaluate(STORED, "conversations") == 1
    assert here.page.evaluate(STORED, "media") == media - 1  # its picture went with it, the drawn ones stay

    # The one on show may go too; then there is a new one.
    here.page.locator(".history li").first.hover()
    here.button("Delete: The <i>moon</i>").click()
    here.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    here.until("document.querySelectorAll('.history .title').length === 0")
    assert here.page.get_by_text("What shall we look at?").is_visible()
    assert here.page.evaluate(STORED, "conversations") == here.page.evaluate(STORED, "media") == 0
    here.page.reload()
    here.loaded()
    assert titles(here) == []


def test_switching(talked) -> None:
    here = talked
    here.page.locator(".history .title").nth(1).click()
    here.until("document.querySelector('.said')?.textContent === 'A picture of dusk'")
    assert here.page.title() == "A picture of dusk · Tejat"
    assert here.page.locator(".picker option:checked").inner_text() == "micro"  # its own model
    here.page.locator(".history .title").first.click()
    here.until("document.querySelector('.said')?.textContent === 'Draw'")
    assert here.page.locator(".picker option:checked").inner_text() == "artist"
    assert "2 of 2" in here.messages.last.inner_text()


def test_an_answer_goes_on_in_the_background(visit) -> None:
    here = visit().loaded()
    here.ask_at_length()
    here.send("A long one", wait=False)
    here.button("New conversation").click()
    assert here.page.get_by_text("What shall we look at?").is_visible()
    here.page.locator(".history .title").first.click()
    here.begun()
    here.answered()
    assert len(json.loads(here.messages.last.locator("pre").inner_text())) >= 300


def test_export_and_import(talked, visit, tmp_path) -> None:
    here = talked
    with here.page.expect_download() as download:
        here.button("Export all").click()
    path = tmp_path / "all.json"
    download.value.save_as(path)
    value = json.loads(path.read_text())
    assert value["tejat"] == 1 and len(value["conversations"]) == 2
    assert all(set(medium) == {"name", "mime", "data"} for medium in value["media"].values())

    there = visit().loaded()
    bring(there, path)
    there.page.get_by_text("2 conversations imported.").wait_for()
    assert titles(there) == ["Draw", "A picture of dusk"]
    for number in (0, 1):
        for one in (here, there):
            one.page.locator(".history .title").nth(number).click()
            one.until(f"document.querySelector('.said').textContent === {json.dumps(titles(here)[number])}")
            one.until("[...document.querySelectorAll('.medium')].every((n) => n.querySelector('img')?.naturalWidth)")
        assert there.page.locator(".messages").inner_text() == here.page.locator(".messages").inner_text()
        sizes = "[...document.querySelectorAll('.medium img')].map((n) => [n.naturalWidth, n.naturalHeight])"
        assert there.page.evaluate(sizes) == here.page.evaluate(sizes)

    # Twice the same file is twice the conversations: nothing is overwritten.
    bring(there, path)
    there.until("document.querySelectorAll('.history .title').length === 4")


SAID = """async () => {
  const database = await new Promise((done) => (indexedDB.open('tejat').onsuccess = (e) => done(e.target.result)));
  const [row] = await new Promise((done) => {
    const store = database.transaction('conversations').objectStore('conversations');
    store.getAll().onsuccess = (e) => done(e.target.result);
  });
  database.close();
  return Object.values(row.nodes).filter((n) => n.role === 'user').map((n) => n.parts[0].text).sort();
}"""


def test_two_tabs_in_one_conversation_lose_nothing(visit) -> None:
    """Both go on from the same message: two branches."""
    here = visit().loaded()
    here.settings(Longest_answer="12")
    here.send("One")
    there = copy.copy(here)
    there.page = here.context.new_page()
    there.page.goto(here.served.url)
    there.loaded()
    there.page.locator(".history .title").first.click()
    there.page.get_by_text("One", exact=True).first.wait_for()
    here.send("Two")
    there.send("Three")
    assert here.page.evaluate(SAID) == ["One", "Three", "Two"]
    here.send("Four")
    assert here.page.evaluate(SAID) == ["Four", "One", "Three", "Two"]
    there.page.reload()
    there.loaded()
    there.page.locator(".history .title").first.click()
    there.page.get_by_text("Four", exact=True).first.wait_for()  # the branch chosen last


@pytest.mark.parametrize(
    ("conversations", "media", "said"),
    [
        ([None], {}, "is empty or no conversation"),
        ([{"nodes": {"a": {"role": "king", "parts": []}}}], {}, "without a role"),
        ([{"nodes": {"a": USER | {"parent": "b"}}}], {}, "whose parent is missing"),
        ([{"nodes": {"a": USER | {"parent": "b"}, "b": USER | {"parent": "a"}}}], {}, "in a circle"),
        (
            [{"nodes": {"a": USER | {"parts": [{"kind": "image", "media": "x"}]}}}],
            {},
            "a medium that is not in the file",
        ),
        ([], {"x": {"name": "a.png", "data": "?"}}, "not base64"),
        ([], {"x": {"name": "a.svg", "mime": "image/svg+xml", "data": "AA=="}}, "is no picture, sound or film"),
    ],
)
def test_bad_imports(visit, tmp_path, conversations, media, said) -> None:
    """One sentence each, and nothing is added."""
    here = visit().loaded()
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"tejat": 1, "conversations": conversations, "media": media}))
    refused(here, path, said)


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ("[]", "is no export"), ("null", "is no export")])
def test_no_exports(visit, tmp_path, text, said) -> None:
    here = visit().loaded()
    path = tmp_path / "bad.json"
    path.write_text(text)
    refused(here, path, said)


def refused(here, path: Path, said: str) -> None:
    bring(here, path)
    here.until("document.querySelector('#announcement.shown')")
    assert said in here.page.locator("#announcement").inner_text()
    assert titles(here) == [] and here.page.evaluate(STORED, "media") == 0


def bring(here, path: Path) -> None:
    with here.page.expect_file_chooser() as chooser:
        here.button("Import").click()
    chooser.value.set_files(str(path))
