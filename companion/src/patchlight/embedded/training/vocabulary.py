"""The embedded model's tokenizer: WordPiece over the words of its questions and answers."""

import json
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from ...models.question_words import FILE as QUESTION_WORDS_FILE
from ..world.phrases import WORDING
from ..world.questions import NUMBERS, answer_text, ask
from ..world.scenes import COLORS, MATERIALS, SHAPES, SIZES, sample_scene

PAD, BOS, EOS, UNK, IMAGE = "<pad>", "<s>", "</s>", "<unk>", "<image>"
SPECIAL = (PAD, BOS, EOS, UNK, IMAGE)

_FUNCTION_WORDS = """
    USER ASSISTANT : , . ? ! the a an is are there of in to what how many do you see image scene picture describe count
    color shape size material made yes no it left right front behind and or with on not any all i can this that does
    have has object thing which colour grey ball block big tiny shiny matte big little where who please tell me about
    front background top bottom next near between one zero nothing something only same other many few
"""
SYNONYMS = {
    "colour": "color",
    "colours": "colors",
    "grey": "gray",
    "violet": "purple",
    "turquoise": "cyan",
    "aqua": "cyan",
    "picture": "image",
    "pictures": "images",
    "photo": "image",
    "photos": "images",
    "photograph": "image",
    "photographs": "images",
    "pic": "image",
    "pics": "images",
    "little": "small",
    "huge": "large",
    "matt": "matte",
    "dull": "matte",
    "glossy": "shiny",
    "item": "object",
    "items": "objects",
    "globe": "sphere",
    "globes": "spheres",
    "orb": "sphere",
    "orbs": "spheres",
    "box": "cube",
    "boxes": "cubes",
    "which": "what",
    "what's": "what is",
    "whats": "what is",
    "there's": "there is",
}
"""Words that the model was not trained on, and its own words that mean the same about its scenes."""
_SUFFIXES = ("##s", "##lic")
_SENTENCE_STARTS = (
    "What How Is Are There Do Count Describe The Yes No A An Which Where Does Can Tell I It This That".split()
)


def vocabulary_words() -> list[str]:
    """Return the vocabulary in a fixed order: special tokens, words, suffixes."""
    words = [*SPECIAL, *_FUNCTION_WORDS.split(), *COLORS, *SHAPES, *SIZES, *MATERIALS, *NUMBERS]
    words += [word for phrases in WORDING.values() for phrase in phrases for word in phrase.split()]
    words += [*_SENTENCE_STARTS, *_SUFFIXES]
    unique = list(dict.fromkeys(words))
    unique.remove("metallic")  # split into two tokens: metal ##lic
    return unique


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: one token per known word, two per plural (`sphere ##s`), `<unk>` for unknown words."""
    vocabulary = {word: number for number, word in enumerate(vocabulary_words())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, vocabulary[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNK,
        pad_token=PAD,
        additional_special_tokens=[IMAGE],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """Return a token's id. Raises ValueError if it is not in the vocabulary, instead of returning `<unk>`."""
    number = tokenizer.backend_tokenizer.token_to_id(token)
    if number is None:
        raise ValueError(f"{token!r} is not in the vocabulary")
    return number


def tokens_never_seen(tokenizer: PreTrainedTokenizerFast, *, scenes: int = 400) -> list[str]:
    """Return the tokens that no question or answer contains; training leaves their embeddings at their initial values.

    Training uses each question as written or with a lower-case first letter. The rarest token that does occur appears
    about 100 times in 400 scenes.
    """
    seen: set[str] = set(SPECIAL)
    for seed in range(scenes):
        scene, rng = sample_scene(seed), Random(seed)
        for kind in (None,) * 12 + ("description",):
            question = ask(scene, rng, kind)
            lower = question.text[0].lower() + question.text[1:]
            seen.update(tokenizer.tokenize(f"{question.text} {lower} {answer_text(question.words)}"))
    return [word for word in vocabulary_words() if word not in seen]


def save_question_words(folder: Path) -> None:
    """Write the words that questions may use; `models/question_words.py` and the page read them."""
    words = {"synonyms": SYNONYMS, "neverSeen": tokens_never_seen(build_tokenizer())}
    (folder / QUESTION_WORDS_FILE).write_text(json.dumps(words, indent=2, ensure_ascii=False) + "\n")


def save_tokenizer(folder: Path) -> None:
    """Save tokenizer.json and its config in the Hugging Face layout."""
    build_tokenizer().save_pretrained(folder)
