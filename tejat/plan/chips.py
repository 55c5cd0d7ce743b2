"""What is known of accelerators from their makers' data sheets, and what is assumed of them.

TPU: cloud.google.com/tpu/docs (v4, v5e, v5p, v6e); of their memory what libtpu 0.0.42 says is available to a program;
network between slices: jax-ml.github.io/scaling-book, "TPUs". GPU: NVIDIA's data sheets (SXM). Prices are on-demand
list prices of 2025 in US dollars, to be replaced with one's own.
"""

from dataclasses import dataclass

from tejat.errors import BadInput

GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """Of one chip: dense bfloat16 operations, bytes of memory, and bytes a second of memory, of the links to other
    chips (all links, one way) and of the network between data centres; dollars an hour."""

    name: str
    flops: float
    memory: float
    bandwidth: float
    links: float
    network: float
    dollars: float
    axes: int = 0  # dimensions of its torus; 0: a switch
    largest: tuple[int, ...] = ()  # chips along each axis of a whole pod

    @property
    def is_tpu(self) -> bool:
        return self.axes > 0


CHIPS = {
    chip.name: chip
    for chip in (
        Chip("v4", 275e12, 30.75 * GIB, 1.228e12, 300e9, 6.25e9, 3.22, 3, (16, 16, 16)),
        Chip("v5e", 197e12, 15.75 * GIB, 0.819e12, 200e9, 3.125e9, 1.20, 2, (16, 16)),
        Chip("v5p", 459e12, 95.74 * GIB, 2.765e12, 600e9, 6.25e9, 4.20, 3, (16, 20, 28)),
        Chip("v6e", 918e12, 31.25 * GIB, 1.64e12, 448e9, 12.5e9, 2.70, 2, (16, 16)),
        Chip("h100", 989e12, 79.6 * GIB, 3.35e12, 450e9, 50e9, 3.00),
        Chip("h200", 989e12, 139.8 * GIB, 4.8e12, 450e9, 50e9, 3.80),
    )
}


def chip(name: str) -> Chip:
    """Raises BadInput for a chip that is not listed."""
    if name not in CHIPS:
        raise BadInput(f"there is no chip {name!r}; there are {', '.join(CHIPS)}")
    return CHIPS[name]
