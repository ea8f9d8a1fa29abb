"""Names that people give to fields, groups and options, and that have tripped programs."""

from __future__ import annotations

FIELDS = (
    r"Marketing\A/B",
    r"Sales/EU\Plan",
    r"Sales\Level 2\Deep/er\Leaf",
    "Marketing\\She said 'no' and \"so\" it is",
    r"Marketing\O'Brien, 2nd [draft] (x) {y}",
    r"Marketing\50% @home: #1 & more.",
    r"Marketing\ Blanks outside ",
    "Marketing\\Gr\u00f6\u00dfe \u540d\u524d",
    "Marketing\\Cafe\u0301",  # decomposed
    "Marketing\\Dollar $HOME `x` !y",
    "Marketing\\maxchimp sync",
    "Root/field",
    "*",
)
TITLES = ("A/B", "x.y", "x.z", "When: now, or later", 'It\'s "so"', "[VIP] only", "Gru\u0308n", "50% @home")
OPTIONS = ("one, two", 'He said "yes"', "It's", "[VIP]", "a\\b", "x/y", "Gru\u0308n: #1")
