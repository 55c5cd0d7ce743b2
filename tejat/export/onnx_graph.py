"""A network of ONNX operators while it is being written: values by name, weights as they are stored.

Beside standard operators (opset 21) those of ONNX Runtime are used, "com.microsoft": products with weights in four or
eight bits, attention to a cache, fused norms.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tejat.errors import BadInput
from tejat.model.params import Tree
from tejat.model.quantised import BLOCK, Quantised, packed

OPSET, RUNTIME = 21, "com.microsoft"
LARGEST = 1 << 30
"""Bytes of a file with its weights inside; protocol buffers end at two GiB, and larger ones have a file beside them."""

LEAST = 1 << 12
"""Numbers of a weight that is worth keeping in 16 bits."""

KINDS = {
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "int8": TensorProto.INT8,
    "bool": TensorProto.BOOL,
}

Value = str
Weight = Any  # an array, a Quantised, or {"w": one of them, "input_min": ..., ...} (`layers.project`)


class Graph:
    """Operators in the order in which they run. Every method that computes returns the name of what it makes."""

    def __init__(self, name: str, epsilon: float = 1e-6):
        self.name, self.epsilon = name, epsilon
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._made = 0

    def input(self, name: str, kind: str, shape: Sequence[int | str]) -> Value:
        self._inputs.append(helper.make_tensor_value_info(name, KINDS[kind], shape))
        return name

    def output(self, value: Value, name: str, kind: str, shape: Sequence[int | str]) -> None:
        """Gives a value out under a name."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self.declare(name, kind, shape)

    def declare(self, name: str, kind: str, shape: Sequence[int | str]) -> None:
        """A value, which has the name that it is given out under already."""
        self._outputs.append(helper.make_tensor_value_info(name, KINDS[kind], shape))

    def op(self, kind: str, *inputs: Value, runtime: bool = False, **attributes: Any) -> Value:
        return self.several(kind, *inputs, outputs=1, runtime=runtime, **attributes)[0]

    def several(
        self, kind: str, *inputs: Value, outputs: int | Sequence[str], runtime: bool = False, **attributes: Any
    ) -> list[Value]:
        """The same for operators with more outputs; "" for one that is not wanted, a name for one that has it."""
        wanted = [f"{kind}.{self._made}.{n}" for n in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self._made += 1
        node = helper.make_node(kind, list(inputs), wanted, domain=RUNTIME if runtime else "", **attributes)
        self._nodes.append(node)
        return wanted

    def weight(self, array: Any, name: str | None = None) -> Value:
        """An array that is part of the model."""
        array = np.asarray(array, order="C")
        name = name or f"weight.{len(self._weights)}"
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self._weights[name] = helper.make_tensor(name, kind, array.shape, array.tobytes(), raw=True)
        return name

    def whole(self, *numbers: int) -> Value:
        """A vector of whole numbers: shapes, axes, indices."""
        return self._constant(np.asarray(numbers, np.int64))

    def number(self, value: float) -> Value:
        return self._constant(np.asarray(value, np.float32))

    def _constant(self, array: np.ndarray) -> Value:
        name = f"constant.{array.dtype}.{array.shape}.{array.tolist()}"
        return name if name in self._weights else self.weight(array, name)

    def floats(self, array: Any) -> Value:
        """A weight of the network, in 32 bits; a large one that 16 bits can say as well takes no more in the file."""
        array = np.asarray(array, np.float32)
        if array.size >= LEAST:
            with np.errstate(over="ignore"):  # what 16 bits cannot say is infinite there, and not equal
                short = array.astype(np.float16)
            if (array == short).all():
                return self.op("Cast", self.weight(short), to=TensorProto.FLOAT)
        return self.weight(array)

    def reshape(self, x: Value, *shape: int) -> Value:
        """0 keeps an axis, -1 is whatever is left."""
        return self.op("Reshape", x, self.whole(*shape))

    def rms_norm(self, x: Value, scale: Any, epsilon: float | None = None) -> Value:
        """`layers.rms_norm` over the last axis; `scale` is its weight, or the width where it has none."""
        weight, epsilon = np.ones(scale, np.float32) if isinstance(scale, int) else scale, epsilon or self.epsilon
        return self.op("SimplifiedLayerNormalization", x, self.floats(weight), axis=-1, epsilon=epsilon, stash_type=1)

    def add_and_norm(self, x: Value, more: Value, scale: Any) -> tuple[Value, Value]:
        """(x + more, its RMS norm)."""
        normed, total = f"normed.{self._made}", f"sum.{self._made}"
        self.several(
            "SkipSimplifiedLayerNormalization",
            *(x, more, self.floats(scale)),
            outputs=[normed, "", "", total],
            runtime=True,
            epsilon=self.epsilon,
        )
        return total, normed

    def product(self, x: Value, *weights: Weight) -> Value:
        """x @ weight [I, O]; several weights side by side, [I, O1 + O2 + ...], as one product."""
        first = weights[0]
        if isinstance(first, dict):
            (only,) = weights
            return self._clipped(x, only)
        if len({w.bits if isinstance(w, Quantised) else 32 for w in weights}) > 1:  # neighbours kept differently
            return self.op("Concat", *(self.product(x, w) for w in weights), axis=-1)
        if not isinstance(first, Quantised):
            side = [np.asarray(w, np.float32) for w in weights]
            return self.op("MatMul", x, self.floats(np.concatenate(side, axis=-1)))
        codes = np.concatenate([w.codes for w in weights])
        scales = np.concatenate([w.scales for w in weights])
        outputs, inputs = codes.shape
        blocks = blocks_of(codes, first.bits).reshape(outputs, inputs // BLOCK, -1)
        return self.blocks_product(x, self.weight(blocks), self.scales(scales), (inputs, outputs), first.bits)

    def scales(self, scales: np.ndarray) -> Value:
        """Of blocks: in 16 bits in the file, and in 32 in memory, as the operators want them (once, when loaded)."""
        return self.op("Cast", self.weight(scales), to=TensorProto.FLOAT)

    def blocks_product(self, x: Value, blocks: Value, scales: Value, shape: tuple[int, int], bits: int) -> Value:
        """accuracy_level 4: activations in eight bits too, a scale for each block of 32, as llama.cpp has them."""
        inputs, outputs = shape
        return self.op(
            "MatMulNBits",
            *(x, blocks, scales),
            runtime=True,
            K=inputs,
            N=outputs,
            bits=bits,
            block_size=BLOCK,
            accuracy_level=4,
        )

    def _clipped(self, x: Value, weight: Tree) -> Value:
        def clip(y: Value, side: str) -> Value:
            low, high = float(weight[f"{side}_min"]), float(weight[f"{side}_max"])
            if math.isinf(low) and math.isinf(high):
                return y
            return self.op("Clip", y, self.number(low), self.number(high))

        return clip(self.product(clip(x, "input"), weight["w"]), "output")

    def gated_mlp(self, x: Value, gate: Weight, up: Weight, down: Weight, width: int) -> Value:
        """down(gelu(gate(x)) * up(x)), GELU by tanh."""
        if isinstance(gate, dict):
            left, right = self.product(x, gate), self.product(x, up)
        else:
            both = self.product(x, gate, up)
            left, right = self.several("Split", both, self.whole(width, width), outputs=2, axis=-1)
        return self.product(self.op("Mul", self.op("FastGelu", left, runtime=True), right), down)

    def unpack(self) -> None:
        """Makes products with blocks ordinary ones, their weights unpacked once, when the model is loaded: for engines
        that have no kernels for blocks and would unpack them at every product. The file stays as small."""
        nodes, self._nodes = self._nodes, []
        for node in nodes:
            if node.op_type != "MatMulNBits":
                self._nodes.append(node)
                continue
            x, blocks, scales = node.input
            inputs, outputs, bits = (next(a.i for a in node.attribute if a.name == name) for name in ("K", "N", "bits"))
            if bits == 4:
                halves = (
                    self.op("BitwiseAnd", blocks, self._byte(15)),
                    self.op("BitShift", blocks, self._byte(4), direction="RIGHT"),
                )
                blocks = self.op("Concat", *(self.op("Unsqueeze", half, self.whole(-1)) for half in halves), axis=-1)
            codes = self.op("Cast", self.reshape(blocks, outputs, inputs // BLOCK, BLOCK), to=TensorProto.FLOAT)
            codes = self.op("Sub", codes, self.number(2 ** (bits - 1)))
            whole = self.op("Mul", codes, self.reshape(scales, outputs, inputs // BLOCK, 1))
            matrix = self.op("Transpose", self.reshape(whole, outputs, inputs), perm=[1, 0])
            self.several("MatMul", x, matrix, outputs=list(node.output))

    def _byte(self, value: int) -> Value:
        return self._constant(np.asarray(value, np.uint8))

    def save(self, path: Path) -> None:
        """Writes the model, beside it `path`.data where its weights are large. Raises BadInput where it cannot."""
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, list(self._weights.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, 1)],
            ir_version=10,
            producer_name="tejat",
        )
        size = sum(len(weight.raw_data) for weight in self._weights.values())
        try:
            if size <= LARGEST:
                onnx.save_model(model, str(path))
            else:
                onnx.save_model(model, str(path), save_as_external_data=True, location=path.name + ".data")
        except OSError as error:
            raise BadInput(f"{path} cannot be written ({error.strerror}); choose another directory") from error


def blocks_of(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes as the operators take them: two of four bits in a byte, the first in its lower half; eight bits from 0."""
    return packed(codes) if bits == 4 else (codes.astype(np.int16) + 128).astype(np.uint8)


def layer(leaf: Weight, at: int) -> Weight:
    """One layer of a stack."""
    if isinstance(leaf, dict):
        return {name: layer(part, at) for name, part in leaf.items()}
    if isinstance(leaf, Quantised):
        return Quantised(leaf.codes[at], leaf.scales[at], leaf.bits, leaf.shape[1:], leaf.layout)
    return np.asarray(leaf)[at]


def matrix(leaf: Weight, inputs: int) -> Weight:
    """An array whose first axes, of `inputs` numbers, are summed over, as [I, O]; what is in blocks is so already."""
    return leaf if isinstance(leaf, Quantised) else np.asarray(leaf).reshape(inputs, -1)
