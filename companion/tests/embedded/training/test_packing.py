"""Compares packed training with unpacked sequences, and greedy answers with Hugging Face's `generate`."""

import numpy as np
import pytest
import torch
from PIL import Image

from patchlight.embedded.answering import TokenizedQuestion, ask_scenes, embed_images, greedy_answers, prompt_embeds
from patchlight.embedded.collect import verify_draft
from patchlight.embedded.training.model import build_model, build_processor, model_inputs
from patchlight.embedded.training.packed_forward import encode_patches, text_states
from patchlight.embedded.training.packing import IGNORED, block_mask, pack_scenes, prompt_pieces
from patchlight.embedded.training.supervision import side_targets
from patchlight.embedded.training.vocabulary import build_tokenizer
from patchlight.embedded.world.phrases import ATTRIBUTES, WORDING
from patchlight.embedded.world.pool import PooledScene, patch_majority
from patchlight.embedded.world.questions import MARGIN
from patchlight.embedded.world.render import render_seed
from tests.helpers.generation import generated_ids


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    model = build_model(tokenizer, seed=1).eval()
    with torch.no_grad():  # make the random model predict different tokens at different positions
        model.lm_head.weight.normal_(0, 0.5)
    return model


@pytest.fixture(scope="module")
def scenes() -> list[PooledScene]:
    rendered = [render_seed(seed) for seed in range(3)]
    return [PooledScene(scene, r.image, patch_majority(r.object_ids)) for scene, r in rendered]


def test_patches_are_encoded_as_in_hugging_face(model, tokenizer, scenes) -> None:
    processor = build_processor(tokenizer)
    inputs = model_inputs(processor, Image.fromarray(scenes[0].image), "?")
    with torch.no_grad():
        expected = model.model.get_image_features(inputs["pixel_values"])
        expected = getattr(expected, "pooler_output", expected)[0]
        actual = embed_images(model, scenes[0].image[None])[0]
    # The same float32 products, summed in a different order.
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)


def test_packing_does_not_change_the_states_of_a_pair(model, tokenizer, scenes) -> None:
    batch = pack_scenes(scenes, tokenizer, seed=5, patches=576, text_tokens=90, description_share=0.0)
    pieces = prompt_pieces(tokenizer)
    with torch.no_grad():
        features = encode_patches(model, batch.pixels, batch.keep)
        packed = text_states(model, batch, features).last
        for row in range(3):
            groups = batch.group[row, -batch.text.shape[1] :]
            assert groups.max() >= 2
            for group in range(1, int(groups.max()) + 1):
                here = groups == group
                pair = batch.text[row, here].tolist()
                alone = prompt_embeds(model, features[row], pieces, pair)[None]
                states = model.model.language_model(inputs_embeds=alone, use_cache=False).last_hidden_state[0]
                # In float32, attention over a masked row and over a shorter row without a mask round differently.
                torch.testing.assert_close(packed[row, here], states[-len(pair) :], atol=2e-4, rtol=1e-3)


def test_only_answer_tokens_have_labels(tokenizer, scenes) -> None:
    batch = pack_scenes(scenes, tokenizer, seed=5, patches=200, text_tokens=90, description_share=0.0)
    for row in range(3):
        answer_ids = batch.labels[row][batch.labels[row] != IGNORED]
        sentences = tokenizer.decode(answer_ids).split(tokenizer.eos_token)
        assert all(s.strip()[0].isupper() and s.strip()[-1] == "." for s in sentences if s.strip())
    shown = batch.objects >= 0
    assert shown.sum(1).tolist() == [min(200, int((s.patch_objects >= 0).sum())) for s in scenes]


def test_read_patches_represent_the_omitted_ones(tokenizer, scenes) -> None:
    batch = pack_scenes(scenes, tokenizer, seed=5, patches=576, read_patches=320, text_tokens=90, description_share=0.0)
    before = len(batch.prefix)
    torch.testing.assert_close(batch.multiplicity.sum(1), torch.full((3,), 576.0))
    assert torch.equal(batch.positions[:, before : before + 320], before + batch.keep.gather(1, batch.read))
    mask = block_mask(batch.group, batch.multiplicity, before, torch.float32)
    row = int((batch.group[0] == 1).nonzero()[0])
    share = torch.softmax(mask[0, 0, row], dim=0)[before : before + 320]
    shown = batch.objects[0][batch.read[0]] >= 0
    # With equal scores, objects get the same share of attention as they have of the complete image.
    assert (share[shown].sum() / share.sum()).item() == pytest.approx(shown.sum().item() / 576, rel=1e-5)


def test_the_end_of_a_mention_is_labelled_with_the_objects_that_fit_it(tokenizer, scenes) -> None:
    batch = pack_scenes(scenes, tokenizer, seed=5, patches=576, text_tokens=300, description_share=0.0)
    canonical = {synonym: word for word, synonyms in WORDING.items() for synonym in synonyms}
    attributes = {value: name for name, values in ATTRIBUTES.items() for value in values}
    seen = 0
    for row, end in (batch.fitting >= 0).nonzero().tolist():
        objects = scenes[row].scene.objects
        group = batch.group[row, -300:]
        words = tokenizer.convert_ids_to_tokens(batch.text[row, : end + 1][group[: end + 1] == group[end]])
        named = [canonical.get(word, word) for word in words if word != "##s"]
        phrase: list[str] = []
        while named and (named[-1] in attributes or named[-1] == "object"):
            phrase.append(str(named.pop()))
        fits = [
            k
            for k, item in enumerate(objects)
            if all(getattr(item, attributes[w]) == w for w in phrase if w in attributes)
        ]
        assert len(fits) == batch.fitting[row, end]
        assert batch.fit[row, end] == (fits[0] if len(fits) == 1 else -1)
        seen += 1
    assert seen > 20


def test_the_end_of_a_second_mention_is_labelled_with_the_side_of_the_first(tokenizer, scenes) -> None:
    batch = pack_scenes(scenes, tokenizer, seed=5, patches=576, text_tokens=1200, description_share=0.0)
    targets = side_targets(scenes, batch)
    assert bool(targets[batch.fit_before < 0].isnan().all())
    checked = 0
    for row, end in (batch.fit_before >= 0).nonzero().tolist():
        camera, objects = scenes[row].scene.camera, scenes[row].scene.objects
        one, other = (objects[int(fit[row, end])] for fit in (batch.fit_before, batch.fit))
        assert one is not other
        difference = np.subtract(one.center, other.center)
        forward = camera.forward[:2] / np.linalg.norm(camera.forward[:2])
        for axis, target in zip((camera.right[:2], forward), targets[row, end], strict=True):
            offset = float(difference @ axis)
            if abs(offset) < MARGIN - 1e-6:
                assert target.isnan()
            elif abs(offset) > MARGIN + 1e-6:
                assert target == (offset > 0)
                checked += 1
    assert checked > 20


def test_greedy_answers_equal_those_of_generate(model, tokenizer, scenes) -> None:
    questions = ask_scenes(scenes, range(2), tokenizer, per_scene=3, seed=2)
    answers = greedy_answers(model, scenes, questions, tokenizer, limit=12)
    processor = build_processor(tokenizer)
    for item, answer in zip(questions, answers, strict=True):
        inputs = model_inputs(processor, Image.fromarray(scenes[item.scene].image), item.question.text)
        out = generated_ids(model, inputs, max_new_tokens=12)
        expected = [t for t in out if t != tokenizer.eos_token_id]
        assert answer.ids == expected


def test_verifying_a_draft_gives_the_greedy_answer(model, tokenizer, scenes) -> None:
    pieces = prompt_pieces(tokenizer)
    questions = ask_scenes(scenes, range(3), tokenizer, per_scene=2, seed=9)
    greedy = greedy_answers(model, scenes, questions, tokenizer, limit=15)
    for item, answer in zip(questions, greedy, strict=True):
        features = embed_images(model, scenes[item.scene].image[None])[0]
        prompt = prompt_embeds(model, features, pieces, item.prompt_after)
        drafted = verify_draft(model, prompt, item.reference, pieces.eos, 15)
        assert drafted[:-1][:15] == answer.ids


def test_answer_tokens_are_labelled_with_the_object_that_they_name(tokenizer, scenes) -> None:
    questions: list[TokenizedQuestion] = ask_scenes(scenes, range(3), tokenizer, per_scene=4, seed=3)
    for item in questions:
        objects = scenes[item.scene].scene.objects
        for token, target in zip(tokenizer.convert_ids_to_tokens(item.reference), item.targets, strict=True):
            if target >= 0 and token != "object":
                named_object = objects[target]
                assert token in (named_object.color, named_object.shape, named_object.size, named_object.material)
    assert any(target >= 0 for item in questions for target in item.targets)
    assert np.all([len(i.reference) == len(i.targets) for i in questions])
