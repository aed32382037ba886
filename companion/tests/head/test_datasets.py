"""Tests reading small files in the published dataset formats, and the rules that score answers."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchlight.head.answer_scores import (
    any_match,
    exact_match,
    normalised,
    says_neither,
    says_yes,
    vqa_accuracy,
    vqa_accuracy_of_nine,
    yes_or_no,
)
from patchlight.head.datasets import DataOptions, Groups, Sample, count_samples, read_samples
from patchlight.head.json_entries import DataError, JsonFile
from tests.helpers.question_files import TEN, pope, vqa, vqa_questions, write


def test_vqav2_has_coco_image_names_and_ten_answers_per_question(tmp_path: Path):
    samples = list(read_samples(vqa(tmp_path)))
    assert samples[1] == Sample(
        "458753000",
        tmp_path / "val2014" / "COCO_val2014_000000458753.jpg",
        "What is 1?",
        tuple(f"{word}1" for word in TEN),
        Groups(answer_type="other"),
    )
    assert len(samples) == 3


def test_vqav2_answers_are_joined_by_question_in_any_order(tmp_path: Path):
    ordered = list(read_samples(vqa(tmp_path / "a")))
    shuffled = list(read_samples(vqa(tmp_path / "b", order=[2, 0, 1])))
    assert [sample.answers for sample in shuffled] == [sample.answers for sample in ordered]


def test_vqav2_test_questions_have_test_images_and_no_answers(tmp_path: Path):
    questions = write(tmp_path / "test-dev.json", vqa_questions(1, "test-dev2015"))
    [sample] = read_samples(DataOptions(kind="vqav2", questions=questions, images=tmp_path))
    assert sample.image.name == "COCO_test2015_000000458752.jpg"
    assert sample.answers == ()


def test_the_error_for_a_question_without_annotation_gives_its_id_and_location(tmp_path: Path):
    options = vqa(tmp_path, order=[0, 2])
    with pytest.raises(
        DataError, match=r"questions\.json:1, entry 1: question 458753000 has no answers in .*annotations"
    ):
        list(read_samples(options))


def test_gqa_is_read_from_a_file_or_a_folder_of_files(tmp_path: Path):
    def entry(number: int) -> dict[str, Any]:
        return {
            "semantic": [{"operation": "select", "dependencies": [], "argument": "sky (2486325)"}],
            "entailed": [],
            "equivalent": [str(number)],
            "question": f"Is the sky {number}?",
            "imageId": f"n{number}",
            "isBalanced": True,
            "groups": {"global": None, "local": "06-sky_dark"},
            "answer": "yes",
            "types": {"detailed": "verifyAttr", "semantic": "attr", "structural": "verify"},
            "fullAnswer": "Yes, the sky is dark.",
        }

    one = write(tmp_path / "val_balanced_questions.json", {"201307251": entry(1), "201640614": entry(2)}, indent=1)
    images = tmp_path / "images"
    samples = list(read_samples(DataOptions(kind="gqa", questions=one, images=images)))
    groups = Groups(structural_type="verify", semantic_type="attr")
    assert samples[1] == Sample("201640614", images / "n2.jpg", "Is the sky 2?", ("yes",), groups)
    withheld = entry(3)
    for name in ("answer", "fullAnswer", "semantic", "types"):
        del withheld[name]
    write(tmp_path / "all" / "train_all_questions_1.json", {"c": withheld})
    write(tmp_path / "all" / "train_all_questions_0.json", {"a": entry(1), "b": entry(2)})
    samples = list(read_samples(DataOptions(kind="gqa", questions=tmp_path / "all", images=images)))
    assert [(sample.id, sample.answers) for sample in samples] == [("a", ("yes",)), ("b", ("yes",)), ("c", ())]
    assert samples[2].groups == Groups()


def test_pope_is_read_from_one_split_or_a_folder_of_three(tmp_path: Path):
    for split in ("adversarial", "popular", "random"):
        pope(tmp_path, split, ["yes", "no"])
    samples = list(read_samples(DataOptions(kind="pope", questions=tmp_path, images=tmp_path)))
    assert [sample.id for sample in samples] == [
        "random/1", "random/2", "popular/1", "popular/2", "adversarial/1", "adversarial/2",
    ]  # fmt: skip
    image = tmp_path / "COCO_val2014_000000310196.jpg"
    assert samples[3] == Sample("popular/2", image, "Is there a popular?", ("no",), Groups("popular"))
    alone = DataOptions(kind="pope", questions=tmp_path / "coco_pope_popular.json", images=tmp_path)
    assert [sample.id for sample in read_samples(alone)] == ["popular/1", "popular/2"]


def test_pope_s_split_comes_from_the_field_category_or_else_from_the_file_s_name(tmp_path: Path):
    lines = [
        {"question_id": k, "image": "a.jpg", "text": "Is there?", "label": "no", "category": split}
        for k, split in enumerate(("random", "adversarial", "unheard of"))
    ]
    (tmp_path / "pope.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    samples = list(read_samples(DataOptions(kind="pope", questions=tmp_path / "pope.json", images=tmp_path)))
    assert [sample.id for sample in samples] == ["random/0", "adversarial/1", "pope/2"]
    assert [sample.groups.split for sample in samples] == ["random", "adversarial", "pope"]


def test_a_folder_may_hold_pope_s_splits_of_several_image_sets(tmp_path: Path):
    for name in ("aokvqa_pope_seem_random", "coco_pope_popular", "coco_pope_random"):
        pope(tmp_path, "random", ["yes"]).rename(tmp_path / f"{name}.json")
    samples = list(read_samples(DataOptions(kind="pope", questions=tmp_path, images=tmp_path)))
    assert [sample.id for sample in samples] == ["aokvqa_pope_seem_random/1", "coco_pope_random/1", "popular/1"]


def test_jsonl_image_paths_are_relative_to_the_questions_file(tmp_path: Path):
    path = tmp_path / "own.jsonl"
    path.write_text(
        '{"image": "a.png", "question": "What?", "answers": ["cat", "a cat"], "id": "first"}\n\n'
        '{"image": "b/c.png", "question": "Who?", "answers": []}\n'
    )
    samples = list(read_samples(DataOptions(kind="jsonl", questions=path)))
    assert samples == [
        Sample("first", tmp_path / "a.png", "What?", ("cat", "a cat")),
        Sample("3", tmp_path / "b" / "c.png", "Who?", ()),
    ]


def test_a_seeded_choice_is_reproducible_and_keeps_file_order(tmp_path: Path):
    chosen = vqa(tmp_path, 40, samples=12, seed=5)
    samples = list(read_samples(chosen))
    assert samples == list(read_samples(chosen))
    assert len(samples) == count_samples(chosen) == 12
    everything = list(read_samples(vqa(tmp_path, 40)))
    numbers = [everything.index(sample) for sample in samples]
    assert numbers == sorted(numbers) != list(range(12))
    assert samples != list(read_samples(vqa(tmp_path, 40, samples=12, seed=6)))
    assert list(read_samples(vqa(tmp_path, 40, samples=12))) == everything[:12]
    assert count_samples(vqa(tmp_path, 3, samples=12, seed=1)) == 3


def test_samples_are_yielded_before_the_end_of_the_file_is_parsed(tmp_path: Path):
    options = vqa(tmp_path, 3)
    text = options.questions.read_text()
    options.questions.write_text(text[: text.rindex("{")] + "broken")
    samples = read_samples(options)
    assert [next(samples).id, next(samples).id] == ["458752000", "458753000"]
    with pytest.raises(DataError, match=r"questions\.json:1, column \d+: Expecting value"):
        next(samples)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"image": "a.png", "question": "What?"}',
            r"own\.jsonl:2: field 'answers' is missing; found 'image', 'question'",
        ),
        ('{"image": 7, "question": "What?", "answers": []}', r"own\.jsonl:2: 'image' is 7, expected a string"),
        ('{"image": "a.png"', r"own\.jsonl:2, column 18: "),
        ('["a.png"]', r'own\.jsonl:2: expected an object, found \["a\.png"\]'),
        (
            '{"image": "a.png", "question": "What?", "answers": [1]}',
            r"own\.jsonl:2: 'answers' must be a list of strings",
        ),
    ],
)
def test_the_error_for_a_bad_line_gives_its_number_and_the_problem(tmp_path: Path, line: str, message: str):
    path = tmp_path / "own.jsonl"
    path.write_text('{"image": "a.png", "question": "What?", "answers": []}\n' + line + "\n")
    with pytest.raises(DataError, match=message):
        list(read_samples(DataOptions(kind="jsonl", questions=path)))


def test_errors_for_bad_labels_entries_and_paths_give_the_location(tmp_path: Path):
    path = pope(tmp_path, "random", ["yes", "maybe"])
    with pytest.raises(DataError, match=r"coco_pope_random\.json:2: 'label' is 'maybe', expected yes or no"):
        list(read_samples(DataOptions(kind="pope", questions=path, images=tmp_path)))
    path = write(tmp_path / "gqa.json", {"1": {"imageId": "n1", "question": "?"}, "2": {"question": "?"}}, indent=1)
    with pytest.raises(DataError, match=r"gqa\.json:6, entry 2: field 'imageId' is missing; found 'question'"):
        list(read_samples(DataOptions(kind="gqa", questions=path, images=tmp_path)))
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        list(read_samples(DataOptions(kind="gqa", questions=tmp_path / "none.json", images=tmp_path)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="in this folder"):
        list(read_samples(DataOptions(kind="pope", questions=tmp_path / "empty", images=tmp_path)))


def test_contradictory_options_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="pass the folder of images"):
        DataOptions(kind="gqa", questions=tmp_path)
    with pytest.raises(ValueError, match="only vqav2 keeps its answers"):
        DataOptions(kind="pope", questions=tmp_path, images=tmp_path, annotations=tmp_path)
    with pytest.raises(ValueError, match="seed 1 has no effect without a number of samples"):
        DataOptions(kind="jsonl", questions=tmp_path, seed=1)


JSON_LINES = b'{"image": "a.png", "question": "Caf\xc3\xa9?", "answers": []}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"own\.jsonl: the file is empty"),
        (b"\n \n", r"own\.jsonl: the file has no entries, expected one JSON object per line"),
        (JSON_LINES.decode().encode("utf-16"), r"own\.jsonl: the text is not UTF-8: save the file as UTF-8"),
        (JSON_LINES.decode().encode("utf-16-le"), r"own\.jsonl: the text is not UTF-8"),
        (JSON_LINES * 400 + JSON_LINES.decode().encode("cp1252"), r"own\.jsonl:401: the text is not UTF-8"),
        (JSON_LINES * 2 + JSON_LINES[:30], r"own\.jsonl:3, column \d+: .*; expected one JSON object per line"),
        (JSON_LINES + b'{"image": "a", "image": "b"}', r"own\.jsonl:2: an object has two members named 'image'"),
        (JSON_LINES + b'{"image": ' + b"9" * 5000 + b"}", r"own\.jsonl:2: Exceeds the limit"),
        (JSON_LINES + b"[" * 100_000, r"own\.jsonl:2: "),
        (b"[" + JSON_LINES + b"]" + JSON_LINES, r"own\.jsonl:2, column 2: expected the end of the file"),
        (b'{"image": NaN, "question": "", "answers": []}', r"own\.jsonl:1: 'image' is NaN, expected a string"),
        (b"PK\x03\x04", r"own\.jsonl: this is a ZIP archive: unpack it"),
        (b"version https://git-lfs.github.com/spec/v1", r"own\.jsonl: this is a Git LFS pointer"),
        (b"<!doctype html>", r"own\.jsonl: this is a web page or XML"),
        (gzip.compress(JSON_LINES, mtime=0)[:-9], r"own\.jsonl: the gzip data is damaged or incomplete"),
    ],
)
def test_a_file_that_is_not_json_lines_is_refused_with_a_remedy(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "own.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_samples(DataOptions(kind="jsonl", questions=path)))


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    questions=st.lists(st.tuples(_text, st.lists(_text, max_size=3)), min_size=1, max_size=8),
    has_mark=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\n \r\n"]),
    is_ascii=st.booleans(),
    is_ended=st.booleans(),
    is_array=st.booleans(),
    is_zipped=st.booleans(),
)
def test_questions_in_any_dialect_of_json_lines_are_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    questions: list[tuple[str, list[str]]],
    has_mark: bool,
    line_end: str,
    is_ascii: bool,
    is_ended: bool,
    is_array: bool,
    is_zipped: bool,
):
    lines = [
        json.dumps({"image": "a.png", "question": question, "answers": answers}, ensure_ascii=is_ascii)
        for question, answers in questions
    ]
    text = f"[{line_end}{f',{line_end}'.join(lines)}{line_end}]" if is_array else line_end.join(lines)
    content = (text + line_end * is_ended).encode("utf-8-sig" if has_mark else "utf-8")
    path = tmp_path_factory.getbasetemp() / "dialect.jsonl"
    path.write_bytes(gzip.compress(content, mtime=0) if is_zipped else content)
    samples = read_samples(DataOptions(kind="jsonl", questions=path))
    assert [(sample.question, list(sample.answers)) for sample in samples] == questions


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(before=values, members=st.dictionaries(st.text(), values, max_size=4), indent=st.sampled_from([None, 1]))
def test_entries_equal_those_of_the_json_module(
    tmp_path_factory: pytest.TempPathFactory, before: Any, members: dict[str, Any], indent: int | None
):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps({"first": before, "members": members, "list": list(members.values())}, indent=indent))
    file = JsonFile(path)
    assert {entry.key: entry.value for entry in file.entries("members")} == members
    assert [entry.value for entry in file.entries("list")] == list(members.values())
    assert file.value("first") == before
    assert file.value("absent") is None


def test_normalisation_follows_the_vqa_challenge():
    for answer, expected in {
        "The two dogs.": "2 dogs",
        "a  red,blue ball": "red blue ball",
        "yes, it is": "yes it is",
        "$1,000": "$1000",
        "3.5": "3.5",
        "don't know": "don't know",
        "dont know": "don't know",
        "couldntve": "couldntve",
        "couldnt've": "couldn't've",
        "None": "0",
        "UP-side/down": "up side down",
        "what?!": "what",
        "new\nline": "new line",
    }.items():
        assert normalised(answer) == expected, answer


def test_vqa_accuracy_counts_people_who_agree():
    people = ["yes"] * 3 + ["no"] * 2 + ["Yes."] + ["maybe"] * 4
    assert vqa_accuracy("yes", people) == 1
    assert vqa_accuracy("no", people) == pytest.approx(2 / 3)
    assert vqa_accuracy("unsure", people) == 0
    assert vqa_accuracy("", ["", "a", "a"]) == 0
    assert any_match("A.", ["a"]) == 1
    assert any_match("a", ["the"]) == 0


@given(agree=st.integers(0, 10))
def test_the_challenge_server_s_accuracy_is_the_mean_over_nine_of_ten_people(agree: int):
    people = ["yes"] * agree + ["no"] * (10 - agree)
    nines = [vqa_accuracy("yes", people[:k] + people[k + 1 :]) for k in range(10)]
    assert vqa_accuracy_of_nine("yes", people) == pytest.approx(sum(nines) / 10)


def test_gqa_requires_an_exact_match():
    assert exact_match(" Dark. ", ["dark"]) == 1
    assert exact_match("Dark .", ["dark"]) == exact_match("light  blue.", ["light blue"]) == 1
    assert exact_match("dark blue", ["dark"]) == 0


def test_pope_finds_yes_or_no_in_a_sentence():
    assert says_yes("Yes, there is a dog.")
    assert not says_yes("No.")
    assert not says_yes("There is not a dog, I think. Yes.")
    assert says_yes("There is nothing like it")
    unclear = ["Yes, a dog.", "NO!", "not here", "A dog. No.", "", "Yesterday"]
    assert [says_neither(answer) for answer in unclear] == [False, False, False, True, True, True]
    assert yes_or_no("No, there is no dog.", ["no"]) == 1
    assert yes_or_no("There is a dog.", ["no"]) == 0
