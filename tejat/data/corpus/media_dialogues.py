"""Acted dialogue of Fish Fillets, a game, in Czech and Dutch, with its lines in 15 languages."""

from collections.abc import Iterator
from pathlib import Path

from tejat.data.corpus import media_sound
from tejat.data.corpus.language import tag
from tejat.data.corpus.source import Dropped, Paths, by_group
from tejat.data.corpus.text_dialogues import lines_of
from tejat.data.shards import Item
from tejat.errors import BadInput

SPOKEN = ("cs", "nl")
HELD_OUT_SHARE = 0.10  # of the levels


def dialogues(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Items of the kind "speech": a line that is acted, with what it says in other languages."""
    scripts = paths["fillets-ng-data"] / "usr/share/games/fillets-ng/script"
    for level in sorted(path for path in scripts.iterdir() if path.is_dir()):
        told = {
            tag(f.stem.removeprefix("dialogs_")): lines_of(f.read_text("utf-8", "replace"))
            for f in sorted(level.glob("dialogs_*.lua"))
        }
        for language in SPOKEN:
            package = paths.get(f"fillets-ng-data-{language}")
            if package is None or language not in told:
                continue
            folder = package / f"usr/share/games/fillets-ng/sound/{level.name}/{language}"
            for path in sorted(folder.glob("*.ogg")):
                yield from _line(path, language, level.name, told, dropped)


def heldout(item: Item) -> bool:
    """Is its level kept from training, spoken here and written in the texts?"""
    return by_group(item, HELD_OUT_SHARE)


def is_held_out(level: str) -> bool:
    """Is all that is said in a level kept from training, whoever says it?"""
    return heldout(Item("level", {"group": f"fillets/{level}"}))


def _line(path: Path, language: str, level: str, told: dict, dropped: Dropped) -> Iterator[Item]:
    speaker, text = told[language].get(path.stem, ("", ""))
    if not text:
        dropped.drop("recordings whose line is not in the script", f"{level}/{path.name}")
        return
    try:
        sound = media_sound.recording(path)
    except BadInput as error:
        dropped.drop("recordings that cannot be used", f"{level}/{path.name}: {error}")
        return
    texts = {_tag(other): lines[path.stem][1] for other, lines in told.items() if path.stem in lines}
    yield Item(
        "speech",
        {
            "text": text,
            "language": language,
            "texts": texts,
            "speaker": f"fillets/{language}/{speaker}",
            "seconds": round(sound.seconds, 2),
            "group": f"fillets/{level}",
        },
        {"speech.opus": media_sound.opus(sound)},
    )


def _tag(language: str) -> str:
    """The language as concepts have it."""
    return {"zh-CN": "zh", "pt-BR": "pt"}.get(language, language)
