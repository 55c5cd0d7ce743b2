"""What could reach or rob a person: e-mail addresses, telephone, account and card numbers, IP addresses, keys.

Each is replaced by a mark that says what stood there, so that texts keep their shape and a model learns no number by
heart. Account and card numbers are known by their checksums. Names and postal addresses are left: to find them takes a
model of each language, and what rules find of them is mostly wrong. Addresses that belong to nobody stay, for manuals
live by them: example.com and its like (RFC 2606), 192.0.2.1, 2001:db8::1 (RFC 5737, 3849), private networks.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from tejat.data.cleaning.records import Record, group, rewritten, texts
from tejat.data.cleaning.report import Report

MARKS = {
    "e-mail address": "[e-mail]",
    "key": "[key]",
    "account number": "[account]",
    "card number": "[card]",
    "telephone number": "[phone]",
    "IP address": "[ip]",
}
"""What is replaced, by what, in this order."""

# Letters of alphabets: in scripts without spaces the words before an address would be taken for a part of it.
_ALPHABETS = r"a-z\u00c0-\u024f\u0370-\u052f"
_EMAIL = re.compile(
    rf"(?:[\w{_ALPHABETS}.+-]|(?<=[a-z])'(?=[a-z])){{1,64}}(?:@|%40|\uff20)((?:[\w{_ALPHABETS}-]{{1,63}}\.){{1,8}}[a-z]{{2,24}})"
    rf"(?![0-9_{_ALPHABETS}])",
    re.I | re.A,
)
_RESERVED = re.compile(r"(^|\.)(example(\.\w+)?|test|invalid|localhost|local)$", re.I)
_UNITS = re.compile(r"\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$")  # of systemd
_HOSTING = ("git@", "hg@", "svn@", "cvs@", "ssh@", "anonymous@")  # names of services, as in git@host:path

_KEYS = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----.{0,16000}?"
    r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"|-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\s{0,4}[A-Za-z0-9+/=]{40,})+"  # its end is cut off
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # Amazon
    r"|\bgh[pousr]_[0-9A-Za-z]{36,}\b|\bgithub_pat_\w{60,}\b"
    r"|\bglpat-[\w-]{20,}\b"
    r"|\bAIza[\w-]{35}\b"  # Google
    r"|\bxox[abposr]-[0-9A-Za-z-]{20,}\b"  # Slack
    r"|\bsk-(?:ant-|proj-)?[\w-]{32,}\b"
    r"|\b[sr]k_live_[0-9A-Za-z]{20,}\b"  # Stripe
    r"|\bhf_[A-Za-z]{30,}\b|\bnpm_[0-9A-Za-z]{36}\b|\bpypi-[\w-]{50,}\b"
    r"|\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}\b",  # JSON Web Token
    re.S | re.A,
)

# Looked for first: a search for each is many times faster than the pattern.
_KEY_MARKS = (
    *("PRIVATE KEY", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AIza"),
    *("xox", "sk-", "k_live_", "hf_", "npm_", "pypi-", "eyJ"),
)

_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", re.A)
_CARD = re.compile(
    r"(?<![\d.,-])(?:[2-6]\d{3}(?:[ \xa0-]?\d{4}){2}[ \xa0-]?\d{1,7}|3[04678]\d{2}[ \xa0-]?\d{6}[ \xa0-]?\d{4,5})"
    r"(?![\d-]|[.,]\d)",
    re.A,
)

# Visa, Mastercard, American Express, Discover, UnionPay, JCB, Diners Club.
_ISSUED = re.compile(
    r"4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}"
    r"|6(011|5\d\d|4[4-9]\d)\d{12}|62\d{14,17}|35\d{14}|3[068]\d{12}"
)

# A number is a telephone's if it has a country's code after "+", the shape (ddd) ddd-dddd or ddd-ddd-dddd (555 in its
# middle is nobody's), or a word before it that says so.
_DIALLED = r"(?:[ \xa0.\-/\u2010-\u2013\uff0d]{0,2}\(?\d{1,5}\)?){2,7}"
_PHONE = re.compile(
    rf"(?<![\w+.=^])\+[1-9]\d{{0,2}}{_DIALLED}(?![\w.]*\d)|(?<![\w(])\(\d{{3}}\) ?\d{{3}}-\d{{4}}(?!\w)"
)
_AMERICAN = re.compile(r"(?<![\w.,+/-])[2-9]\d\d-(?!555)[2-9]\d\d-\d{4}(?![\w/-]|[.,]\d)", re.A)
_CALLED = re.compile(
    r"(?:(?:\b(?:tel(?:ephone|efon|éfono|efono|efone|efoon|éphone)?|(?:cell ?)?phone|fax|mobile|cell|handy|whatsapp|tlf"
    r"|тел(?:ефон)?|факс)(?: ?(?:number|no|nr))?|電話(?:番号)?|电话(?:号码)?|전화(?:번호)?)"
    rf"[.:：]{{1,2}} ?)(?P<number>\+?\(?\d{{1,5}}\)?{_DIALLED})(?!\w)",
    re.I,
)

_IP4 = re.compile(r"(?<![\w.+-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)", re.A)
_IP6 = re.compile(
    r"(?<![\w:.])(?:[0-9a-f]{1,4}:){2,7}:?(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?(?![\w:])", re.I | re.A
)


class Private:
    """Replaces what is private by marks, in every text of a record. Nothing is dropped, nothing grows."""

    def __init__(self) -> None:
        self.report = Report("private data")

    def __call__(self, records: Iterable[Record], source: str = "") -> Iterator[Record]:
        for record in records:
            told = group(record, source)
            self.report.see(told, sum(map(len, texts(record))))
            found: Counter[str] = Counter()
            shown: dict[str, str] = {}

            def change(content: str, found=found, shown=shown) -> str:
                return scrubbed(content, found, shown)

            record = rewritten(record, change)
            for what, count in found.items():
                self.report.notes[f"{what}, replaced"] += count
                self.report.change(what, told, shown[what])
            yield record


def scrubbed(content: str, found: Counter[str] | None = None, shown: dict[str, str] | None = None) -> str:
    """The text with marks. `found` counts what was replaced, `shown` keeps the first of each with digits and names
    made unreadable."""
    counts: Counter[str] = Counter() if found is None else found
    examples: dict[str, str] = {} if shown is None else shown

    def replacing(what: str, right: Callable[[re.Match], bool | int]) -> Callable[[re.Match], str]:
        """`right`: is it one? Or how much of it is one."""

        def replaced(match: re.Match) -> str:
            if not (found := right(match)):
                return match[0]
            counts[what] += 1
            at, end = match.span(match.lastgroup or 0)
            end = end if found is True else at + found
            text = match.string
            examples.setdefault(what, f"{text[max(at - 40, 0) : at]}{_veiled(text[at:end])}{text[end : end + 20]}")
            begin = match.start()
            return match[0][: at - begin] + MARKS[what] + match[0][end - begin :]

        return replaced

    if "@" in content or "%40" in content or "\uff20" in content:
        content = _EMAIL.sub(replacing("e-mail address", _is_someones), content)
    if any(mark in content for mark in _KEY_MARKS):
        content = _KEYS.sub(replacing("key", _is_key), content)
    if not _DIGITS.search(content):
        return content
    content = _IBAN.sub(replacing("account number", _account), content)
    content = _CARD.sub(replacing("card number", _is_issued), content)
    if "+" in content or "(" in content:
        content = _PHONE.sub(replacing("telephone number", _is_phone), content)
    content = _CALLED.sub(replacing("telephone number", _is_phone), content)
    content = _AMERICAN.sub(replacing("telephone number", _is_phone), content)
    content = _IP4.sub(replacing("IP address", lambda m: _is_public(m[0]) and not _is_number_of_a_part(m)), content)
    if content.count(":") > 1:
        content = _IP6.sub(replacing("IP address", lambda m: _is_public(m[0])), content)
    return content


_DIGITS = re.compile(
    r"\d[\d \xa0.\-/()]{4}\d|\d:|:\d|[0-9a-f]::?[0-9a-f]|[\uff10-\uff19]", re.A
)  # without it there is no number to find


def is_iban(text: str) -> bool:
    """Is its checksum right (ISO 13616: the rest by 97 is 1)?"""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _account(match: re.Match) -> int:
    """How much of it is an account number: what follows one in capitals, a bank's code, looks like its last groups."""
    groups = match[0].split(" ")
    numbers = (" ".join(groups[:count]) for count in range(len(groups), 0, -1))
    return next((len(number) for number in numbers if is_iban(number)), 0)


def is_card(text: str) -> bool:
    """Does it begin as the cards of a large issuer, have their length, and the right checksum (ISO 7812: Luhn)?"""
    digits = [int(c) for c in text if c.isdigit()]
    if not _ISSUED.fullmatch("".join(map(str, digits))) or len(set(digits)) == 1:
        return False
    doubled = [d if k % 2 == 0 else sum(divmod(2 * d, 10)) for k, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _is_issued(match: re.Match) -> bool:
    """A dump of bytes in hexadecimal has groups of four digits too, and letters before or after them."""
    around = match.string[max(match.start() - 5, 0) : match.start()] + match.string[match.end() : match.end() + 5]
    return is_card(match[0]) and not re.search(r"\b[0-9a-f]{4}\b", around)


def _is_key(match: re.Match) -> bool:
    """A block that hides its key behind dots, as manuals do, is none."""
    return not match[0].startswith("-----") or len(re.findall(r"[A-Za-z0-9+/=]", match[0])) > 200


def _is_someones(match: re.Match) -> bool:
    """Not where it stands for any address: user@host.domain, in whatever language; nor a unit of systemd, nor a product
    of matrices, A@B.conj()."""
    domain = match[1].lower()
    if match.string.startswith("(", match.end()) and not domain.endswith((".com", ".org", ".net", ".edu")):
        return False
    if _RESERVED.search(domain) or _UNITS.search(domain) or match[0].lower().startswith(_HOSTING):
        return False
    return domain.isascii() or len(domain.rpartition(".")[2]) <= 4  # no top domain is called "domena"


def _is_phone(match: re.Match) -> bool:
    number = match[match.lastgroup or 0]
    digits = re.sub(r"\D", "", number)
    if not 7 <= len(digits) <= 15 or len(set(digits)) <= 2:
        return False
    value = int(digits)
    alone = not match.lastgroup and digits == number.lstrip("+")
    if alone and (len(digits) < 11 or value & (value + 1) == 0 or value & (value - 1) == 0):
        return False  # +32768000, and 2^63 - 1 and the like
    return not re.fullmatch(r"\+?\d\.\d+", number)  # 3.1400000


def _is_public(text: str) -> bool:
    """Is it an address of the open Internet? Four numbers below 32 are taken for a version."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4 and (text.count("0") == len(text) - 4 or max(map(int, text.split("."))) < 32):
        return False
    return address.is_global and not address.is_multicast


def _is_number_of_a_part(match: re.Match) -> bool:
    """As in "Section 55.2.2.4" and "version 103.0.5060.53"."""
    return bool(_PART.search(match.string, max(match.start() - 16, 0), match.start()))


_PART = re.compile(r"(?:section|chapter|version|release|abschnitt|kapitel|sección|sezione|раздел|§|\bv\.?)\s*$", re.I)


def _veiled(text: str) -> str:
    """With all but its first characters unreadable."""
    return text[:2] + re.sub(r"\w", "x", text[2:40])
