"""Countries as ISO 3166 codes, whatever people write (R28); the names are those of pycountry."""

from __future__ import annotations

from functools import lru_cache

# Names of countries that people write and ISO 3166 does not have, without dots and a leading "the".
_COUNTRIES = {
    "uk": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB",
    "usa": "US", "us": "US", "america": "US", "uae": "AE", "russia": "RU", "turkey": "TR", "holland": "NL",
    "republic of ireland": "IE", "republic of korea": "KR", "ivory coast": "CI", "cape verde": "CV", "brunei": "BN",
    "swaziland": "SZ", "macedonia": "MK", "burma": "MM", "palestine": "PS", "vatican": "VA", "vatican city": "VA",
    "macau": "MO", "micronesia": "FM", "reunion": "RE", "curacao": "CW",
}  # fmt: skip


@lru_cache(maxsize=4096)
def country_code(text: str) -> str:
    """ISO alpha-2 code of a code or an English name; what is not recognised stays as it is (R28)."""
    import pycountry

    if not text:
        return ""
    plain = text.casefold().replace(".", "").removeprefix("the ")
    if plain in _COUNTRIES:
        return _COUNTRIES[plain]
    for name in (text, plain):
        try:
            return str(pycountry.countries.lookup(name).alpha_2)
        except LookupError:
            continue
    return text


@lru_cache(maxsize=1)
def country_codes() -> tuple[str, ...]:
    import pycountry

    return tuple(country.alpha_2 for country in pycountry.countries)


def country_name(code: str) -> str:
    """The name people read, of an ISO alpha-2 code; anything else stays as it is."""
    import pycountry

    found = pycountry.countries.get(alpha_2=code) if len(code) == 2 else None
    return str(getattr(found, "common_name", found.name)) if found else code
