"""Talking with real models in real Chromium: text, pictures, sound and film, in and out, as a person does it."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image as pillow

from tejat import media

pytestmark = pytest.mark.slow

SCREENS = [(1280, False), (1280, True), (360, False), (360, True)]


def kinds(contents: dict) -> list[str]:
    """Of the parts of a content: "text", or the first half of the MIME type."""
    return [
        "text" if "text" in part else (part.get("inlineData") or part["fileData"])["mimeType"].split("/")[0]
        for part in contents["parts"]
    ]


def shown(visit, message=-1) -> list[str]:
    """Kinds of what a message shows, from the top."""
    script = """node => [...node.querySelector('.body').children].map((n) =>
      n.classList.contains('medium') ? n.classList[1] : n.matches('.markdown, .said, div') ? 'text' : 'other')"""
    return visit.messages.nth(message).evaluate(script)


@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_first_screen(visit, width, dark) -> None:
    here = visit(width=width, dark=dark).loaded()
    assert here.page.title() == "Tejat"
    assert here.prompt.evaluate("node => node === document.activeElement")
    assert here.page.evaluate("document.documentElement.scrollWidth") <= width
    assert here.page.locator(".picker option").all_inner_texts() == ["micro", "artist"]
    paper = here.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 380) == dark
    here.shot("first")


def test_text(visit) -> None:
    here = visit().loaded()
    here.settings(Longest_answer="40", Seed="7")
    here.send("Hello *you* <b>there</b>")
    assert here.messages.count() == 2
    assert here.page.locator(".said").inner_text() == "Hello *you* <b>there</b>"
    answer = here.messages.last.locator(".body").inner_text()
    assert answer.strip()
    assert re.search(r"40 tokens", here.messages.last.locator(".figures").inner_text())
    assert "Ended at the longest answer allowed." in here.messages.last.inner_text()
    model, body = here.requests[0]
    assert model == "micro" and body["contents"] == [{"role": "user", "parts": [{"text": "Hello *you* <b>there</b>"}]}]
    assert body["generationConfig"] == {"maxOutputTokens": 40, "seed": 7, "responseModalities": ["TEXT", "IMAGE"]}

    # The same seed gives the same answer, as a second branch in the same place.
    here.button("Ask again").click()
    here.answered()
    assert here.messages.count() == 2
    assert here.messages.last.locator(".body").inner_text() == answer
    assert "2 of 2" in here.messages.last.inner_text()
    here.button("Earlier branch").click()
    assert "1 of 2" in here.messages.last.inner_text()

    # The next request says all that was said, in turns.
    here.send("And now?")
    roles = [content["role"] for content in here.requests[-1][1]["contents"]]
    assert roles == ["user", "model", "user"]

    # All of it is still there after the page was left.
    before = here.page.locator(".messages").inner_text()
    here.page.reload()
    here.loaded()
    here.until("document.querySelectorAll('article.message').length === 4")
    assert here.page.locator(".messages").inner_text() == before


def test_stop(visit) -> None:
    here = visit().loaded()
    here.ask_at_length()
    here.send("Go on for long", wait=False)
    here.begun()
    here.button("Stop the answer").click()
    here.answered()
    assert "Stopped." in here.messages.last.inner_text()
    kept = here.messages.last.locator("pre").inner_text()
    assert kept.startswith("[") and not kept.endswith("]")
    assert not here.button("Send").is_enabled()  # an empty prompt
    here.page.wait_for_timeout(700)
    assert here.messages.last.locator("pre").inner_text() == kept

    here.send("Once more", wait=False)
    here.begun()
    here.page.keyboard.press("Escape")
    here.answered()
    assert "Stopped." in here.messages.last.inner_text()


def test_pictures(visit) -> None:
    here = visit().loaded()
    here.choose_model("artist")
    here.settings(Longest_answer="160", Seed="7")
    answered = []

    def overheard(route) -> None:  # Chromium does not keep the bodies of streams that a page reads
        response = route.fetch()
        answered.append(response.text())
        route.fulfill(response=response)

    here.page.route(re.compile("streamGenerateContent"), overheard)
    here.send("Draw the moon")
    here.until("document.querySelectorAll('.medium img').length > 0")
    events = [json.loads(line[6:]) for line in answered[0].splitlines() if line.startswith("data: ")]
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    given = ["image" if "inlineData" in part else "text" for part in parts if part.get("text") != ""]
    joined = [kind for at, kind in enumerate(given) if not (at and kind == "text" == given[at - 1])]
    here.until(f"document.querySelectorAll('.medium img').length === {joined.count('image')}")
    assert "image" in joined and shown(here) == joined
    here.shot("drawn")
    # Who does not see a picture hears what the model said before it.
    told, said = [], ""
    for number, part in enumerate(parts):
        after_text = number and "text" in parts[number - 1]
        said = (said if after_text else "") + part["text"] if part.get("text") else said
        told += [said.strip()[-200:]] if "inlineData" in part else []
    alts = here.page.locator(".medium img").evaluate_all("nodes => nodes.map((n) => n.alt)")
    assert any(told) and all(
        alt.startswith("drawn-") if not one else alt == one for one, alt in zip(told, alts, strict=True)
    )

    first = base64.b64decode(next(part for part in parts if "inlineData" in part)["inlineData"]["data"])
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name=re.compile("^Download: drawn-")).first.click()
    assert download.value.path().read_bytes() == first

    here.button("Enlarge drawn-", exact=False).first.click()
    size = pillow.open(io.BytesIO(first)).size
    large = here.page.locator("dialog img").bounding_box()
    assert large["width"] / large["height"] == pytest.approx(size[0] / size[1], rel=0.05)
    here.shot("enlarged")
    here.page.keyboard.press("Escape")
    here.page.locator("dialog").wait_for(state="detached")

    here.page.get_by_role("button", name=re.compile("^Use as input: drawn-")).first.click()
    here.send("Again, brighter")
    last = here.requests[-1][1]["contents"][-1]
    assert kinds(last) == ["image", "text"]
    assert base64.b64decode(last["parts"][0]["inlineData"]["data"]) == first


@pytest.mark.parametrize(("answers", "first"), [("Text only", "text"), ("Picture first", "image")])
def test_kinds_of_answer(visit, answers, first) -> None:
    here = visit().loaded()
    here.choose_model("artist")
    here.button("Settings", exact=True).click()
    here.page.get_by_label(answers).check(force=True)
    here.settings(Longest_answer="60")
    here.send("Draw")
    drew = shown(here)
    assert drew[0] == first and (first == "image" or drew == ["text"])


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_media_in_their_order(visit, files, width, dark) -> None:
    here = visit(width=width, dark=dark).loaded()
    here.settings(Longest_answer="8")
    here.prompt.fill("First ")
    here.attach(files["dusk.png"])
    here.prompt.fill("then")
    here.attach(files["tone.wav"])
    here.attach(files["clip.webm"], files["large.png"])
    here.prompt.fill("what?")
    here.until("document.querySelectorAll('.chip').length === 4")
    here.shot("attached")
    assert here.page.locator(".card").count() == 4
    assert here.page.locator(".card.video video").get_attribute("poster").startswith("blob:")
    assert here.page.locator(".card.audio rect").count() == 64
    assert here.page.evaluate("document.documentElement.scrollWidth") <= width
    here.send()
    content = here.requests[0][1]["contents"][0]
    assert kinds(content) == ["text", "image", "text", "audio", "video", "image", "text"]
    assert [part["text"] for part in content["parts"] if "text" in part] == ["First", "then", "what?"]
    photo = base64.b64decode(content["parts"][1]["inlineData"]["data"])
    assert photo == files["dusk.png"].read_bytes()
    # The large one went ahead, once, as a file; counting and sending both refer to it.
    assert here.uploads == 1 and "fileUri" in content["parts"][5]["fileData"]
    assert shown(here, 0) == ["text", "image", "text", "audio", "video", "image", "text"]
    assert here.messages.last.locator(".error").count() == 0
    here.shot("sent")

    # A sound plays and moves on.
    here.button("Play tone.wav").first.click()
    here.until("document.querySelectorAll('.track rect.played').length > 3")


def test_moving_and_removing(visit, files) -> None:
    here = visit().loaded()
    here.settings(Longest_answer="4")
    here.attach(files["dusk.png"], files["tone.wav"])
    assert here.button("Move earlier: dusk.png").is_disabled()
    here.button("Move earlier: tone.wav").click()
    assert here.button("Move earlier: tone.wav").is_disabled()
    here.prompt.fill("Which came first?")
    here.button("Move later: tone.wav").click()
    here.button("Move later: tone.wav").click()
    here.button("Send").click()
    here.answered()
    assert kinds(here.requests[0][1]["contents"][0]) == ["image", "text", "audio"]
    here.attach(files["dusk.png"])
    here.button("Remove dusk.png").click()
    assert here.page.locator(".card").count() == 0 and not here.button("Send").is_enabled()


PASTE = """async (bytes) => {
  const file = new File([new Uint8Array(bytes)], 'image.png', { type: 'image/png' });
  const data = new DataTransfer();
  data.items.add(file);
  document.querySelector('#prompt').dispatchEvent(
    new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}"""

DRAG = """async ([events, files]) => {
  const data = new DataTransfer();
  for (const [name, type, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name, { type }));
  const where = document.querySelector('.conversation');
  const event = { dataTransfer: data, bubbles: true, cancelable: true };
  for (const name of events) where.dispatchEvent(new DragEvent(name, event));
}"""


def test_paste_and_drop(visit, files) -> None:
    here = visit().loaded()
    here.page.evaluate(PASTE, list(files["dusk.png"].read_bytes()))
    here.until("document.querySelectorAll('.card.image').length === 1")

    tone = ["tone.wav", "audio/wav", list(files["tone.wav"].read_bytes())]
    here.page.evaluate(DRAG, [["dragenter", "dragover"], [tone]])
    assert here.page.get_by_text("Drop pictures, sound or film").is_visible()
    here.shot("drop")
    here.page.evaluate(DRAG, [["dragleave"], [tone]])
    assert not here.page.get_by_text("Drop pictures, sound or film").is_visible()
    here.page.evaluate(DRAG, [["dragenter", "drop"], [tone]])
    here.until("document.querySelectorAll('.card.audio').length === 1")
    assert not here.page.get_by_text("Drop pictures, sound or film").is_visible()

    here.page.evaluate(
        DRAG, [["dragenter", "drop"], [["notes.txt", "text/plain", [65]], ["empty.png", "image/png", []]]]
    )
    said = here.page.locator("#announcement")
    here.until("document.querySelector('#announcement').textContent.includes('is empty')")
    assert said.inner_text() == "“empty.png” is empty; choose another file."
    assert here.page.locator(".card").count() == 2


def test_recording(visit) -> None:
    """Chromium's false microphone beeps; what arrives is WAV at the rate of the model."""
    here = visit().loaded()
    here.settings(Longest_answer="4")
    here.button("Record sound").click()
    here.page.wait_for_timeout(1500)
    here.shot("recording")
    here.button("Discard").click()
    assert here.page.locator(".card").count() == 0
    here.button("Record sound").click()
    here.page.wait_for_timeout(2000)
    here.button("Keep").click()
    here.page.locator(".card.audio").wait_for()
    here.send("What is that?")
    part = here.requests[0][1]["contents"][0]["parts"][0]["inlineData"]
    assert part["mimeType"] == "audio/wav"
    sound = media.read_audio(base64.b64decode(part["data"]))
    assert sound.rate == 16_000 and 1.2 < sound.seconds < 6
    assert np.abs(sound.samples).max() > 0.05


def test_clip_of_a_film(visit, files) -> None:
    here = visit().loaded()
    here.settings(Longest_answer="4")
    here.attach(files["clip.webm"])
    here.page.get_by_text("Clip and frame rate").click()
    start = here.page.get_by_label("From", exact=True)
    start.focus()
    for _ in range(12):
        here.page.keyboard.press("ArrowRight")
    end = here.page.get_by_label("To", exact=True)
    end.focus()
    for _ in range(20):
        here.page.keyboard.press("ArrowLeft")
    here.page.get_by_label("Frames a second").fill("2")
    assert "1.2 s – 4.0 s of 6.0 s" in here.page.locator(".clip output").inner_text()
    here.shot("clip")
    # The ends do not cross.
    start.evaluate("n => { n.value = 5.5; n.dispatchEvent(new Event('input')); }")
    assert start.evaluate("n => n.valueAsNumber") < end.evaluate("n => n.valueAsNumber")
    start.evaluate("n => { n.value = 1.2; n.dispatchEvent(new Event('input')); }")
    here.send("What moves?")
    part = here.requests[0][1]["contents"][0]["parts"][0]
    assert part["videoMetadata"] == {"startOffset": "1.2s", "endOffset": "4s", "fps": 2}
    assert here.messages.last.locator(".error").count() == 0
    assert "1.2 s – 4.0 s, 2 frames a second" in here.messages.first.inner_text()


def test_counter(visit, files) -> None:
    here = visit().loaded()
    with here.page.expect_response(re.compile("countTokens")) as counting:
        here.attach(files["dusk.png"])
    counted = counting.value.json()
    by_kind = {detail["modality"]: detail["tokenCount"] for detail in counted["promptTokensDetails"]}
    here.until("!document.querySelector('.counter').matches('.stale, [hidden]')")
    assert here.page.locator(".chip.image").inner_text() == str(by_kind["IMAGE"])
    assert here.page.locator(".total [aria-hidden]").inner_text() == f"{counted['totalTokens']} / 2,048"

    here.button("Remove dusk.png").click()
    here.prompt.fill("star " * 3000)
    here.until("document.querySelector('.counter').classList.contains('over')")
    here.shot("over")
    here.prompt.press("Enter")
    assert "more than the model can hold" in here.page.locator("#announcement").inner_text()
    assert not here.requests and here.messages.count() == 0
    assert here.prompt.input_value().startswith("star star")


def test_settings_and_schema(visit) -> None:
    here = visit().loaded()
    here.button("Settings", exact=True).click()
    page = here.page
    page.get_by_label("System instruction").fill("Be brief.")
    for label, value in [
        ("Temperature", "0.4"),
        ("Top P", "0.9"),
        ("Top K", "20"),
        ("Longest answer", "300"),
        ("Seed", "5"),
    ]:
        page.get_by_role("spinbutton", name=label).fill(value)
    page.get_by_label("Stop at").fill("one\ntwo\n")
    page.get_by_label("Resolution").select_option("LOW")
    page.get_by_label("Shape of drawn pictures").select_option("16:9")
    page.get_by_label("Answer in JSON").check()
    page.get_by_label("JSON schema").fill('{"type": "object",')
    assert page.locator("#error-schema").inner_text().startswith("The schema is not JSON")
    here.shot("settings")
    schema = {"type": "object", "properties": {"far": {"type": "boolean"}, "kind": {"enum": ["red", "blue"]}}}
    schema |= {"required": ["far", "kind"], "additionalProperties": False}
    page.get_by_label("JSON schema").fill(json.dumps(schema))
    assert page.locator("#error-schema").inner_text() == ""
    page.get_by_role("spinbutton", name="Top K").fill("0.5")
    assert page.locator("#error-topK").inner_text() == "Give a whole number from 1 to 1,000."
    page.get_by_role("spinbutton", name="Top K").fill("20")
    here.button("Close the settings").click()

    here.send("Which star?")
    _, body = here.requests[0]
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["generationConfig"] == {
        "temperature": 0.4,
        "topP": 0.9,
        "topK": 20,
        "maxOutputTokens": 300,
        "seed": 5,
        "stopSequences": ["one", "two"],
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
        "responseModalities": ["TEXT"],
    }
    assert here.messages.last.locator(".error").count() == 0, here.messages.last.inner_text()
    answer = json.loads(here.messages.last.locator("pre").inner_text())
    assert set(answer) == {"far", "kind"} and answer["kind"] in ("red", "blue")

    here.button("Settings", exact=True).click()
    here.button("All to the defaults").click()
    here.button("Close the settings").click()
    here.send("And in words?", wait=False)
    here.page.keyboard.press("Escape")
    here.answered()
    assert here.requests[-1][1]["generationConfig"] == {"responseModalities": ["TEXT", "IMAGE"]}


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_how_pictures_are_drawn(visit, width, dark) -> None:
    """Size, guidance, choice of codes, and the best of several, which comes whole."""
    here = visit(width=width, dark=dark).loaded()
    here.choose_model("artist")
    here.button("Settings", exact=True).click()
    page = here.page
    page.get_by_label("Picture first").check(force=True)
    size = page.get_by_label("Size of drawn pictures")
    size.fill("large")
    assert page.locator("#error-size").inner_text() == "Give 512px, 1K, 2K, or width x height, as in 96x64."
    page.get_by_label("Shape of drawn pictures").select_option("16:9")
    size.fill("48x32")
    assert not page.locator("#error-size").is_visible()
    assert page.get_by_label("Shape of drawn pictures").is_disabled()  # pixels have a shape
    for label, value in [("Guidance", "2"), ("Variety", "0.8"), ("Likeliest codes", "9"), ("Best of", "3")]:
        page.get_by_role("spinbutton", name=label).fill(value)
    page.get_by_role("spinbutton", name="Best of").scroll_into_view_if_needed()
    here.shot("drawing")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    here.button("Close the settings").click()
    here.send("A cat", wait=False)
    page.get_by_text("Drawing 3, to show the best").wait_for()
    here.answered()
    drawing = {"guidanceScale": 2, "temperature": 0.8, "topK": 9, "bestOf": 3, "imageSize": "48x32"}
    assert here.requests[0][1]["generationConfig"] == {"responseModalities": ["IMAGE"], "imageConfig": drawing}
    assert here.messages.last.locator(".error").count() == 0, here.messages.last.inner_text()
    assert shown(here) == ["image"]
    here.until("document.querySelector('.message.model img')?.naturalWidth > 0")
    pixels = page.locator(".message.model img").evaluate("n => [n.naturalWidth, n.naturalHeight]")
    assert pixels == [48, 32]

    # Of a shape, and streamed; without pictures nothing of it is sent.
    here.button("Settings", exact=True).click()
    size.fill("")
    page.get_by_role("spinbutton", name="Best of").fill("")
    here.button("Close the settings").click()
    here.send("Another")
    drawing = {"guidanceScale": 2, "temperature": 0.8, "topK": 9, "aspectRatio": "16:9"}
    assert here.requests[1][1]["generationConfig"]["imageConfig"] == drawing
    here.button("Settings", exact=True).click()
    page.get_by_label("Text only").check(force=True)
    assert page.get_by_role("spinbutton", name="Guidance").is_disabled()
    here.settings(Longest_answer="5")
    here.send("In words")
    assert "imageConfig" not in here.requests[2][1]["generationConfig"]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, False)])
def test_side_by_side(visit, width, dark) -> None:
    here = visit(width=width, dark=dark).loaded()
    here.settings(Longest_answer="30")
    here.button("Compare two answers").click()
    assert here.page.get_by_label("Model of answer B").evaluate("n => n.value") == "models/artist"
    here.send("Who are you?")
    assert sorted(model for model, _ in here.requests) == ["artist", "micro"]
    pair = here.page.locator(".pair article")
    assert pair.count() == 2
    said = [name.split() for name in here.page.locator(".pair .speaker").all_inner_texts()]
    assert said == [["A", "micro"], ["B", "artist"]]
    boxes = [pair.nth(at).bounding_box() for at in (0, 1)]
    beside = boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"] and boxes[0]["y"] == pytest.approx(boxes[1]["y"], abs=2)
    below = boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    assert beside if width > 600 else below
    assert here.page.evaluate("document.documentElement.scrollWidth") <= width
    here.shot("pair")

    # B's own settings, and the talk goes on from B.
    here.button("Settings", exact=True).click()
    here.page.get_by_role("tab", name="Answer B").click()
    here.page.get_by_role("spinbutton", name="Seed").fill("99")
    here.button("Close the settings").click()
    here.button("Go on from here").click()
    assert pair.nth(1).get_by_role("button", name="The talk goes on from here").get_attribute("aria-pressed") == "true"
    here.send("Go on")
    bodies = dict(here.requests[2:])
    assert bodies["artist"]["generationConfig"]["seed"] == 99 and "seed" not in bodies["micro"]["generationConfig"]
    said = bodies["micro"]["contents"]
    assert said == bodies["artist"]["contents"] and [turn["role"] for turn in said] == ["user", "model", "user"]
    assert "image" in kinds(said[1])  # artist's answer

    here.button("Compare two answers").click()
    here.send("Alone")
    assert len(here.requests) == 5 and here.page.locator(".pair").count() == 2


def test_edit_makes_a_branch(visit, files) -> None:
    here = visit().loaded()
    here.settings(Longest_answer="6")
    here.attach(files["dusk.png"])
    here.send("What is it?")
    here.send("And then?")
    here.messages.first.hover()
    here.button("Edit").first.click()
    assert here.prompt.input_value() == "What is it?" and here.page.locator(".card").count() == 1
    here.shot("editing")
    here.button("Cancel").click()
    assert here.prompt.input_value() == ""
    here.messages.first.hover()
    here.button("Edit").first.click()
    here.prompt.fill("What was it?")
    here.prompt.press("Enter")
    here.until("document.querySelector('.said').textContent === 'What was it?'")
    here.answered()
    assert here.messages.count() == 2 and "2 of 2" in here.messages.first.inner_text()
    assert kinds(here.requests[-1][1]["contents"][0]) == ["image", "text"]
    here.messages.first.get_by_role("button", name="Earlier branch").click()
    assert here.messages.count() == 4 and here.page.locator(".said").first.inner_text() == "What is it?"
    # The last message by the arrow, from an empty prompt.
    here.prompt.press("ArrowUp")
    assert here.prompt.input_value() == "And then?"
