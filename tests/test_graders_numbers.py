"""Numeric answers and mathematics."""

from __future__ import annotations

import builtins
import threading
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalign_env.protocols import Grade, Task
from gtalign_env.scenarios.tasks import grade
from gtalign_env.scenarios.tasks.graders import symbolic
from gtalign_env.scenarios.tasks.graders.expressions import evaluate

NUMBERS = st.integers(-(10**9), 10**9)


def quality(answer: str, reply: str, question: str = "What is it?") -> float:
    """Grade a reply to an arithmetic task with one reference answer."""
    task = Task(id="t", kind="arithmetic", vague="?", detailed=question, answers=(answer,))
    found = grade(task, reply).quality
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("−3", -3),  # a real minus sign
        ("1,024", 1024),
        ("33,\\!800,\\!000", 33_800_000),
        ("7/2", Fraction(7, 2)),
        ("1 1/2", Fraction(3, 2)),
        ("$1,234.50", Fraction(2469, 2)),
        (r"\frac{1}{4} + \frac14", Fraction(1, 2)),
        (r"2.5 \cdot 10^3", 2500),
        ("2^{10}", 1024),
        (r"\sqrt{16}", 4),
        ("4!", 24),
        (r"\mathbf{2340}", 2340),
        (r"30^\circ", 30),
        (r"10\text{ cm}", 10),
        ("3(4 + 1)", 15),
        ("-2^2", -4),
    ],
)
def test_evaluate__reads_numbers_exactly(text: str, value: Fraction) -> None:
    """Plain and LaTeX notation of a rational number has exactly that value."""
    found = evaluate(text)
    assert found is not None
    assert isinstance(found.number, Fraction)
    assert found.number == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"\frac{3\sqrt{3}}{\pi}", 3 * 3**0.5 / 3.141592653589793),
        (r"2\sqrt[3]{5}", 2 * 5 ** (1 / 3)),
        ("9π", 28.274333882308138),
    ],
)
def test_evaluate__computes_roots_and_pi(text: str, value: float) -> None:
    """Irrational expressions have their numerical value."""
    found = evaluate(text)
    assert found is not None
    assert float(found.number) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["", "x", "x + 1", "(1, 2)", "[0, 25]", "1/0", "2^{99999}", "9" * 50, "\\frac{1}", "((((", "1 +", "\\sqrt{-4}"],
)
def test_evaluate__has_no_value_for_anything_else(text: str) -> None:
    """Variables, tuples, impossible sums and towers of digits have no value, and raise nothing."""
    assert evaluate(text) is None


@given(st.text(max_size=60))
def test_evaluate__never_raises(text: str) -> None:
    """Any text is read or has no value."""
    value = evaluate(text)
    assert value is None or value.number == value.number


@given(NUMBERS, st.integers(1, 10**6))
def test_evaluate__agrees_with_python(above: int, below: int) -> None:
    """A fraction is the same in plain and in LaTeX notation."""
    plain, latex = evaluate(f"{above}/{below}"), evaluate(rf"\frac{{{above}}}{{{below}}}")
    assert plain is not None
    assert latex is not None
    assert plain.number == latex.number == Fraction(above, below)


@given(NUMBERS)
def test_numbers__the_right_number_is_right_however_it_is_put(number: int) -> None:
    """Bare, in a sentence, boxed, with separators: the right number is worth 1."""
    for reply in (
        str(number),
        f"It is {number}.",
        rf"\boxed{{{number}}}",
        f"The answer is **{number:,}**.",
        f"x = {number}",
    ):
        assert quality(str(number), reply) == 1.0, reply


@given(NUMBERS, NUMBERS)
def test_numbers__another_number_is_wrong(right: int, other: int) -> None:
    """Another number is worth nothing."""
    if right != other:
        assert quality(str(right), f"The answer is {other}.") == 0.0


@given(st.text(max_size=200), st.sampled_from(["7", "3/4", r"\sqrt{2}", "x + 1", "[0, 1]"]))
def test_numbers__any_reply_has_a_quality(reply: str, answer: str) -> None:
    """Whatever is replied, the grade is a number in [0, 1]."""
    assert 0.0 <= quality(answer, reply) <= 1.0


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ("75%", "0.75"),
        ("75%", "75 per cent"),
        ("75%", "3/4"),
        ("0.75", "75%"),
        ("2/3", "about 0.667"),
        ("1/6", "16.7%"),
        ("3.33", "10/3"),
        ("86,400", "There are 24 × 60 × 60 = 86,400 seconds in a day."),
        ("12", "twelve"),
        ("9\\pi", "The area is 9π cm²."),
        (r"\sqrt{5}", "x = √5."),
        ("52", "35% of 80 is 28, so the jacket costs 80 - 28 = 52 euros."),
        ("42", "First, 12 × 3 = 36. Then add 6 to get 42. Let me know if the other 2 rows are right."),
        ("42", "It is 42. That is 3 more than 39."),
    ],
)
def test_numbers__equal_values_are_right(answer: str, reply: str) -> None:
    """Notation, rounding, units and working around it do not make a right answer wrong."""
    assert quality(answer, reply) == 1.0


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ("42", "Is it 42?"),
        ("42", "It is not 42."),
        ("42", "420"),
        ("42", "-42"),
        ("42", r"\boxed{43} is near 42."),
        ("42", "We add 42 first. Then there are 17 left, so the result is 25."),
        ("2/3", "0.6"),
        ("12", "12.4"),
        ("1000000000001", "1000000000000"),
        ("5", "√5"),
        ("", ""),
    ],
)
def test_numbers__other_values_are_wrong(answer: str, reply: str) -> None:
    """Questions, denials, other numbers, and the right number on the way to a wrong one are worth nothing."""
    assert quality(answer or "1", reply) == 0.0


@pytest.mark.parametrize(
    ("question", "answer", "reply"),
    [
        ("What is 17 times 23?", "391", "It is 17 × 23."),
        ("What is 3/4 + 5/6?", "19/12", "3/4 + 5/6"),
        ("What is the mean of 12, 15, 9, 20 and 14?", "14", "The mean of 12, 15, 9, 20 and 14 is 13."),
    ],
)
def test_numbers__repeating_the_problem_is_no_result(question: str, answer: str, reply: str) -> None:
    """A sum still to be done, and a number the question named itself, are no results."""
    assert quality(answer, reply, question) == 0.0


def test_numbers__hedging_and_alternatives_cost_quality() -> None:
    """A guess is worth less than a statement, and the more alternatives, the less each is worth."""
    sure, guess = quality("42", "It is 42."), quality("42", "It might be 42.")
    two, many = quality("42", "It is 42 or 43."), quality("42", "It is 40, 41, 42, 43, 44 or 45.")
    assert sure == 1.0 > guess > two > many > 0.0


@pytest.mark.parametrize(
    ("answer", "right", "wrong"),
    [
        ("[0, 25]", r"\boxed{\left[0,25\right]}", r"\boxed{(0,25)}"),
        ("1 - 2x", "$1-2x$", "$1-3x$"),
        (
            r"(-\infty,-8]\cup[8,\infty)",
            r"The answer is $(-\infty,-8] \cup [8,\infty)$.",
            "The answer is $[8,\\infty)$.",
        ),
    ],
)
def test_numbers__expressions_without_a_value_are_compared(answer: str, right: str, wrong: str) -> None:
    """Intervals and terms with variables count where they say the same, with or without math-verify."""
    assert (quality(answer, right), quality(answer, wrong)) == (1.0, 0.0)


def test_symbolic__knows_equal_terms_where_math_verify_is_installed() -> None:
    """With math-verify, a term written in another way is the same term; in another thread, too."""
    pytest.importorskip("math_verify")
    found: list[bool] = []

    def compare() -> None:
        found.append(symbolic.same_expression("(x + 1)^2", "x^2 + 2x + 1"))

    symbolic.same_expression.cache_clear()
    thread = threading.Thread(target=compare)
    thread.start()
    thread.join()
    symbolic.same_expression.cache_clear()
    compare()
    assert found == [True, True]


def test_symbolic__gives_up_on_towers_of_powers() -> None:
    """Expressions that would take for ever to evaluate are compared as text only."""
    assert symbolic.same_expression("x^{9^{9^9}}", "x^{9^{9^9}}")
    assert not symbolic.same_expression("x^{9^{9^9}}", "x^{9^{9^8}}")


def test_numbers__plain_numbers_do_not_depend_on_math_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grading numbers, fractions and roots never imports the library."""
    importing = builtins.__import__

    def guarded(name: str, *args: Any, **kwargs: Any) -> Any:
        assert not name.startswith(("math_verify", "sympy")), name
        return importing(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)
    monkeypatch.setattr(symbolic, "_library", lambda: pytest.fail("a plain number needed math-verify"))
    assert quality("3/4", "It is 0.75.") == 1.0
    assert quality(r"\frac{\sqrt{3}}{2}", r"\boxed{\frac{\sqrt3}{2}}") == 1.0


def test_numbers__without_a_reference_there_is_no_grade() -> None:
    """A task without a reference answer is reported, not graded."""
    result = grade(Task(id="t", kind="arithmetic", vague="?", detailed="?"), "12")
    assert result == Grade(None, result.problem)
    assert "no reference answer" in result.problem
