"""Document: where a value came from, and faults in the order of the file."""

from settings.document import Document, dotted

DOCUMENT = Document({"a": {"b": [1]}, "c": 2}, {(): "f:1:1", ("a",): "f:2:1", ("c",): "f:3:1"}, "f")


def test_a_value_without_a_place_has_that_of_the_nearest_value_around_it():
    assert DOCUMENT.place(("c",)) == "f:3:1"
    assert DOCUMENT.place(("a", "b", 0)) == "f:2:1"
    assert DOCUMENT.place(("x",)) == "f:1:1"
    assert Document({}, name="config").place(("x", "y")) == "config"


def test_a_fault_names_place_key_path_and_text_in_one_line():
    assert DOCUMENT.fault(("a", "b", 0), "is odd").line == "f:2:1: a.b.0: is odd"
    assert DOCUMENT.fault((), "is odd").line == "f:1:1: is odd"


def test_faults_sort_in_the_order_of_the_file():
    faults = [DOCUMENT.fault(path, "z") for path in (("c",), ("a", "b"), (), ("a",))]
    assert [fault.line for fault in sorted(faults)] == ["f:1:1: z", "f:2:1: a.b: z", "f:2:1: a: z", "f:3:1: c: z"]


def test_a_key_path_is_written_with_dots():
    assert dotted(("metrics", 0, "args", "k")) == "metrics.0.args.k"
