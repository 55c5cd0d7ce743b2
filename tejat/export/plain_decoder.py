"""What exports for other engines say of decoders that they do not write."""

from tejat.errors import BadInput
from tejat.model.decoder import DecoderConfig


def check(config: DecoderConfig, format: str) -> None:
    """Raises BadInput for a decoder with more than attention and gated MLPs, naming what more it has."""
    there = {
        "experts": config.experts is not None,
        "keys shared between layers": config.shared_key_layers > 0,
        "keys that are values": config.keys_are_values,
        "per-layer embeddings": config.per_layer_width > 0,
        "images that see themselves both ways": config.bidirectional_images,
    }
    for what, is_there in there.items():
        if is_there:
            raise BadInput(f"the model has {what}, which the {format} export does not write; use `export huggingface`")
