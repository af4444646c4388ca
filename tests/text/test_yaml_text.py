import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrun.text.problems import Text
from kerasrun.text.yaml_text import parse, plain, read_scalar, split_lines, walk


def read(content):
    problems = []
    node = parse(content, Text("e.yaml", split_lines(content)), problems)
    return node, [str(problem) for problem in problems]


def values(content):
    node, problems = read(content)
    assert problems == []
    return plain(node)


def only_problem(content):
    _, problems = read(content)
    assert len(problems) == 1
    return problems[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e3", -500.0),
        ("60_000", 60000),
        ("+1", 1),
        ("-7", -7),
        ("TRUE", True),
        ("false", False),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("~", None),
        ("Null", None),
        ("", None),
    ],
)
def test_numbers_booleans_and_nothing_are_read(written, value):
    assert read_scalar(written) == value
    assert type(read_scalar(written)) is type(value)


@pytest.mark.parametrize(
    "written",
    ["no", "on", "Yes", "y", "0001", "00", "010.5", "12:30:00", "2020-01-01", "0x1F", "0o17", "1__0", "1_", "1./255"],
)
def test_what_yaml_takes_for_something_else_stays_text(written):
    assert values(f"a: {written}") == {"a": written}


def test_quoted_text_stays_text():
    assert values("a: '1e-3'\nb: \"true\"\nc: ''") == {"a": "1e-3", "b": "true", "c": ""}


def test_keys_are_always_text():
    assert values("no: 1\n1: 2\ntrue: 3\n~: 4") == {"no": 1, "1": 2, "true": 3, "~": 4}


def test_anchors_aliases_and_merges_work():
    assert values("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: 4}]}\nw: *x") == {
        "x": {"a": 1, "b": 2},
        "y": {"b": 3, "a": 1},
        "z": {"a": 1, "b": 2, "c": 4},
        "w": {"a": 1, "b": 2},
    }


def test_a_quoted_merge_key_is_a_key():
    assert values("{'<<': 1}") == {"<<": 1}


def test_a_duplicate_key_names_both_lines():
    told = only_problem("fit:\n  epochs: 1\n  # more\n  epochs: 2\n")
    assert told.startswith("e.yaml:4:3: fit.epochs: the key 'epochs' again (first in line 2, here in line 4)")


def test_a_tab_is_explained_where_it_is():
    assert only_problem("a: 1\nb:\n\tc: 2").startswith("e.yaml:3:1: a tab in the indentation; expected spaces")


@pytest.mark.parametrize(
    ("content", "tag"), [("a: !!python/object:os.system x", "!!python/object:os.system"), ("a: !x 3", "!x")]
)
def test_tags_are_refused_by_name(content, tag):
    assert only_problem(content).startswith(f"e.yaml:1:4: a: the tag {tag};")


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        ("a: b: c", "1:5", "a second ':'"),
        ("key:value\nb: 1", "1:1", "no 'key: value'"),
        ("a: 1\n  b: 2", "2:3", "a key below a value"),
        ("a: [1,\nb: 2", "1:4", "']' or ','"),
        ("a: {b: 1\nc: 2", "1:4", "'}' or ','"),
        ("a: 'x", "1:4", "closing quote"),
        ("a: *x", "1:4", "not defined above"),
        ("a: 1\n---\nb: 2", "2:1", "second document"),
        ("a: @b", "1:4", "cannot begin a value"),
        ("a:\n- 1\nb\n", "3:1", "no 'key: value'"),
        ("a: \x07", "1:4", "U+0007"),
        ('a: "\\q"', "1:4", "unknown escape"),
        ("? [1]\n: 2", "1:3", "a key that is a list"),
        ("a: {<<: 3}", "1:9", "a merge"),
    ],
)
def test_broken_yaml_is_told_at_its_place(content, place, words):
    told = only_problem(content)
    assert told.startswith(f"e.yaml:{place}:")
    assert words in told


def test_several_mistakes_of_form_are_told_together():
    node, problems = read("a: !x 1\na: 2\nb: {c: 1, c: 2}")
    assert len(problems) == 3
    assert plain(node) == {"a": "1", "b": {"c": 1}}


def test_an_alias_inside_of_its_anchor_ends():
    assert "an alias inside of what it stands for" in only_problem("a: &x [1, *x]")


def test_aliases_that_multiply_end():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "aliases that repeat each other" in only_problem("\n".join(lines))


@pytest.mark.parametrize("content", ["[" * 100_000, "{a: " * 5_000, "- " * 5_000, "? " * 5_000])
def test_endless_nesting_is_a_problem_and_no_crash(content):
    assert "a value inside of very many others" in only_problem(content)


def test_very_many_values_are_a_problem_before_they_are_put_together():
    assert "very many values; expected at most 100,000" in only_problem(f"[{'1,' * 200_000}1]")


@pytest.mark.parametrize("content", ['"a\\0b"', '{"a\\0": 1}', '["\\x00"]'])
def test_no_text_has_a_character_that_no_path_can_have(content):
    assert "the character U+0000" in only_problem(content)


def test_a_text_that_ends_too_early_is_told_at_its_end():
    assert only_problem("a: 1\nb: {").startswith("e.yaml:2:5: ")


def test_a_number_of_hundreds_of_digits_is_text_as_arithmetic_has_none():
    assert values(f"[{'9' * 99}, {'9' * 100}]") == [10**99 - 1, "9" * 100]


def test_crlf_counts_as_one_line_break():
    node, problems = read("a: 1\r\nb:\r\n  c: 2\r\n")
    assert problems == []
    assert (node.value["b"].value["c"].key.line, node.value["b"].value["c"].key.column) == (3, 3)


def test_an_empty_value_stands_where_its_key_stands():
    node, _ = read("a:\n\n\nb: 1")
    assert (node.value["a"].place.line, node.value["a"].place.column) == (1, 1)


KEYS = st.text("abcxyzéß_019 -", min_size=1, max_size=8).map(str.strip).filter(bool)
SCALARS = st.one_of(KEYS, st.integers(-1000, 1000), st.booleans(), st.sampled_from(["no", "1e-3", "0001", "a: b", "#"]))
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3), max_leaves=8
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(
    DOCUMENTS,
    st.sampled_from([True, False, None]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "# é\n\n", "---\n"]),
    st.integers(2, 5),
)
def test_every_key_and_value_is_where_its_place_says(document, flow, line_break, before, indent):
    content = before + yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True, indent=indent, width=4000)
    content = content.replace("\n", line_break)
    node, problems = read(content)
    assert problems == []
    lines = content.split(line_break)
    for path, below in walk(node):
        if below.key is not None:
            key = lines[below.key.line - 1][below.key.column - 1 :]
            assert key.startswith((path[-1], f"'{path[-1]}'", f'"{path[-1]}"', "? "))
        if isinstance(below.value, str):
            value = lines[below.place.line - 1][below.place.column - 1 :]
            assert value.startswith((below.value, f"'{below.value}'", f'"{below.value}"'))
        elif below.written:
            assert lines[below.place.line - 1][below.place.column - 1 :].startswith(below.written)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_read_or_told_never_a_crash(content):
    node, problems = read(content)
    assert (node is None) <= bool(problems)
