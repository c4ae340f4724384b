"""The base model with a LoRA on its linear layers, from a folder of Hugging Face's or from a GGUF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging

from train_cost import Shape, shape_of, shape_of_gguf
from train_device import computed_in, loaded_as
from train_int8 import use_int8
from train_options import Options
from triplelake.errors import InputError, UsageError
from triplelake.pool.gguf_header import read_header

_TEMPLATE = "tokenizer.chat_template"


def load_tokenizer(model: Path) -> Any:
    """The tokenizer of a base model.

    Raises:
        InputError: transformers cannot read it.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        return AutoTokenizer.from_pretrained(**_source(model))
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(model, error) from None


def template_of(model: Path, tokenizer: Any) -> Callable[[Sequence[Any]], str] | None:
    """What makes a prompt of messages as the model's own chat template does; None where it has none."""
    template = tokenizer.chat_template
    if template is None and model.suffix == ".gguf":
        template = read_header(model).fields.get(_TEMPLATE)
    if template is None:
        return None
    return lambda messages: str(
        tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=True)
    )


def load_shape(model: Path, adapted: int | None) -> Shape:
    """The shape of a base model, without its weights.

    Args:
        adapted: the last layers that get an adapter; all if None.

    Raises:
        InputError: it cannot be read.
    """
    try:
        if model.suffix == ".gguf":
            return shape_of_gguf(read_header(model), adapted)
        return shape_of(AutoConfig.from_pretrained(**_source(model)), adapted)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise _unreadable(model, error) from None


def load_base(model: Path, dtype: torch.dtype, **settings: Any) -> Any:
    """The base model alone, its weights in full.

    Raises:
        InputError: transformers cannot read it.
    """
    if model.suffix == ".gguf":
        # Without it weights stay what a GGUF packs them in, and a merged model cannot be saved.
        settings["quantization_config"] = GgufConfig(dequantize=True)
    try:
        return AutoModelForCausalLM.from_pretrained(**_source(model), **settings, dtype=dtype)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(model, error) from None


def load_model(options: Options, device: torch.device) -> Any:
    """The base model with an adapter that changes nothing yet, on a device.

    Raises:
        InputError: transformers cannot read the model.
        UsageError: it has fewer layers than are to be adapted.
    """
    precision = computed_in(options.precision, device)
    base = load_base(options.model, loaded_as(precision), attn_implementation=options.attention)
    base.config.use_cache = False
    base.to(device)
    if options.checkpointing:
        base.enable_input_require_grads()
    layers = base.config.get_text_config().num_hidden_layers
    if options.layers is not None and not 1 <= options.layers <= layers:
        raise UsageError(f"--layers {options.layers}", f"is not 1 to {layers}, the layers of the model", "")
    # The seed of the first matrix of each pair; the second begins as nil.
    torch.manual_seed(options.seed)
    adapted = LoraConfig(
        r=options.rank,
        lora_alpha=2 * options.rank,
        target_modules=_linear_names(base),
        task_type="CAUSAL_LM",
        layers_to_transform=list(range(layers - options.layers, layers)) if options.layers else None,
    )
    # In the base's own precision: else every layer converts what it reads, and keeps both. The optimiser has copies.
    model = get_peft_model(base, adapted, autocast_adapter_dtype=False)
    if precision == "int8":
        use_int8(model)
    return model


def _linear_names(base: Any) -> list[str]:
    """The last part of the name of each linear layer but the head.

    peft's own `all-linear` is refused by it where layers are chosen.
    """
    head = base.get_output_embeddings()
    linear = (name for name, each in base.named_modules() if isinstance(each, nn.Linear) and each is not head)
    return sorted({name.rpartition(".")[2] for name in linear})


def save_base(model: Any, tokenizer: Any, folder: Path) -> None:
    """What of the base a conversion wants beside an adapter: config and tokenizer, no weights."""
    base = model.get_base_model()
    # One that was made of a GGUF does not name it.
    base.config.architectures = [type(base).__name__]
    base.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _source(model: Path) -> dict[str, Any]:
    if model.suffix == ".gguf":
        return {"pretrained_model_name_or_path": str(model.absolute().parent), "gguf_file": model.name}
    return {"pretrained_model_name_or_path": str(model.absolute())}


def _unreadable(model: Path, error: Exception) -> InputError:
    reason = f"cannot be read by transformers: {' '.join(str(error).split())[:300]}"
    return InputError(str(model), reason, "Name a GGUF, or a folder with config.json, weights and tokenizer.")
