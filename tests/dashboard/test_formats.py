"""Numbers and names as people read them."""

from __future__ import annotations

import pytest

from toolspend_dashboard import formats


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown"), (float("nan"), "unknown"), (0, "$0"), (0.0123, "$0.0123"), (0.123456, "$0.123"),
        (1.5, "$1.50"), (12.345, "$12.35"), (1234.5, "$1,234"), (0.9999, "$1.00"), (0.00001234, "$0.000012"),
        (1e-9, "<$0.000001"), (-0.02, "-$0.0200"), (999.7, "$1,000"),
    ],
)  # fmt: skip
def test_money_has_the_digits_that_matter(amount: float | None, text: str) -> None:
    """Small sums keep three digits, large ones lose their cents, and what is missing is never $0."""
    assert formats.usd(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, "unknown"), (0, "0"), (950, "950"), (12_400, "12.4k"), (999_499, "999k"), (999_600, "1.00M"),
     (3_050_000, "3.05M"), (2.5, "2.5")],
)  # fmt: skip
def test_counts_have_three_digits(amount: float | None, text: str) -> None:
    """Tokens and calls read as 12.4k."""
    assert formats.count(amount) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "unknown"), (0, "0 %"), (0.0004, "<0.1 %"), (0.004, "0.4 %"), (0.71, "71 %"), (1, "100 %"),
     (0.9999, "99.9 %")],
)  # fmt: skip
def test_all_of_it_is_said_only_of_all_of_it(share: float | None, text: str) -> None:
    """99.99 % is not rounded to 100 %."""
    assert formats.percent(share) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, "unknown"), (0, "0 ms"), (1.24, "1.2 ms"), (85, "85 ms"), (1240, "1.24 s"), (59_960, "1 min 00 s"),
     (200_000, "3 min 20 s"), (7_500_000, "2 h 05 min"), (273_600_000, "3 d 4 h")],
)  # fmt: skip
def test_durations_have_a_unit_that_fits(milliseconds: float | None, text: str) -> None:
    """From milliseconds to days."""
    assert formats.duration(milliseconds) == text


def test_a_name_cannot_leave_its_code_span() -> None:
    """The fence is longer than any run of backticks in the name, and line ends become spaces."""
    assert formats.code("read_file") == "`read_file`"
    assert formats.code("a\u202eb") == "`a\\u202eb`"
    assert [formats.code(blank) for blank in ("", " \n")] == ["`(blank)`"] * 2
    assert formats.code("a```b\n\n# c") == "```` a```b # c ````"


def test_markdown_and_html_in_a_name_are_text() -> None:
    """Every mark of punctuation is escaped for Markdown, and angle brackets for charts."""
    assert formats.markdown("**b** $x$ [l](u)") == r"\*\*b\*\* \$x\$ \[l\]\(u\)"
    assert [formats.figure_text(odd) for odd in ("", "\u202dx")] == ["(blank)", "\\u202dx"]
    assert formats.markdown("a\u2066_b") == "a\\\\u2066\\_b"
    assert formats.figure_text("<b>x</b> & y") == "&lt;b&gt;x&lt;/b&gt; &amp; y"


def test_a_sentence_lists_some_names_and_counts_the_others() -> None:
    """A hundred models without a price, or one with a name of 200 characters, leave the sentence readable."""
    assert formats.listed(["a", "b"]) == "a, b"
    assert formats.listed([f"m{n}" for n in range(9)], 3) == "m0, m1, m2 and 6 more"
    assert len(formats.listed(["m" * 200])) == 60


def test_a_long_name_keeps_its_start_and_its_end() -> None:
    """Tools of one server differ at the end of their names."""
    assert formats.figure_text("mcp__warehouse__list_all_tables", 20) == "mcp__warehou…_tables"
