"""Text models of others: the features are theirs, whatever the pooling; runs hold all of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from text_models import SMALL, TEXTS, bert, tokenizer, torch, transformers

from stepwell.encoders import PretrainedEncoder
from stepwell.interfaces import UsageError
from stepwell.sources import HeldTexts


def batch_of(texts):
    return next(HeldTexts(texts).batches(len(texts)))


def gpt(folder):
    torch.manual_seed(0)
    own = tokenizer("", "")
    config = transformers.GPT2Config(vocab_size=len(own), n_embd=16, n_layer=2, n_head=2)
    transformers.GPT2Model(config).save_pretrained(folder)
    own.save_pretrained(folder)
    return folder


def t5(folder):
    torch.manual_seed(0)
    own = tokenizer("", "[SEP]")
    config = transformers.T5Config(
        vocab_size=len(own), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2
    )
    transformers.T5Model(config).save_pretrained(folder)
    own.save_pretrained(folder)
    return folder


def roberta(folder):
    torch.manual_seed(0)
    own = tokenizer()
    own.pad_token = "[UNK]"  # number 1, as it is there
    config = transformers.RobertaConfig(
        vocab_size=len(own), intermediate_size=32, max_position_embeddings=42, **SMALL
    )
    config.pad_token_id = 1
    transformers.RobertaModel(config).save_pretrained(folder)
    own.save_pretrained(folder)
    return folder


def theirs(folder, text):
    """Features of the places of a text, as the library itself makes them."""
    own = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.no_grad():
        return model(
            **own(text, return_tensors="pt", return_token_type_ids=False)
        ).last_hidden_state[0]


@pytest.mark.parametrize("made", [bert, gpt, t5, roberta])
def test_features_are_the_mean_of_theirs(tmp_path, made):
    folder = made(tmp_path / "model")
    encoder = PretrainedEncoder(folder, "cpu").fit(batch_of(TEXTS))
    found = encoder.embed(batch_of(TEXTS[:3]))
    for own, text in zip(found, TEXTS[:3], strict=True):
        np.testing.assert_allclose(own, theirs(folder, text).mean(0).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("facts", "pool"),
    [
        ({"pooling_mode_cls_token": True}, lambda x: x[0]),
        ({"pooling_mode_max_tokens": True}, lambda x: x.amax(0)),
        ({"pooling_mode": "lasttoken"}, lambda x: x[-1]),
    ],
)
def test_sentence_transformers_say_how_to_pool(tmp_path, facts, pool):
    folder = bert(tmp_path / "model")
    (folder / "1_Pooling").mkdir()
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    (folder / "modules.json").write_text(
        json.dumps([{"type": f"sentence_transformers.models.{n}", "path": p} for n, p in modules])
    )
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(facts))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    encoder = PretrainedEncoder(folder, "cpu").fit(batch_of(TEXTS))
    assert encoder.places() == 18
    found = encoder.embed(batch_of(TEXTS[:2]))
    for own, text in zip(found, TEXTS[:2], strict=True):
        expected = pool(theirs(folder, text)).numpy()
        np.testing.assert_allclose(own, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_text_that_is_longer_than_the_model_sees_is_the_mean_of_its_parts(tmp_path):
    folder = bert(tmp_path / "model", longest=20)
    own = transformers.AutoTokenizer.from_pretrained(folder)
    encoder = PretrainedEncoder(folder, "cpu").fit(batch_of(TEXTS))
    assert encoder.places() == 18
    ids = own(TEXTS[3], add_special_tokens=False)["input_ids"]
    assert len(ids) > 36
    parts = [ids[start : start + 18] for start in range(0, len(ids), 18)]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        framed = [torch.tensor([[2, *part, 3]]) for part in parts]
        means = [model(each).last_hidden_state[0].mean(0).numpy() for each in framed]
    expected = np.average(means, axis=0, weights=[len(part) for part in parts])
    np.testing.assert_allclose(encoder.embed(batch_of(TEXTS[3:4]))[0], expected, atol=1e-5)


def test_weights_that_are_missing_are_an_error(tmp_path):
    folder = bert(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=r"found 1 missing, such as encoder.layer.1"):
        PretrainedEncoder(folder, "cpu").fit(batch_of(TEXTS))


def test_other_modules_are_an_error(tmp_path):
    folder = bert(tmp_path / "model")
    (folder / "modules.json").write_text(
        '[{"type": "sentence_transformers.models.Dense", "path": ""}]'
    )
    with pytest.raises(UsageError, match="found Dense"):
        PretrainedEncoder(folder, "cpu").fit(batch_of(TEXTS))


def test_random_weights_are_others(tmp_path):
    encoder = PretrainedEncoder(bert(tmp_path / "model"), "cpu").fit(batch_of(TEXTS))
    some = batch_of(TEXTS[:4])
    assert not np.allclose(encoder.embed(some), encoder.randomised(1).embed(some), atol=1e-3)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: None, "nothing is downloaded"),
        (lambda folder: (bert(folder) / "model.safetensors").unlink(), "model.safetensors"),
        (lambda folder: (bert(folder) / "config.json").write_text('{"model_type": "no"}'), "found"),
    ],
)
def test_a_folder_that_is_no_model_is_an_error(tmp_path, spoil, message):
    folder = tmp_path / "model"
    folder.mkdir()
    spoil(folder)
    with pytest.raises(UsageError, match=message):
        PretrainedEncoder(folder, "cpu").fit(batch_of(TEXTS))
