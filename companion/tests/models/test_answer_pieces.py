"""Compare the pieces of an answer with the tokenizer's own decoding, for the kinds of tokenizer that models use."""

import json
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from patchlight.embedded.training.vocabulary import build_tokenizer, token_id
from patchlight.models.answer_pieces import AnswerText, answer_text, token_texts

CORPUS = [
    "The large metallic sphere is behind the small red cube, isn't it?",
    "There are 12 objects: two cubes and a sphere. The cube's colour is blue; the café's is not.",
    "Là où il y a des cubes, on ne voit pas la sphère.",
]
SENTENCES = [
    *CORPUS,
    " Two  spaces, and\na new line.\n\n",
    "日本語の答え。",
    "Emoji 🙂👩‍👩‍👧 in a row: 🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂",
    "𠜎𠜱𠝹𠱓𠱸𠲖𠳏 rare characters",
    "Ünïcödé naïve Ωmega, ĳ",
    "",
]
SPECIAL = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}


@cache
def sentencepiece_style(*, strips: bool = True) -> PreTrainedTokenizerFast:
    """A tokenizer like Llama's: spaces are `▁`, and characters outside the vocabulary become bytes such as `<0xE2>`.

    With `strips=False` it is like Gemma's, whose decoder keeps the leading space.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    # Set only while training the vocabulary, so that no token spans a space or a comma.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Punctuation()]
    )
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=220, special_tokens=list(SPECIAL.values())))
    stored = json.loads(tokenizer.to_str())
    vocabulary = stored["model"]["vocab"]
    vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    stored["pre_tokenizer"] = None
    stored["model"] |= {"byte_fallback": True, "fuse_unk": True}
    tokenizer = Tokenizer.from_str(json.dumps(stored))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strips else steps)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


@cache
def byte_level() -> PreTrainedTokenizerFast:
    """A tokenizer like those of GPT-2, Llama 3 and Qwen.

    Text is split into bytes, and sequences that occur in the corpus are merged.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=list(SPECIAL.values()), initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL, clean_up_tokenization_spaces=True)


TOKENIZERS = {
    "sentencepiece": sentencepiece_style,
    "gemma": lambda: sentencepiece_style(strips=False),
    "byte-level": byte_level,
}


def ids_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def decoded(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def pieces(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> tuple[list[str], list[int], str]:
    answer = AnswerText(tokenizer)
    texts, words = [], []
    for token in ids:
        preview = answer.text_of(token)
        text, word = answer.add(token)
        assert token == tokenizer.eos_token_id or preview == text
        texts.append(text)
        words.append(word)
    assert answer.answer == "".join(texts)
    return texts, words, answer.rest()


@pytest.mark.parametrize("text", SENTENCES, ids=range(len(SENTENCES)))
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_joined_pieces_equal_the_decoded_answer(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    ids = ids_of(tokenizer, text)
    texts, _, rest = pieces(tokenizer, ids)
    assert "".join(texts) == decoded(tokenizer, ids)
    assert rest == ""
    if text:
        assert "".join(texts).strip() == text.strip()


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60))
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_joined_pieces_of_any_text_equal_the_decoded_text(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    ids = ids_of(tokenizer, text)
    texts, _, rest = pieces(tokenizer, ids)
    assert "".join(texts) + rest == decoded(tokenizer, ids)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_joined_pieces_of_any_byte_level_tokens_equal_the_decoded_text(data: st.DataObject) -> None:
    tokenizer = byte_level()
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=60))
    texts, words, rest = pieces(tokenizer, ids)
    assert "".join(texts) + rest == decoded(tokenizer, ids)
    assert all(later - earlier in (0, 1) for earlier, later in pairwise(words))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", [*TOKENIZERS, "wordpiece"])
def test_the_scored_text_of_any_tokens_is_the_joined_pieces(kind: str, data: st.DataObject) -> None:
    tokenizer = build_tokenizer() if kind == "wordpiece" else TOKENIZERS[kind]()
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=40))
    texts, _, rest = pieces(tokenizer, ids)
    assert answer_text(tokenizer, ids) == ("".join(texts) + rest).strip()


@pytest.mark.parametrize("kind", [*TOKENIZERS, "wordpiece"])
def test_the_scored_text_has_no_space_before_punctuation(kind: str) -> None:
    tokenizer = build_tokenizer() if kind == "wordpiece" else TOKENIZERS[kind]()
    text = "There are two objects: a sphere, a cube."
    assert answer_text(tokenizer, ids_of(tokenizer, text)) == text


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_sentencepiece_tokens_yield_pieces_without_an_error(data: st.DataObject) -> None:
    tokenizer = sentencepiece_style()
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=60))
    texts, _, rest = pieces(tokenizer, ids)
    # A broken run of bytes may yield a different number of replacement characters. All other text must be complete.
    kept = ("".join(texts) + rest).replace("\N{REPLACEMENT CHARACTER}", "")
    expected = decoded(tokenizer, ids).replace("\N{REPLACEMENT CHARACTER}", "")
    assert len(kept) >= len(expected)


def test_a_character_in_several_tokens_belongs_to_the_token_that_completes_it() -> None:
    tokenizer = byte_level()
    ids = ids_of(tokenizer, "a 🙂!")
    texts, words, _ = pieces(tokenizer, ids)
    assert len(ids) == 7
    assert texts == ["a", " ", "", "", "", "🙂", "!"]
    assert words == [0, 1, 2, 2, 2, 2, 3]


def test_rest_returns_the_text_of_an_incomplete_last_character() -> None:
    for tokenizer in (byte_level(), sentencepiece_style()):
        ids = ids_of(tokenizer, "a🙂")[:-1]
        texts, _, rest = pieces(tokenizer, ids)
        assert "".join(texts) == "a"
        assert set(rest) == {"\N{REPLACEMENT CHARACTER}"}
        assert "".join(texts) + rest == decoded(tokenizer, ids)


def test_a_broken_run_of_bytes_does_not_change_text_already_emitted() -> None:
    tokenizer = sentencepiece_style()
    smile, word = ids_of(tokenizer, "🙂"), ids_of(tokenizer, "cube")
    ids = [*smile, smile[-4], *word]
    assert "🙂" not in decoded(tokenizer, ids)
    texts, _, _ = pieces(tokenizer, ids)
    assert "".join(texts).strip() == "🙂\N{REPLACEMENT CHARACTER} cube"


@pytest.mark.parametrize("kind", ["sentencepiece", "byte-level"])
def test_a_word_groups_its_subword_tokens_without_punctuation(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    ids = ids_of(tokenizer, "The unspherical cube, isn't it?\nNo.")
    texts, words, _ = pieces(tokenizer, ids)
    joined = ["".join(t for t, w in zip(texts, words, strict=True) if w == n).strip() for n in range(words[-1] + 1)]
    assert [word for word in joined if word] == ["The", "unspherical", "cube", ",", "isn't", "it", "?", "No", "."]


def test_scripts_without_spaces_have_one_word_per_token() -> None:
    tokenizer = byte_level()
    texts, words, _ = pieces(tokenizer, ids_of(tokenizer, "日本語"))
    assert [text for text in texts if text] == ["日", "本", "語"]
    assert words[-1] == 2


def test_alternatives_have_the_text_they_would_add_at_this_position() -> None:
    tokenizer = byte_level()
    answer = AnswerText(tokenizer)
    for token in ids_of(tokenizer, "The"):
        answer.add(token)
    (space_cube,) = ids_of(tokenizer, " cube")
    assert answer.text_of(space_cube) == " cube"
    assert answer.text_of(token_id(tokenizer, "</s>")) == "</s>"
    assert answer.answer == "The"


def test_pieces_of_the_embedded_tokenizer_are_spaced_as_in_the_browser() -> None:
    tokenizer = build_tokenizer()
    ids = ids_of(tokenizer, "There are two spheres: metallic, not red.")
    texts, words, _ = pieces(tokenizer, ids)
    assert "".join(texts) == "There are two spheres: metallic, not red."
    assert texts[3:8] == [" sphere", "s", ":", " metal", "lic"]
    assert words[3:8] == [3, 3, 4, 5, 5]


def test_the_text_of_prompt_tokens_includes_special_tokens() -> None:
    tokenizer = build_tokenizer()
    ids = list(tokenizer("USER: what color is the cube? ASSISTANT:").input_ids)
    texts = token_texts(tokenizer, ids)
    assert texts[0] == "<s>"
    assert "".join(texts) == "<s> USER: what color is the cube? ASSISTANT:"


def test_a_long_answer_is_not_decoded_from_the_start_for_each_token(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = byte_level()
    ids = ids_of(tokenizer, " ".join(SENTENCES) * 20)
    longest = 0
    decode = tokenizer.decode

    def counted(some: list[int], **options: bool) -> str:
        nonlocal longest
        longest = max(longest, len(some))
        return str(decode(some, **options))

    monkeypatch.setattr(tokenizer, "decode", counted)
    texts, _, _ = pieces(tokenizer, ids)
    monkeypatch.undo()
    assert "".join(texts) == decoded(tokenizer, ids)
    # At most 16 pieces, each with no more tokens than the longest character in the corpus has bytes.
    assert longest <= 80 < len(ids)
