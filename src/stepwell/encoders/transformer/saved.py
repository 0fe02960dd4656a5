"""Text models that transformers or sentence-transformers have saved: a folder, read with care."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepwell.interfaces import StepwellError, UsageError
from stepwell.kit.torch import torch_or_error, transformers_or_error

LONGEST = 512
"""Tokens of a row at most; a folder may say less."""
POOLINGS = ("mean", "cls", "max", "lasttoken")
"""How the features of places become those of a text, as sentence-transformers names them."""
_PLAIN = ("Transformer", "Pooling", "Normalize")
"""Modules of sentence-transformers that are understood."""
_OFFSET = ("roberta", "camembert", "mpnet", "longformer")
"""Models that count places from after the number of their padding."""
KNOWN = frozenset(
    """
    albert bart bert bert-generation big_bird bigbird_pegasus biogpt bloom camembert canine codegen
    convbert cohere ctrl data2vec-text deberta deberta-v2 distilbert electra ernie esm falcon
    flaubert fnet funnel gemma gemma2 gemma3_text glm gpt-sw3 gpt2 gpt_bigcode gpt_neo gpt_neox gptj
    granite ibert led llama longformer longt5 luke m2m_100 mamba marian mbart mega megatron-bert
    mistral mobilebert modernbert mpnet mpt mt5 mvp nezha nystromformer olmo olmo2 openai-gpt
    opt pegasus phi phi3 plbart qdqbert qwen2 qwen3 reformer rembert roberta roberta-
    prelayernorm roc_bert roformer smollm3 splinter squeezebert stablelm starcoder2
    switch_transformers t5 t5gemma umt5 xglm xlm xlm-roberta xlm-roberta-xl xlnet xmod yoso
    """.split()  # noqa: SIM905 - a list would take a line each
)
"""Kinds of text models, as ``model_type`` names them, that need nothing but their own weights.

Others are refused before the library sees them: some of them fetch parts from a hub.
"""
_NOT_TAKEN = ("auto_map", "attn_implementation", "quantization_config", "use_kernels", "adapter")
"""What of a configuration could make the library fetch or import something."""
_MOST, _MOST_LAYERS = 10_000_000, 1_000
"""Largest whole number of a configuration, and of its layers, heads and experts."""
_OFFLINE = {"local_files_only": True, "trust_remote_code": False}


def opened(name: str) -> tuple[Any, str, dict[str, Any]]:
    """The model of a folder, its tokenizer as the library tokenizers writes it down, and all that
    builds it again without its weights: plain values.

    Raises
    ------
    UsageError
        For a folder without them, or one that only code of its own could read.
    """
    folder, library = model_folder(name), transformers_or_error()
    with _told(folder), offline():
        checked_config(_json(folder / "config.json"), str(folder))
        tokenizer = library.AutoTokenizer.from_pretrained(folder, **_OFFLINE)
        model, info = _attending(
            library.AutoModel.from_pretrained,
            folder,
            use_safetensors=True,
            dtype=torch_or_error().float32,
            output_loading_info=True,
            **_OFFLINE,
        )
        _check_whole(model, info)
        return model, _tokenizer(folder, tokenizer), _described(folder, model.config, tokenizer)


def model_folder(name: str) -> Path:
    """Where a text model is.

    Raises
    ------
    UsageError
        If there is none.
    """
    folder = Path(name)
    if not _holds_model(name):
        raise UsageError(
            f"Expected a folder with a text model (config.json, model.safetensors, "
            f"tokenizer.json) as --backbone, found {name!r}: nothing is downloaded; "
            f"save_pretrained writes one."
        )
    inner = folder / "0_Transformer"  # of older sentence-transformers
    return inner if inner.is_dir() else folder


def placed(name: str) -> str:
    """A backbone wherever a training is gone on with: the folder of a text model from the root, any
    other name as it is."""
    return str(Path(name).absolute()) if _holds_model(name) else name


def _holds_model(name: str) -> bool:
    files = ("config.json", "modules.json")
    return bool(name) and any((Path(name) / each).is_file() for each in files)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Whatever the library finds wrong with a folder, as one of our errors."""
    try:
        yield
    except StepwellError:
        raise
    except Exception as error:  # of many kinds: keys, values, files, shapes
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"Expected a model that transformers opens without code of its own, with "
            f"model.safetensors and a tokenizer, found {folder}: {why}"
        ) from error


def _attending(make: Any, *args: Any, **options: Any) -> Any:
    """By the attention of torch, or where a model has none, by its own; never by a kernel that a
    configuration names, which would be downloaded."""
    try:
        return make(*args, attn_implementation="sdpa", **options)
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
        return make(*args, attn_implementation="eager", **options)


def _check_whole(model: Any, info: Mapping[str, Any]) -> None:
    """Raise where weights are missing: those would be random."""
    unused = ("pooler.", "decoder.") if model.config.is_encoder_decoder else ("pooler.",)
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(unused))
    missing += sorted(str(each) for each in info["mismatched_keys"])
    if missing:
        raise UsageError(
            f"Expected all weights of the model in model.safetensors, found {len(missing)} "
            f"missing, such as {missing[0]}."
        )


def _tokenizer(folder: Path, tokenizer: Any) -> str:
    """As the library tokenizers writes it down; texts are filled up and cut here."""
    found = getattr(tokenizer, "backend_tokenizer", None)
    if found is None:
        raise UsageError(
            f"Expected a fast tokenizer (tokenizer.json), found {type(tokenizer).__name__} in "
            f"{folder}: save it with AutoTokenizer.from_pretrained(...).save_pretrained(...)."
        )
    found.no_padding()
    found.no_truncation()
    return str(found.to_str())


def _described(folder: Path, config: Any, tokenizer: Any) -> dict[str, Any]:
    """All that builds it again, without its weights: plain values."""
    found = tokenizer("a", return_special_tokens_mask=True)
    special, ids = found["special_tokens_mask"], found["input_ids"]
    first = special.index(0) if 0 in special else len(special)
    last = len(special) - special[::-1].index(0) if 0 in special else len(special)
    root = folder.parent if folder.name == "0_Transformer" else folder
    pooling, normed = _pooling(root)
    return {
        "config": json.dumps(config.to_dict() | {"_name_or_path": ""}, default=str),
        "pad": int(tokenizer.pad_token_id or 0),
        "before": ids[:first],
        "after": ids[last:],
        "pooling": pooling,
        "normed": normed,
        "longest": max(_longest(folder, config) - len(ids) + last - first, 1),
    }


def _longest(folder: Path, config: Any) -> int:
    """Places of a model, those for tokens around a text among them."""
    said = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    places = getattr(config, "max_position_embeddings", None) or 0
    if places > 0 and any(name in config.model_type for name in _OFFSET):
        places -= (config.pad_token_id or 0) + 1
    return min(limit for limit in (LONGEST, said or LONGEST, places) if limit > 0)


def _pooling(folder: Path) -> tuple[str, bool]:
    """How a folder of sentence-transformers sums up places (the mean, where it does not say), and
    whether to length 1.

    Raises
    ------
    UsageError
        For what is not understood.
    """
    modules = _json(folder / "modules.json") or []
    kinds = [str(each["type"]).rsplit(".", 1)[-1] for each in modules]
    other = [kind for kind in kinds if kind not in _PLAIN]
    if other:
        raise UsageError(
            f"Expected a text model of {', '.join(_PLAIN)}, found {', '.join(other)} in {folder}."
        )
    if "Pooling" not in kinds:
        return POOLINGS[0], "Normalize" in kinds
    facts = _json(folder / modules[kinds.index("Pooling")]["path"] / "config.json")
    start = "pooling_mode_"
    asked = [
        key.removeprefix(start) for key, on in facts.items() if key[:13] == start and on is True
    ]
    asked = [key.removesuffix("s").removesuffix("_token") for key in asked]
    asked += [str(facts["pooling_mode"])] if "pooling_mode" in facts else []
    if len(asked) != 1 or asked[0] not in POOLINGS:
        raise UsageError(
            f"Expected one way to pool ({', '.join(POOLINGS)}), found "
            f"{' and '.join(asked) or 'none'} in {folder}."
        )
    return asked[0], "Normalize" in kinds


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def checked_config(facts: Any, where: str) -> dict[str, Any]:
    """A configuration as far as it only tells sizes and ways to compute.

    Raises
    ------
    StepwellError
        For a kind of model that is not known, and for sizes that none has.
    """
    kind = facts.get("model_type") if isinstance(facts, dict) else None
    if kind not in KNOWN:
        raise UsageError(
            f"Expected a text model of a known kind (bert, roberta, gpt2, llama, t5 …), found "
            f"{str(kind)[:80]!r} in {where}: others may ask a hub for parts, and nothing is "
            f"downloaded. Please ask for it, if it needs none."
        )
    for name, value in facts.items():
        many = any(word in name for word in ("layers", "heads", "experts", "num_"))
        most = _MOST_LAYERS if many and "token" not in name else _MOST
        if isinstance(value, (int, float)) and abs(value) > most and "max" not in name:
            raise StepwellError(
                f"Expected sizes of a text model in {where}, found {name} = {value}: it is "
                f"damaged, or was changed; bring back a copy."
            )
    return {n: v for n, v in facts.items() if not n.startswith(("_", *_NOT_TAKEN))}


@contextmanager
def offline() -> Iterator[None]:
    """The library's own switch against its hub, for as long as a model is opened or built."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def built(described: str, seed: int) -> Any:
    """A model with random weights.

    Raises
    ------
    StepwellError
        For what is no configuration of a text model that this version knows.
    """
    torch, library = torch_or_error(), transformers_or_error()
    try:
        facts = checked_config(json.loads(described), "the run")
        with torch.random.fork_rng(devices=[]), offline():
            torch.manual_seed(seed)
            config = library.AutoConfig.for_model(**facts)
            made = _attending(library.AutoModel.from_config, config, trust_remote_code=False)
    except StepwellError:
        raise
    except Exception as error:  # whatever is wrong with one of its values
        why = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise StepwellError(
            f"Expected a model that this version of transformers knows, found {why}"
        ) from None
    return made.float()
