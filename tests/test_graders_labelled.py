"""Replies labelled by hand, and the parts of the graders that read quantities, numbers in words, names and denials.

``data/graded.jsonl`` names a task that comes with the package, a reply, and the least and most that it may be worth. The
``first`` and ``second`` replies were written before the graders had seen them; the ``tuned`` ones were worked with.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.protocols import Task
from gtalign_env.scenarios.tasks import authored, grade
from gtalign_env.scenarios.tasks.graders.claims import displaced, only_placed_by
from gtalign_env.scenarios.tasks.graders.points import coverage, prose
from gtalign_env.scenarios.tasks.graders.restate import restate
from gtalign_env.scenarios.tasks.graders.spoken import decimal, in_figures
from gtalign_env.scenarios.tasks.graders.text import terms
from gtalign_env.scenarios.tasks.graders.units import asked_unit, quantities

TASKS = {task.id.rpartition("/")[2]: task for task in authored()}
ROWS = [json.loads(line) for line in (Path(__file__).parent / "data" / "graded.jsonl").read_text().splitlines()]
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
ONES += ["seventeen", "eighteen", "nineteen"]
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
LENGTHS = {
    "mm": Fraction(1, 1000),
    "cm": Fraction(1, 100),
    "m": Fraction(1),
    "km": Fraction(1000),
    "ft": Fraction("0.3048"),
}


def speak(number: int) -> str:
    """Say a whole number below a billion in words."""
    for scale, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= scale:
            rest = number % scale
            joint = " and " if rest and rest < 100 else " "
            return f"{speak(number // scale)} {name}" + (joint + speak(rest) if rest else "")
    if number < 20:
        return ONES[number]
    return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")


def quality(answer: str, reply: str, question: str, kind: str = "arithmetic") -> float:
    """Grade a reply to a question with one reference answer."""
    found = grade(Task(id="t", kind=kind, vague="?", detailed=question, answers=(answer,)), reply).quality
    assert found is not None
    return found


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['task']}-{i}" for i, row in enumerate(ROWS)])
def test_grade__agrees_with_the_labels(row: dict[str, str]) -> None:
    """Each labelled reply is worth what its label says."""
    found = grade(TASKS[row["task"]], row["reply"]).quality
    assert found is not None
    assert float(row["least"]) - 1e-9 <= found <= float(row["most"]) + 1e-9


@pytest.mark.parametrize("task", [task for task in TASKS.values() if task.answers], ids=lambda task: task.id)
def test_grade__the_first_reference_is_worth_everything(task: Task) -> None:
    """A task gives its own first reference answer exactly 1."""
    assert grade(task, task.answers[0]).quality == 1.0


# ----------------------------------------------------------------------------------------------------------------------
# Numbers in words


@given(st.integers(20, 10**9 - 1))
def test_in_figures__reads_whole_numbers(number: int) -> None:
    """Every number of two words or more is read as itself; a number of one word is left to the reader of terms."""
    words = speak(number)
    expected = str(number) if len(words.replace("-", " ").split()) > 1 else words
    assert in_figures(f"It has {words} apples.") == f"It has {expected} apples."


@given(st.integers(1, 999), st.sampled_from(["litres", "dollars", "kilometres", "hours"]))
def test_in_figures__reads_every_number_before_a_unit(number: int, unit: str) -> None:
    """Before a unit, a single word counts as well."""
    assert in_figures(f"It takes {speak(number)} {unit}.") == f"It takes {number} {unit}."


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        ("two and three quarters", "2.75"),
        ("two and two thirds", "2 2/3"),
        ("seven eighths", "0.875"),
        ("a third", "1/3"),
        ("nineteen twelfths", "19/12"),
        ("three point one four", "3.14"),
        ("half a dozen", "6"),
        ("two dozen", "24"),
        ("a dozen", "12"),
        ("one in six", "1/6"),
        ("half a litre", "0.5 litre"),
        ("a litre and a half", "1.5 litre"),
        ("two hours and a half", "2.5 hours"),
        ("three quarters of a kilo", "0.75 kilo"),
        ("nine dollars sixty", "9.60 dollars"),
        ("a hundred and one", "101"),
        ("a hundred and three quarters", "100.75"),
        ("1½ litres", "1 1/2 litres"),
    ],
)
def test_in_figures__reads_parts_dozens_and_money(words: str, figures: str) -> None:
    """Fractions, mixed numbers, decimals, dozens and sums of money are written in figures."""
    assert in_figures(words) == figures


@pytest.mark.parametrize(
    "text",
    [
        "one of them",
        "no one knows",
        "half past eight",
        "the second one",
        "a point",
        "It is nine, not 12.",
        "A quarter is 4, so three quarters are 12.",
        "One litre covers 8 square metres.",
        "six thousandths",
    ],
)
def test_in_figures__leaves_other_words_alone(text: str) -> None:
    """Pronouns, times, single words, and words in sentences with figures stay."""
    assert in_figures(text) == text


def test_in_figures__without_fractions_only_decimals_are_written() -> None:
    """Where fractions would be torn into two numbers, they stay words."""
    assert in_figures("two thirds of one and a half", fractions=False) == "two thirds of 1.5"
    assert in_figures("half of it", fractions=False) == "half of it"
    assert decimal(Fraction(1, 3)) is None


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from("one a and half hundred third point in of dozen litre".split())).map(" ".join)
)
def test_in_figures__never_raises(text: str) -> None:
    """Any text, and any order of number words, is read or left."""
    assert in_figures(text) is not None
    assert in_figures(text, fractions=False) is not None


# ----------------------------------------------------------------------------------------------------------------------
# Units


@given(st.integers(1, 99999), st.sampled_from(sorted(LENGTHS)), st.sampled_from(sorted(LENGTHS)))
def test_numbers__a_length_is_right_in_any_unit_that_converts(number: int, asked: str, given_in: str) -> None:
    """The reference converted to another unit is right, and twice as much is wrong."""
    value = number * LENGTHS[asked] / LENGTHS[given_in]
    question = f"How long is it, in {asked}?"
    assert quality(str(number), f"It is {float(value):.12f} {given_in} long.", question) == 1.0
    assert quality(str(number), f"It is {float(2 * value):.12f} {given_in} long.", question) == 0.0


@given(st.integers(2, 9999))
def test_numbers__a_unit_of_another_sort_is_wrong(number: int) -> None:
    """The right number with a weight, where a length is asked for, is worth nothing."""
    assert quality(str(number), f"It is {number} kg.", "How long is it, in metres?") == 0.0
    assert quality(str(number), f"It is {number} m.", "How long is it, in metres?") == 1.0


@pytest.mark.parametrize(
    ("question", "answers", "sort"),
    [
        ("How fast is it, in km/h?", ("60",), "length/time"),
        ("How dense is it, in grams per cubic centimetre?", ("13",), "mass/volume"),
        ("How many litres are there?", ("2",), "volume"),
        ("How large is it, in cm²?", ("2",), "area"),
        ("How hot is it?", ("25 °C",), "temperature"),
        ("What does each of them pay of 126 dollars?", ("18",), "dollar"),
        ("What does it cost for £5 more?", ("18",), "sterling"),
        ("In which year was it?", ("1918",), ""),
        ("How many apples are there in 2 kg?", ("12",), ""),
        ("Is a square second in use?", ("no",), ""),
    ],
)
def test_asked_unit__is_that_of_the_reference_or_the_question(
    question: str, answers: tuple[str, ...], sort: str
) -> None:
    """The unit is read off a reference, the words of the question, or its only currency."""
    units = asked_unit(question, answers)[1]
    assert {unit.sort for unit in units} == ({sort} if sort else set())


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5 feet 3 inches", [5.25]),
        ("1 hour and 30 minutes", [1.5]),
        ("10-15 minutes", [15.0]),
        ("1 1/2 litres", [1.5]),
        ("-3 °C", [-3.0]),
        ("1/0 litres", []),
        ("12 in total, 5 apples", []),
        ("2 cubic kg", []),
        ("20 minutes a day", [20.0]),
        (r"$52$ and \boxed{5 m}", []),
    ],
)
def test_quantities__reads_numbers_with_units(text: str, values: list[float]) -> None:
    """Sums are put together; what is no quantity is left."""
    found = quantities(text)
    if "boxed" not in text:
        assert [float(quantity.value) for quantity in found] == values
    assert all(quantity.units[0].sort != "dollar" for quantity in found)


def test_restate__a_question_of_conversion_wants_the_unit_that_it_asks_for() -> None:
    """Where the question names the quantity in another unit, naming it again is no answer."""
    question = "What is 77 degrees Fahrenheit in degrees Celsius?"
    assert quality("25", "25 °C", question) == 1.0
    assert quality("25", "77 °F", question) == 0.0
    assert quality("25", "25 °F", question) == 0.0


def test_restate__a_reference_in_another_unit_counts_exactly_in_the_one_asked_for() -> None:
    """A coarse reference in kilometres does not let in wrong numbers of metres."""
    answers = ("8,849 metres", "8.85 km")
    assert restate("8,850 m", "How high?", answers) == "8,849 metres"
    assert restate("8,846 m", "How high?", answers) == "8,846 m"
    assert restate("It is 9 years old.", "How high?", answers) == "It is 9 years old."


@given(st.text(max_size=120))
def test_restate__never_raises(text: str) -> None:
    """Any text can be restated, and without a unit asked for it stays as it is."""
    assert restate(text, "How high is it, in metres?", ("5", "x", "5 kg")) is not None
    assert restate(text, "Who was it?", ("Rome",)) == text


# ----------------------------------------------------------------------------------------------------------------------
# Names in their places


@pytest.mark.parametrize(
    ("text", "placed"),
    [
        ("a friend of Picasso", True),
        ("a friend of the great painter Picasso", True),
        ("Picasso's pupil", True),
        ("not far from Picasso", True),
        ("none other than Picasso", False),
        ("it looks like Picasso", False),
        ("a work of Picasso", False),
        ("by Picasso", False),
        ("Picasso, pupil of nobody", False),
    ],
)
def test_only_placed_by__knows_relations(text: str, placed: bool) -> None:
    """A name behind a relation places something else, unless the question asks by that relation."""
    words = terms(text)
    at = [term.text for term in words].index("picasso")
    assert only_placed_by(words, at, at + 1, "who was it?") is placed
    assert not only_placed_by(words, at, at + 1, "whose friend or pupil, far from whom?")


@pytest.mark.parametrize(
    ("sentence", "other"),
    [
        ("It was painted by Goya, whom Picasso admired.", True),
        ("The painter is Goya; Picasso only saw it in Paris.", True),
        ("It was painted by the Spaniard Picasso.", False),
        ("It is Spanish work, and Picasso did it.", False),
        ("Picasso, who was Catalan by choice, did it.", False),
        ("The man was Spanish: Picasso.", False),
        ("Goya is Spanish, and Picasso painted it.", False),
    ],
)
def test_displaced__looks_for_another_name_in_the_place_of_the_answer(sentence: str, other: bool) -> None:
    """Another name behind ``is`` or ``by`` displaces the right one, unless that has a place of its own."""
    assert displaced(sentence, ("picasso",), frozenset(("paint", "picasso"))) is other


# ----------------------------------------------------------------------------------------------------------------------
# Key points


@pytest.mark.parametrize(
    ("reply", "share"),
    [
        ("Never press the reset button with a pin.", 0.0),
        ("Avoid the pin, and do it without the button.", 0.0),
        ("Don't forget to press the button with a pin.", 1.0),
        ("If you don't have a pin in the house use the button.", 0.5),
        ("Don't let go of it until the button and the pin are in.", 1.0),
        ("You must not use a pin but the button.", 0.5),
    ],
)
def test_coverage__denials_reach_as_far_as_they_do_in_english(reply: str, share: float) -> None:
    """A denial covers its clause up to a word that ends it; some denials deny nothing."""
    assert coverage(("pin", "button"), reply) == share


def test_coverage__a_negative_point_is_met_in_any_wording() -> None:
    """``not rub`` is met by don't, never, avoid and without, and not by rubbing."""
    for reply in ("Don't rub it.", "Never rub it.", "Avoid rubbing it.", "Do it without rubbing."):
        assert coverage(("not rub",), reply) == 1.0
    assert coverage(("not rub",), "Rub it well.") == 0.0
    assert coverage(("not", "|"), "Do it well.") == 0.0


@given(
    st.lists(
        st.sampled_from("button paperclip router label password restart press hold".split()), min_size=6, max_size=30
    )
)
def test_prose__keywords_are_no_sentence(words: list[str]) -> None:
    """Bare keywords are worth 0.3, however many, and with whatever between them."""
    for joint in (" ", ", ", "\n", ". "):
        assert prose(joint.join(words)) == pytest.approx(0.3)


def test_prose__authored_references_are_sentences() -> None:
    """All reference texts count as prose, and so does a short reply, and code."""
    texts = [answer for task in TASKS.values() if task.kind in ("how_to", "writing") for answer in task.answers]
    assert [prose(text) for text in texts] == [1.0] * len(texts)
    assert prose("`git reset --soft HEAD~1`") == prose("Press reset.") == 1.0
