"""A step of training of the same decoder in PyTorch, as one would write it who wants it fast. `peers.py` runs it.

Float32 masters under autocast to bfloat16, blocks compiled, attention by FlexAttention's block masks (windows and
packed documents) or, on full layers without documents, by scaled_dot_product_attention, which chooses its kernel or is
held to cuDNN's; the loss in parts whose gradient is made while the scores are there, of bfloat16 or of float32; fused
AdamW after clipping of the gradient's norm. Prints a line of JSON.
"""

import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint


def rms_norm(x, weight=None, eps=1e-6):
    y = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps)
    return (y if weight is None else y * weight.float()).to(x.dtype)


def rotate(x, cos, sin):
    """x [B, H, T, N], tables [T, N / 2]."""
    left, right = x.chunk(2, -1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)


def tables(tokens: int, width: int, base: float, rotated: float, device):
    turning = int(rotated * width // 2)
    rates = base ** -(torch.arange(0, 2 * turning, 2, device=device) / width)
    rates = torch.cat([rates, torch.zeros(width // 2 - turning, device=device)])
    angles = torch.arange(tokens, device=device)[:, None] * rates
    return angles.cos().bfloat16(), angles.sin().bfloat16()


class Block(nn.Module):
    def __init__(self, config: dict, full: bool):
        super().__init__()
        d, self.heads, self.width = config["width"], config["heads"], config["head_width"]
        self.key_heads, self.full = config["key_heads"], full

        def linear(inputs, outputs):
            return nn.Parameter(torch.randn(outputs, inputs) * inputs**-0.5)

        def ones(size):
            return nn.Parameter(torch.ones(size))

        self.q, self.o = linear(d, self.heads * self.width), linear(self.heads * self.width, d)
        self.k, self.v = linear(d, self.key_heads * self.width), linear(d, self.key_heads * self.width)
        self.gate, self.up, self.down = linear(d, config["mlp"]), linear(d, config["mlp"]), linear(config["mlp"], d)
        self.q_norm, self.k_norm = ones(self.width), ones(self.width)
        self.norms = nn.ParameterList(ones(d) for _ in range(4))
        self.scalar = ones(())

    def forward(self, x, cos, sin, attend):
        def heads(y, count):
            return y.unflatten(-1, (count, self.width)).transpose(1, 2)

        y = rms_norm(x, self.norms[0])
        q = rotate(rms_norm(heads(F.linear(y, self.q), self.heads), self.q_norm), cos, sin)
        k = rotate(rms_norm(heads(F.linear(y, self.k), self.key_heads), self.k_norm), cos, sin)
        v = rms_norm(heads(F.linear(y, self.v), self.key_heads))
        y = attend(q, k, v).transpose(1, 2).flatten(2)
        x = x + rms_norm(F.linear(y, self.o), self.norms[1])
        y = rms_norm(x, self.norms[2])
        y = F.linear(F.gelu(F.linear(y, self.gate), approximate="tanh") * F.linear(y, self.up), self.down)
        return (x + rms_norm(y, self.norms[3])) * self.scalar.to(x.dtype)


class Loss(torch.autograd.Function):
    """Mean cross-entropy with a z-loss; gradients are made in the forward pass, part by part."""

    @staticmethod
    def forward(context, hidden, table, targets, each: int, wide: bool):
        count, total = len(targets), torch.zeros((), device=hidden.device)
        small = table.to(hidden.dtype)
        d_hidden, d_table = torch.empty_like(hidden), torch.zeros_like(table, dtype=torch.float32)
        for at in range(0, count, each):
            rows = hidden[at : at + each]
            scores = torch.mm(rows, small.T, out_dtype=torch.float32) if wide else rows @ small.T
            loss, d_scores = Loss.part(scores, targets[at : at + each], count, rows.dtype)
            total += loss
            d_hidden[at : at + each] = d_scores @ small
            d_table += d_scores.T @ rows
        context.save_for_backward(d_hidden, d_table)
        return total

    @staticmethod
    @torch.compile
    def part(scores, targets, count: int, kept: torch.dtype):
        wide = scores.float()
        partition = wide.logsumexp(-1)
        chosen = wide.gather(-1, targets[:, None])[:, 0]
        d = torch.exp(wide - partition[:, None]) * ((1 + 2e-4 * partition) / count)[:, None]
        d = d - F.one_hot(targets, wide.shape[-1]) / count
        return ((partition - chosen) + 1e-4 * partition.square()).sum() / count, d.to(kept)

    @staticmethod
    def backward(context, wanted):
        d_hidden, d_table = context.saved_tensors
        return d_hidden * wanted.to(d_hidden.dtype), d_table * wanted, None, None, None


class Decoder(nn.Module):
    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config["vocabulary"], config["width"]) * config["width"] ** -0.5)
        self.blocks = nn.ModuleList(Block(config, kind == "full") for kind in config["attention_types"])
        self.final_norm = nn.Parameter(torch.ones(config["width"]))

    def forward(self, tokens, targets, ropes, attentions, again: bool, each: int, wide: bool):
        x = (F.embedding(tokens, self.embedding) * self.config["width"] ** 0.5).bfloat16()
        for block in self.blocks:
            kind = "full" if block.full else "sliding"
            arguments = x, *ropes[kind], attentions[kind]
            x = checkpoint(block, *arguments, use_reentrant=False) if again else block(*arguments)
        hidden = rms_norm(x, self.final_norm).flatten(0, 1)
        return Loss.apply(hidden, self.embedding, targets.flatten(), each, wide)


def attentions(config: dict, how: dict, segments, device):
    """Functions of q, k, v for either kind of layer."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    batch, tokens = segments.shape
    packed, gpu = how["document"] > 0, device.type == "cuda"
    flex = torch.compile(flex_attention)

    def causal(b, h, q, k):
        seen = k <= q
        return seen & (segments[b, q] == segments[b, k]) if packed else seen

    def sliding(b, h, q, k):
        return causal(b, h, q, k) & (q - k < config["window"])

    def masked(rule):
        if not gpu:  # there it has no backward pass
            at = torch.arange(tokens)
            dense = rule(torch.arange(batch)[:, None, None, None], 0, at[:, None], at)
            return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, dense, scale=1.0, enable_gqa=True)
        mask = create_block_mask(rule, batch if packed else None, None, tokens, tokens, device=device.type)
        return lambda q, k, v: flex(q, k, v, block_mask=mask, scale=1.0, enable_gqa=True)

    def plain(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0, enable_gqa=True)

    if how["attention"] == "cudnn":  # nothing else asks scaled_dot_product_attention here
        for others in ("flash", "mem_efficient", "math"):
            getattr(torch.backends.cuda, f"enable_{others}_sdp")(False)
    return {"sliding": masked(sliding), "full": masked(causal) if how["attention"] == "flex" or packed else plain}


def own(config: dict, how: dict, device):
    """A step of the decoder above."""
    random = torch.Generator(device="cpu").manual_seed(0)
    shape = how["rows"], how["tokens"]
    tokens = torch.randint(0, config["vocabulary"], shape, generator=random).to(device)
    targets = tokens.roll(-1, 1)
    cuts = torch.rand(shape, generator=random).to(device) < (1 / how["document"] if how["document"] else 0)
    segments = cuts.int().cumsum(1)
    with torch.device(device):
        model = Decoder(config)
    for block in model.blocks:
        block.compile(mode=how["mode"])
    ropes = {
        "sliding": tables(shape[1], config["head_width"], config["sliding_base"], 1.0, device),
        "full": tables(shape[1], config["head_width"], config["full_base"], config["full_rotated"], device),
    }
    attends = attentions(config, how, segments, device)
    return model, lambda: model(tokens, targets, ropes, attends, how["again"], how["each"], how["wide"])


def theirs(config: dict, how: dict, device):
    """A step of transformers' Gemma 4 of the same shape."""
    from transformers import Gemma4ForCausalLM, Gemma4TextConfig

    with torch.device(device):
        model = Gemma4ForCausalLM(Gemma4TextConfig(**config["huggingface"], attn_implementation="sdpa"))
    model.train()
    if how["again"]:
        model.gradient_checkpointing_enable()
    tokens = torch.randint(0, config["vocabulary"], (how["rows"], how["tokens"]), device=device)
    return model, lambda: model(input_ids=tokens, labels=tokens, use_cache=False).loss


def main(config: dict, how: dict) -> dict:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    model, loss_of = (theirs if how["attention"] == "transformers" else own)(config, how, device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=gpu)

    def step() -> float:
        begun = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            loss = loss_of()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=gpu)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if gpu:
            torch.cuda.synchronize()
        return time.perf_counter() - begun

    begun = time.perf_counter()
    for _ in range(3):
        step()
    compiling = time.perf_counter() - begun
    best = min(step() for _ in range(how["steps"]))
    found = {"step_s": best, "tokens_per_s": how["rows"] * how["tokens"] / best, "compile_s": compiling}
    return found | {"memory_gib": torch.cuda.max_memory_allocated() / 2**30 if gpu else 0.0, "torch": torch.__version__}


if __name__ == "__main__":
    print(json.dumps(main(*map(json.loads, sys.argv[1:3]))))
