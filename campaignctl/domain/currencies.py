"""The currency codes of ISO 4217.

Source: ISO 4217 "List One: current currency and funds" of the maintenance agency (SIX Financial Information), edition
published 2026-09-17: 178 codes. Withdrawn codes (List Three: BGN, HRK, ANG, ...) are not in it.
"""

LIST_ONE_PUBLISHED = "2026-09-17"

_CURRENCIES = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
    CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
    HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR
    RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD
    TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
_FUNDS = """
    BOV CHE CHW CLF COU MXV USN UYI UYW XAD
"""
_METALS_UNITS_AND_SPECIAL = """
    XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX
"""

CURRENCIES: frozenset[str] = frozenset(f"{_CURRENCIES} {_FUNDS} {_METALS_UNITS_AND_SPECIAL}".split())
"""Every active code, upper-case, with funds, precious metals, XTS (testing) and XXX (none), as the list has them."""


def normalize_currency(text: str) -> str | None:
    """The code in upper case; None when it is not in the list. Only ASCII letters are letters here."""
    code = text.upper()
    return code if code in CURRENCIES and text.isascii() else None
