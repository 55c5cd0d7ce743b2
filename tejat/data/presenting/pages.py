"""Pages with a title, some with a summary: read as they are, or to be given a title or summed up.

Wordings are chosen when a document is drawn. A page in a language that has none here is asked about in English.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tejat.data.shards import Item
from tejat.parts import Document, Text, Turn

PLAIN = 0.75  # the share of pages that are read as they are
LONGEST = 6_000  # characters of a page that is asked about

TITLE: Mapping[str, tuple[str, ...]] = {
    "en": (
        "Give this text a title.",
        "What is the title of this section?",
        "Write a heading for the text below.",
        "Suggest a title.",
        "What would be a good title?",
    ),
    "de": ("Gib diesem Text eine Überschrift.", "Wie heißt dieser Abschnitt?"),
    "fr": ("Donne un titre à ce texte.", "Quel est le titre de cette section ?"),
    "es": ("Pon un título a este texto.", "¿Cuál es el título de esta sección?"),
    "it": ("Dai un titolo a questo testo.",),
    "pt": ("Dá um título a este texto.",),
    "pt-BR": ("Dê um título a este texto.",),
    "nl": ("Geef deze tekst een titel.",),
    "sv": ("Ge den här texten en rubrik.",),
    "pl": ("Nadaj temu tekstowi tytuł.",),
    "cs": ("Dej tomuto textu nadpis.",),
    "ru": ("Придумай заголовок к этому тексту.",),
    "uk": ("Придумай заголовок до цього тексту.",),
    "ja": ("この文章に題名を付けてください。",),
    "ko": ("이 글에 제목을 붙여 주세요.",),
    "zh-CN": ("请给这段文字拟一个标题。",),
    "zh-TW": ("請給這段文字擬一個標題。",),
}
SUMMARY: Mapping[str, tuple[str, ...]] = {
    "en": (
        "Sum this up in one line.",
        "Summarise the text below in one sentence.",
        "In short, what is this about?",
        "Summarise:",
        "Summarize this.",
        "TL;DR",
        "What is this text about?",
        "Give a summary in one sentence.",
        "Please summarise the following.",
        "Say it in a line.",
    ),
    "de": (
        "Fasse das in einer Zeile zusammen.",
        "Worum geht es hier, kurz gesagt?",
        "Fasse zusammen:",
        "Kurz gefasst, bitte.",
    ),
    "fr": ("Résume ceci en une ligne.", "En bref, de quoi s'agit-il ?", "Résume :", "Fais un résumé en une phrase."),
    "es": ("Resume esto en una línea.", "En breve, ¿de qué trata?", "Resume:", "Haz un resumen en una frase."),
    "it": ("Riassumi in una riga.", "Riassumi:", "In breve, di che cosa si tratta?"),
    "pt": ("Resume isto numa linha.",),
    "pt-BR": ("Resuma isto em uma linha.",),
    "nl": ("Vat dit samen in één regel.", "Vat samen:", "Waar gaat dit kort gezegd over?"),
    "sv": ("Sammanfatta detta på en rad.",),
    "pl": ("Streść to w jednym zdaniu.",),
    "cs": ("Shrň to jednou větou.",),
    "ru": ("Изложи это одной строкой.", "Кратко:", "О чём это, в двух словах?"),
    "uk": ("Виклади це одним рядком.",),
    "ja": ("これを一行で要約してください。", "要約：", "短く言うと何の話ですか？"),
    "ko": ("한 줄로 요약해 주세요.",),
    "zh-CN": ("请用一句话概括。", "概括：", "简单地说，这讲的是什么？"),
    "zh-TW": ("請用一句話概括。",),
}


def page(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A page, or a dialogue on it. Fields: "title", "text", "language"; "summary" and "piece" [number, of] where there
    are such. Of a page in pieces the first alone is asked about, for a title must not be guessed from its middle."""
    fields = items[k].fields
    number, _ = fields.get("piece", (0, 1))
    heading = f"# {fields['title']}\n\n" if number == 0 else ""
    if number or random.random() < PLAIN:
        return Document.of([Text(heading + fields["text"])])
    summary = fields.get("summary")
    if summary and random.random() < 0.7:
        # With its title, half the time: a reader often has it.
        shown = (heading if random.random() < 0.5 else "") + fields["text"]
        return _asked(SUMMARY, fields["language"], shown, summary, random)
    return _asked(TITLE, fields["language"], fields["text"], fields["title"], random)


def package(items: Sequence[Item], k: int, random: np.random.Generator) -> Document:
    """A piece of software: what it does in one line, what it does in many, or the one from the other. As `page`, but
    the name stands before both, and nobody could guess it from the text."""
    fields = items[k].fields
    if random.random() < 0.4:
        return Document.of([Text(f"{fields['title']}: {fields['summary']}\n\n{fields['text']}")])
    name = f"{fields['title']}\n\n" if random.random() < 0.5 else ""
    return _asked(SUMMARY, fields["language"], name + fields["text"], fields["summary"], random)


def joined(items: Sequence[Item], k: int, limit: int) -> Item:
    """Item k, a piece of a page, with the pieces that follow it, up to `limit` bytes of text; at least the item."""
    fields = items[k].fields
    texts, size = [fields["text"]], len(fields["text"].encode())
    number, _ = fields["piece"]
    for j in range(k + 1, len(items)):
        after = items[j].fields
        same = all(after.get(name) == fields.get(name) for name in ("group", "language", "title"))
        if not same or after.get("piece", (-1,))[0] != number + len(texts):
            break
        size += 2 + len(after["text"].encode())
        if size > limit:
            break
        texts.append(after["text"])
    return replace(items[k], fields=fields | {"text": "\n\n".join(texts)})


def _asked(
    wordings: Mapping[str, tuple[str, ...]], language: str, text: str, answer: str, random: np.random.Generator
) -> Document:
    choices = wordings.get(language, wordings["en"])
    wording = choices[int(random.integers(len(choices)))]
    text = _cut(text)
    prompt = f"{wording}\n\n{text}" if random.random() < 0.5 else f"{text}\n\n{wording}"
    return Document.from_turns([Turn("user", (Text(prompt),)), Turn("model", (Text(answer),))])


def _cut(text: str) -> str:
    """The beginning of a long text, up to the end of a paragraph where there is one."""
    if len(text) <= LONGEST:
        return text
    end = text.rfind("\n\n", LONGEST // 2, LONGEST)
    return text[: end if end > 0 else LONGEST]
