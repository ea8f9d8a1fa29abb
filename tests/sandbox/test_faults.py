import pytest

from sandbox.faults import AFTER, KINDS, Faults, Rule, parse


def kinds(faults: Faults, side: str, operations: list[str]) -> list[str | None]:
    return [faults.draw(side, operation) for operation in operations]


def test_nothing_is_planned_by_default() -> None:
    assert kinds(Faults(), "mailchimp", ["GET members"] * 20) == [None] * 20


def test_text_is_parsed_into_rules() -> None:
    assert parse("mailchimp:429=0.05, maximizer:500-after=0.02@AbEntryCreate") == (
        Rule("mailchimp", "429", 0.05),
        Rule("maximizer", "500-after", 0.02, "AbEntryCreate"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "mailchimp:nonsense=0.1",
        "mailchimp=0.1",
        "mailchimp:429",
        "mailchimp:429=often",
        "mailchimp:429=1.5",
        "elsewhere:429=0.1",
        "mailchimp:token-expired=0.1",
        "maximizer:partial-batch=0.1",
    ],
)
def test_bad_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Faults(text)


def test_refusal_names_every_kind() -> None:
    with pytest.raises(ValueError) as refusal:
        Faults("mailchimp:nonsense=0.1")
    assert all(kind in str(refusal.value) for kind in KINDS)


def test_operation_is_a_substring() -> None:
    faults = Faults("maximizer:500-before=1@Create")
    assert kinds(faults, "maximizer", ["AbEntryCreate", "Read AbEntry"]) == ["500-before", None]


def test_sides_do_not_disturb_each_other() -> None:
    alone = Faults("mailchimp:429=0.5", seed=3)
    mixed = Faults("mailchimp:429=0.5,maximizer:429=0.5", seed=3)
    expected = kinds(alone, "mailchimp", ["GET members"] * 40)
    met = []
    for _ in range(40):
        mixed.draw("maximizer", "Read")
        met.append(mixed.draw("mailchimp", "GET members"))
    assert met == expected
    assert set(met) == {"429", None}


def test_seed_decides() -> None:
    def run(seed: int) -> list[str | None]:
        return kinds(Faults("mailchimp:429=0.5", seed), "mailchimp", ["GET members"] * 64)

    assert run(1) == run(1) != run(2)


def test_at_hits_exactly_the_nth_request_from_now_on() -> None:
    faults = Faults()
    faults.draw("mailchimp", "GET members")
    faults.at("mailchimp", 3, "drop-after")
    faults.draw("maximizer", "Read")
    assert kinds(faults, "mailchimp", ["GET members"] * 5) == [None, None, "drop-after", None, None]


def test_next_waits_for_its_operation_and_counts_down() -> None:
    faults = Faults()
    faults.next("mailchimp", "503-after", "PUT", times=2)
    operations = ["GET member", "PUT member", "GET member", "PUT member", "PUT member"]
    assert kinds(faults, "mailchimp", operations) == [None, "503-after", None, "503-after", None]


def test_clear_ends_everything() -> None:
    faults = Faults("mailchimp:429=1")
    faults.next("mailchimp", "html")
    faults.clear()
    assert faults.draw("mailchimp", "GET members") is None


def test_load_replaces_the_random_part_only_when_it_is_good() -> None:
    faults = Faults("mailchimp:429=1")
    with pytest.raises(ValueError):
        faults.load("mailchimp:bad=1")
    assert faults.draw("mailchimp", "GET members") == "429"
    faults.load("mailchimp:html=1")
    assert faults.draw("mailchimp", "GET members") == "html"


@pytest.mark.parametrize(("n", "kind"), [(0, "429"), (1, "nonsense")])
def test_at_refuses_bad_plans(n: int, kind: str) -> None:
    with pytest.raises(ValueError):
        Faults().at("mailchimp", n, kind)


def test_after_kinds_exist() -> None:
    assert set(KINDS) > AFTER
