"""Private data: what is someone's is marked, by its checksum where it has one; what is nobody's stays."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tejat.data.cleaning.private import Private, is_card, is_iban, scrubbed
from tejat.data.shards import Item
from tejat.parts import Document, Text


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("Write to anna.b+x@mail.example-shop.de.", "Write to [e-mail]."),
        ("IBAN DE89 3704 0044 0532 0130 00, GB82WEST12345698765432", "IBAN [account], [account]"),
        (
            "jürgen@münchen.de, o'brien@x.org, 'bob@mail.org', bob%40mail.org, 写给bob@mail.org吧, bob＠mail.org(Bob)",
            "[e-mail], [e-mail], '[e-mail]', [e-mail], 写给[e-mail]吧, [e-mail](Bob)",
        ),
        (
            "ES9121000418450200051332 BIC CAIXESBB; ES91 2100 0418 4502 0005 1332 BANK",
            "[account] BIC CAIXESBB; [account] BANK",
        ),
        ("card 4111 1111 1111 1111 or 378282246310005", "card [card] or [card]"),
        ("4111\xa01111\xa01111\xa01111, 3056 930902 5904", "[card], [card]"),
        ("call +49 30 901820, +1-202-555-0143 or (202) 555-0143", "call [phone], [phone] or [phone]"),
        ("Tel.: 030/9018 20-0; 電話：03-1234-5678", "Tel.: [phone]; 電話：[phone]"),
        (
            "Phone number: 555-123-4567, tel:+4930123456, 電話番号：０３－１２３４－５６７８, ask 202-456-0143",
            "Phone number: [phone], tel:[phone], 電話番号：[phone], ask [phone]",
        ),
        ("from 93.184.216.34 and 2606:4700:4700::1111", "from [ip] and [ip]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789, AKIAIOSFODNN7EXAMPLE", "[key], [key]"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{'Ab9/' * 80}\n-----END RSA PRIVATE KEY-----", "[key]"),
        (
            "-----BEGIN PRIVATE KEY-----" + f"\n{'Ab9/' * 16}" * 4 + f"\n{'Ab9/' * 9}Q\n\nThe rest.",
            f"[key]\n{'Ab9/' * 9}Q\n\nThe rest.",
        ),
    ],
)
def test_what_is_someones_is_marked(text, marked):
    assert scrubbed(text) == marked


@pytest.mark.parametrize(
    "text",
    [
        "root@localhost, foo@example.com, x@host.test, git@github.com:a/b.git",
        "127.0.0.1 192.168.0.1 10.0.0.1 192.0.2.7 2001:db8::1 ::1 fe80::1 224.0.0.1",
        "version 103.0.5060.53, Section 55.2.2.4 and 12.0.1.3; +32768000",
        "255.255.255.0; 1.2.3; at 10:30:45; std::vector<int>; 00:1b:44:11:3a:b7",
        "DE89 3704 0044 0532 0130 01; card 4111 1111 1111 1112; 0000 0000 0000 0000",
        "ISBN 978-3-16-148410-0, in 1984-2021, 12.000.000,50; 3.14159265358979; +2147483647; +3.140000",
        "0000003c: 6e20 7061 6765 4111 1111 1111 1111 6e20",
        "-----BEGIN PRIVATE KEY-----\n ... (the key) ...\n-----END PRIVATE KEY-----",
        "part 202-155-0143, 1202-456-0143-9, 2.202-456-0143, 202-555-0143; ES9121000418450200051333 BIC; https://x.org/%40scope/pkg.js",
        "A@sps.csc_array(C) + Q.T@R.conj()",
        "getty@tty1.service, systemd-mkswap@Gerät.service, korisničko_ime@poslužitelj.domena, nome@sítio.domínio",
        "{{ user@ }} @decorator a@b 5 + 49 30 90",
    ],
)
def test_what_is_nobodys_stays(text):
    assert scrubbed(text) == text


def iban(country: str, account: str) -> str:
    """With the right check digits (ISO 13616)."""
    digits = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    return f"{country}{98 - int(digits) % 97:02}{account}"


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["DE", "FR", "NO"]), st.text("0123456789ABCDEF", min_size=11, max_size=24), st.integers(0, 9))
def test_any_account_number_is_known_and_none_with_a_wrong_digit(country, account, other):
    right = iban(country, account)
    assert is_iban(right)
    place = 3  # the last check digit
    wrong = f"{right[:place]}{other}{right[place + 1 :]}"
    assert is_iban(wrong) == (wrong == right)


@settings(max_examples=50, deadline=None)
@given(st.text("0123456789", min_size=12, max_size=12), st.integers(0, 9))
def test_of_ten_last_digits_one_makes_a_card_number(middle, last):
    numbers = [f"4{middle}{(middle[:2])}{digit}" for digit in range(10)]
    assert sum(map(is_card, numbers)) == 1 or len(set(numbers[0])) == 1


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_scrubbing_twice_changes_no_more(text):
    once = scrubbed(text)
    assert scrubbed(once) == once


def test_every_text_of_a_record_is_scrubbed_and_the_report_shows_no_one():
    step = Private()
    item = Item("pair", {"texts": {"en": "to joe@mail.org", "de": "an joe@mail.org"}, "source": "joe@mail.org"})
    document = Document.of([Text("I am joe@mail.org"), Text("and fine")])
    untouched = Item("text", {"text": "nothing"})
    out = list(step([item, document, untouched], "tests"))
    assert out[0].fields["texts"] == {"en": "to [e-mail]", "de": "an [e-mail]"}
    assert out[0].fields["source"] == "joe@mail.org"
    assert out[1] == Document.of([Text("I am [e-mail]"), Text("and fine")]) and out[2] is untouched
    assert step.report.counts == (3, 0) and step.report.notes["e-mail address, replaced"] == 3
    assert not re.search("joe@mail", str(step.report.to_json()))
