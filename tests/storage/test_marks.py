from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.storage.marks import Mark, Marks, Undo

keys = st.binary(min_size=1, max_size=3)


@given(st.lists(st.tuples(st.sampled_from(list(Mark)), st.lists(keys, max_size=5), st.booleans()), max_size=12))
def test_marks_are_a_set_that_knows_its_order(changes: list[tuple[Mark, list[bytes], bool]]) -> None:
    model: dict[tuple[Mark, bytes], None] = {}
    with Marks() as marks:
        for kind, added, kept in changes:
            with marks.tentatively():
                marks.add(kind, added)
                if not kept:
                    raise Undo
            if kept:
                model.update(dict.fromkeys((kind, key) for key in added))
        found = marks.after(0, 1000)
        assert [(kind, key) for _, kind, key in found] == list(model)
        assert marks.last() == (found[-1][0] if found else 0)
        assert [place for place, _, _ in found] == sorted({place for place, _, _ in found})
        asked = {key for _, added, _ in changes for key in added} | {b"other"}
        for kind in Mark:
            assert marks.among(kind, asked) == {key for marked, key in model if marked is kind}
