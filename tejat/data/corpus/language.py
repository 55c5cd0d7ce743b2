"""Names of languages: from locales and directories to BCP 47, and what people call them."""

_SCRIPTS = {"latin": "Latn", "ijekavianlatin": "Latn", "cyrillic": "Cyrl", "devanagari": "Deva", "arabic": "Arab"}
_APART = {"pt-BR", "zh-CN", "zh-TW", "zh-HK", "en-GB", "de-CH"}  # regions that are written otherwise
_SAME = {"nb-NO": "nb", "no": "nb", "en-US": "en", "C": "en", "sr-SP": "sr", "iw": "he", "zh": "zh-CN", "in": "id"}


def tag(name: str) -> str:
    """ "pt_BR.UTF-8" and "pt-br" are "pt-BR", "sr@latin" is "sr-Latn", "de-DE" is "de"."""
    name = name.split(".")[0].replace("_", "-")
    whole, at, script = name.partition("@")
    parts = whole.split("-")
    language = parts[0].lower() if parts[0] != "C" else "C"
    if at:
        return f"{language}-{_SCRIPTS[script.lower()]}" if script.lower() in _SCRIPTS else language
    rest = [part.upper() if len(part) == 2 else part.title() for part in parts[1:]]
    if not rest:
        return _SAME.get(language, language)
    found = f"{language}-{rest[0]}"
    if found in _SAME:
        return _SAME[found]
    if len(rest[0]) == 4:  # a script
        return {"zh-Hans": "zh-CN", "zh-Hant": "zh-TW"}.get(found, found)
    return found if found in _APART else _SAME.get(language, language)


NAMES = {
    **{"af": "Afrikaans", "am": "Amharic", "ar": "Arabic", "as": "Assamese", "ast": "Asturian", "az": "Azerbaijani"},
    **{"be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali", "br": "Breton", "bs": "Bosnian", "ca": "Catalan"},
    **{"cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "de-CH": "Swiss German", "el": "Greek"},
    **{"en": "English", "en-GB": "British English", "eo": "Esperanto", "es": "Spanish", "et": "Estonian"},
    **{"eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "fy": "Frisian", "ga": "Irish"},
    **{"gd": "Scottish Gaelic", "gl": "Galician", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian"},
    **{"hu": "Hungarian", "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese"},
    **{"ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean", "ku": "Kurdish"},
    **{"ky": "Kyrgyz", "la": "Latin", "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam"},
    **{"mn": "Mongolian", "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "nb": "Norwegian", "ne": "Nepali"},
    **{"nl": "Dutch", "nn": "Norwegian Nynorsk", "oc": "Occitan", "or": "Odia", "pa": "Punjabi", "pl": "Polish"},
    **{"pt": "Portuguese", "pt-BR": "Brazilian Portuguese", "ro": "Romanian", "ru": "Russian", "si": "Sinhala"},
    **{"sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sr-Latn": "Serbian in Latin script"},
    **{"sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "tg": "Tajik", "th": "Thai", "tr": "Turkish"},
    **{"tt": "Tatar", "ug": "Uyghur", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese"},
    **{"zh-CN": "Chinese", "zh-TW": "Traditional Chinese"},
}
"""What English calls the languages that parallel texts are presented in; others are not presented."""
