"""Tiny text models of the library transformers, with random weights, written to folders."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

TEXTS = [
    "the film is a warm and quiet story about two old friends",
    "a dull plot, and no end in sight",
    "warm friends",
    "an old story that is told well and ends with no surprise at all, sadly " * 3,
] * 8


def tokenizer(before: str = "[CLS]", after: str = "[SEP]") -> Any:
    """Of words in pieces, with marks around each text."""
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(
        TEXTS, tokenizers.trainers.WordPieceTrainer(vocab_size=200, special_tokens=marks)
    )
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{before} $A {after}".strip(),
        special_tokens=[(mark, row) for row, mark in enumerate(marks)],
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    named = dict(zip(names, marks, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **named)


SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "pad_token_id": 0}


def bert(folder: Any, longest: int = 40) -> Any:
    """A folder with a model that sees all places."""
    torch.manual_seed(0)
    own = tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(own), intermediate_size=32, max_position_embeddings=longest, **SMALL
    )
    transformers.BertModel(config).save_pretrained(folder)
    own.backend_tokenizer.enable_padding(length=30)  # as many folders have it
    own.backend_tokenizer.enable_truncation(16)
    own.save_pretrained(folder)
    return folder
