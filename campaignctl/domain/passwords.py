"""Which passwords are refused: too short, too long, the address itself, or what guessers try first.

No rule asks for certain kinds of characters (ASVS 5.0, 6.2.5). What guessers try first is not one list but a grammar:
a word everybody uses, a run on the keyboard or a repetition, dressed up with a year, digits or a sign. So a password is
common when it falls apart into very few such pieces, which covers the leaked lists' entries of 12 characters and more
(``password1234``, ``Qwertyuiop123!``, ``iloveyouiloveyou``) with a word list of a few kilobytes.
"""

import re
from functools import cache

from campaignctl.domain.common_words import COMMON_WORDS
from campaignctl.domain.users import comparable

MAX_CODE_POINTS = 128
MAX_BYTES = 1_024

_ROWS = (
    "01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "!@#$%^&*()_+",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "qazwsxedcrfvtgbyhnujm",
    "a1b2c3d4e5f6g7h8i9j0", "qweasdzxc", "1a2b3c4d5e6f7g8h9i0j", "147258369", "123654789", "azertyuiop", "qsdfghjklm",
    "qwertzuiop", "1a2s3d4f5g6h7j8k9l",
)  # fmt: skip
_RUNS = _ROWS + tuple(row[::-1] for row in _ROWS)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_DISGUISES = (str.maketrans("013457$@", "oleastsa"), str.maketrans("013457$@", "oieastsa"))
"""Digits and signs written for letters; 1 stands for l or for i."""

_WORD_COST, _RUN_COST, _CHARACTER_COST, _COMMON_UP_TO = 12, 6, 9, 30
"""Common are up to two words with one run, one word with two other pieces, five runs without a word. Three words, or
two with a separator between them, are not."""
_SHORT_PERIOD = 4
_FEW_CHARACTERS = 4
_SHORTEST_RUN = 3
_LONGEST_PIECE = max(map(len, (*COMMON_WORDS, *_RUNS)))


def password_problem(password: str, email: str, *, min_length: int) -> str | None:
    """What is wrong with a new password, as the end of a sentence that does not repeat it; None when nothing is."""
    if len(password) < min_length:
        return f"must have at least {min_length} characters; a few words in a row are easy to remember"
    if len(password) > MAX_CODE_POINTS:
        return f"must have at most {MAX_CODE_POINTS} characters"
    try:
        if len(password.encode()) > MAX_BYTES:
            return f"must have at most {MAX_BYTES} bytes in UTF-8"
    except UnicodeEncodeError:
        return "must not hold halves of surrogate pairs"
    compared, address = comparable(password), comparable(email)
    if compared.strip() in (address, address.partition("@")[0]):
        return "must not be the e-mail address or a part of it"
    if is_common(compared):
        return "is one of those that are guessed first; take a few words that do not belong together"
    return None


def is_common(compared: str) -> bool:
    """Whether a password, case folded, falls apart into so few well-known pieces that it is guessed early."""
    if len(set(compared)) <= _FEW_CHARACTERS:
        return True
    unit = _repeated_unit(compared)
    return len(unit) <= _SHORT_PERIOD or _cost(unit) <= _COMMON_UP_TO


def _repeated_unit(text: str) -> str:
    """``abcabca`` is ``abc`` again and again; a text that does not repeat is its own unit."""
    for period in range(1, len(text) // 2 + 1):
        if text[period:] == text[:-period]:
            return text[:period]
    return text


def _cost(text: str) -> int:
    """The least that the text's pieces cost together: words, runs, and the single characters between them."""
    spellings = (text, *(text.translate(disguise) for disguise in _DISGUISES))
    least = [0] * (len(text) + 1)
    for start in range(len(text) - 1, -1, -1):
        least[start] = _CHARACTER_COST + least[start + 1]
        for end in range(start + 2, min(len(text), start + _LONGEST_PIECE) + 1):
            if _is_run(text[start:end]):
                least[start] = min(least[start], _RUN_COST + least[end])
            elif any(spelling[start:end] in COMMON_WORDS for spelling in spellings):
                least[start] = min(least[start], _WORD_COST + least[end])
    return least[0]


@cache
def _known_runs() -> frozenset[str]:
    return frozenset(
        row[start:end]
        for row in _RUNS
        for start in range(len(row))
        for end in range(start + _SHORTEST_RUN, len(row) + 1)
    )


def _is_run(text: str) -> bool:
    """One character again and again, neighbours in the alphabet or on a keyboard, or a year."""
    return len(set(text)) == 1 or text in _known_runs() or _YEAR.fullmatch(text) is not None
