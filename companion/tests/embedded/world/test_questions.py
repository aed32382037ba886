"""Checks answers by brute force over the scene, and the vocabulary against the questions."""

from collections import Counter
from random import Random

from patchlight.embedded.training.vocabulary import build_tokenizer, tokens_never_seen
from patchlight.embedded.world.phrases import ATTRIBUTES
from patchlight.embedded.world.questions import (
    KINDS,
    NUMBERS,
    OPPOSITE,
    RELATIONS,
    answer_text,
    ask,
    ground_axes,
    normalize_answer,
)
from patchlight.embedded.world.scenes import sample_scene

SCENES = [sample_scene(seed) for seed in range(150)]


def questions_of(kind: str, each: int = 6):
    random = Random(4)
    for scene in SCENES:
        for _ in range(each):
            question = ask(scene, random, kind)
            if question.kind == kind:
                yield scene, question


def test_counts_are_correct() -> None:
    for scene, question in questions_of("count"):
        words = [w.text for w in question.words]
        stated = NUMBERS.index(words[2])
        attributes = [w.removesuffix("s") for w in words[3:-1] if w not in ("object", "objects")]
        fits = [o for o in scene.objects if all(w in (o.shape, o.color, o.size, o.material) for w in attributes)]
        assert len(fits) == stated, question


def test_existence_answers_are_correct_and_half_of_them_are_no() -> None:
    answers = Counter()
    for scene, question in questions_of("existence"):
        words = [w.text for w in question.words]
        answers[words[0]] += 1
        attributes = [w for w in words[5:-1] if w != "object"]
        exists = any(all(w in (o.shape, o.color, o.size, o.material) for w in attributes) for o in scene.objects)
        assert exists == (words[0] == "yes"), question
    assert 0.44 < answers["no"] / answers.total() < 0.56


def test_attribute_answers_name_one_object_and_its_attribute() -> None:
    for scene, question in questions_of("attribute"):
        targets = {w.target for w in question.words if w.target >= 0}
        assert len(targets) == 1
        item = scene.objects[targets.pop()]
        named = [w.text for w in question.words if w.target >= 0 and w.text != "object"]
        assert all(word in (item.shape, item.color, item.size, item.material) for word in named), question
        reference, value = named[:-1], named[-1]
        assert value == getattr(item, question.variety)
        assert sum(all(w in (o.shape, o.color, o.size, o.material) for w in reference) for o in scene.objects) == 1


def test_relations_hold_from_the_camera_s_viewpoint() -> None:
    for scene, question in questions_of("relation", 4):
        if question.variety not in ("yes-no", "choose"):
            continue
        across, away = ground_axes(scene)
        texts = [w.text for w in question.words]
        one, other = (t for t in dict.fromkeys(w.target for w in question.words) if t >= 0)
        sentence = " ".join(texts)
        difference = (
            across[one] - across[other] if "left of" in sentence or "right of" in sentence else away[one] - away[other]
        )
        assert (difference < 0) == (" left " in sentence or " front " in sentence), question
        if question.variety == "yes-no":
            holds = next(relation in sentence for relation in RELATIONS if relation in question.text)
            assert texts[-2] == ("yes" if holds else "no"), question


def test_relation_answers_are_balanced() -> None:
    verdicts = Counter(q.words[-2].text for _, q in questions_of("relation") if q.variety == "yes-no")
    assert 0.42 < verdicts["yes"] / verdicts.total() < 0.58
    first = Counter()
    for _, question in questions_of("relation"):
        if question.variety == "choose":
            actual = next(r for r in RELATIONS if r in " ".join(w.text for w in question.words))
            sides = [question.text.index(r.removesuffix(" of")) for r in (actual, OPPOSITE[actual])]
            first[sides[0] < sides[1]] += 1
    assert 0.42 < first[True] / first.total() < 0.58


def test_descriptions_name_every_object_once() -> None:
    for scene, question in questions_of("description", 1):
        words = [w.text for w in question.words]
        mentioned = Counter(
            tuple(words[k : k + 4])
            for k in range(len(words) - 3)
            if all(w in values for w, values in zip(words[k : k + 4], ATTRIBUTES.values(), strict=True))
        )
        assert mentioned == Counter((o.size, o.color, o.material, o.shape) for o in scene.objects)


def test_every_word_is_in_the_vocabulary_and_survives_a_round_trip() -> None:
    tokenizer = build_tokenizer()
    random = Random(0)
    lengths = []
    for scene in SCENES:
        for kind in KINDS:
            question = ask(scene, random, kind)
            text = answer_text(question.words)
            for sentence in (question.text, question.text[0].lower() + question.text[1:], text):
                assert tokenizer.unk_token_id not in tokenizer(sentence).input_ids, sentence
            ids = tokenizer(text, add_special_tokens=False).input_ids
            decoded = tokenizer.decode(ids)
            assert isinstance(decoded, str)
            assert normalize_answer(decoded) == normalize_answer(text)
            if kind == "description":
                lengths.append(len(ids))
    assert min(lengths) >= 18
    assert max(lengths) <= 60
    assert tokenizer.tokenize("two spheres") == ["two", "sphere", "##s"]
    assert tokenizer.tokenize("elephant") == ["<unk>"]


def test_tokens_never_seen_in_training_are_listed() -> None:
    tokenizer = build_tokenizer()
    never_seen = tokens_never_seen(tokenizer)
    assert {"colour", "grey", "Where", "who", "between"} <= set(never_seen)
    for seed in range(5000, 5100):
        question = ask(sample_scene(seed), Random(seed))
        for sentence in (question.text, question.text[0].lower() + question.text[1:], answer_text(question.words)):
            assert not set(tokenizer.tokenize(sentence)) & set(never_seen), sentence


def test_normalised_answers_ignore_case_and_punctuation() -> None:
    assert normalize_answer("Yes, there is a red  cube.") == normalize_answer("yes there is a red cube")
