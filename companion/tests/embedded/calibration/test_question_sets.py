"""Tests the three question sets of the embedded model's calibration."""

from collections import Counter

from patchlight.embedded.calibration.question_sets import SETS, ask_sets
from patchlight.embedded.world.questions import answer_text
from patchlight.embedded.world.scenes import sample_scene, split_seed

SCENES = [sample_scene(split_seed("calibration", k)) for k in range(60)]


def test_each_set_has_its_kinds_and_distinct_answers_per_scene():
    kinds = {name: set() for name in SETS}
    for scene in SCENES:
        items = ask_sets(scene, 5, each=4)
        for name in SETS:
            own = [item.question for item in items if item.set == name]
            kinds[name] |= {question.kind for question in own}
            assert len({answer_text(question.words) for question in own}) == len(own) <= 4
    assert kinds == {"vqa-like": {"attribute", "count"}, "gqa-like": {"relation"}, "pope-like": {"existence"}}


def test_half_of_the_existence_questions_are_about_absent_objects():
    answers = Counter()
    for scene in SCENES:
        for item in ask_sets(scene, 5, each=4):
            if item.set == "pope-like":
                answers[item.question.words[0].text] += 1
    assert answers == {"yes": 2 * len(SCENES), "no": 2 * len(SCENES)}


def test_relations_have_all_varieties():
    varieties = Counter(
        item.question.variety for scene in SCENES for item in ask_sets(scene, 5, each=4) if item.set == "gqa-like"
    )
    assert set(varieties) == {"yes-no", "choose", "one-hop", "two-hop"}


def test_a_scene_without_relations_gets_the_other_questions():
    # Three identical objects: no description fits only one of them.
    scene = SCENES[0]._replace(objects=(SCENES[0].objects[0],) * 3)
    counts = Counter(item.set for item in ask_sets(scene, 5, each=1))
    assert counts["gqa-like"] == 0
    assert counts["pope-like"] == 1


def test_questions_are_a_function_of_scene_and_seed():
    assert ask_sets(SCENES[3], 5, each=4) == ask_sets(SCENES[3], 5, each=4)
    assert ask_sets(SCENES[3], 5, each=4) != ask_sets(SCENES[3], 6, each=4)
