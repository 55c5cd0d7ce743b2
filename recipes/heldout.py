"""Writes the lists of what no model of Tejat is trained on, tejat/data/heldout/*.json.

python recipes/heldout.py WORK

Needs npm, for Emojibase's list of concepts, in the directory WORK: seconds. Result: 205 concepts, in every style; two
families of styles; the sample's held-out voices and two of eSpeak's; three well-known data sets. The lists are to be
made anew only on purpose: what was trained before would have seen what is held out then.
"""

import json
import subprocess
import sys
from pathlib import Path

from tejat import sample
from tejat.data import splits
from tejat.data.corpus import media_concepts, media_voices

DATA_SETS = ("vega/gapminder", "vega/gapminder-health-income", "vega/movies")


def write(axis: str, fields: list[str], about: str, ids: list[str], **more) -> None:
    """Writes one list."""
    ids = sorted(set(ids))
    value = {"about": about, "axis": axis, "fields": fields, **more, "sha256": splits.sha256(ids), "heldout": ids}
    path = splits.FOLDER / f"{axis}.json"
    path.write_text(json.dumps(value, indent=1) + "\n")
    print(f"{path.name}: {len(ids)} held out")


def main(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(work)]
    subprocess.run([*install, "emojibase-data@17"], check=True, stdout=subprocess.DEVNULL)
    entries = json.loads((work / "node_modules/emojibase-data/en/data.json").read_text())
    concepts = [media_concepts.code(e["hexcode"]) for e in entries if "group" in e and "subgroup" in e]
    write(
        "concept",
        ["concept"],
        "A tenth of the concepts, by a checksum of what they share with those that differ in gender alone.",
        [id for id in concepts if media_concepts.is_held_out(id)],
    )
    held = [style for style, family in media_concepts.STYLES.items() if family in media_concepts.HELD_OUT_FAMILIES]
    write(
        "style",
        ["style", "styles"],
        "Two whole families of styles. Siblings are in one family, and on one side.",
        held,
        families=media_concepts.STYLES,
    )
    tongues = {*media_voices.LANGUAGES.values(), *media_voices.ACCENTS}
    synthetic = [f"espeak/{tongue}+{tone}" for tongue in tongues for tone in media_voices.HELD_OUT_TONES]
    write(
        "speaker",
        ["speaker", "voice"],
        "The sample's held-out voices, and two of eSpeak's in every language.",
        [*sample.heldout()["voices"], *synthetic],
    )
    write("dataset", ["dataset", "group"], "Data sets that every chart question elsewhere draws on.", list(DATA_SETS))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("give one directory to work in: python recipes/heldout.py WORK")
    main(Path(sys.argv[1]))
