"""What waits for the backward pass is told from what does not, by a program's text."""

import pytest

from tejat.plan import activations

STEP = """
%forward (p: (s32[], bf16[2,8,4], bf16[3,2,8,4], bf16[3,4,4])) -> (s32[], bf16[2,8,4], bf16[3,2,8,4], bf16[3,4,4]) {
  %p = (s32[], bf16[2,8,4]{2,1,0}, bf16[3,2,8,4]{3,2,1,0}, bf16[3,4,4]{2,1,0}) parameter(0)
  %w = bf16[3,4,4]{2,1,0} get-tuple-element(%p), index=3
  %x = bf16[2,8,4]{2,1,0} get-tuple-element(%p), index=1
  %y = bf16[3,2,8,4]{3,2,1,0} get-tuple-element(%p), index=2
  %n = s32[] get-tuple-element(%p), index=0
  %filled = bf16[3,2,8,4]{3,2,1,0} dynamic-update-slice(%y, %x, %n)
  %next = bf16[2,8,4]{2,1,0} fusion(%x, %w), kind=kLoop, calls=%layer
  ROOT %t = (s32[], bf16[2,8,4]{2,1,0}, bf16[3,2,8,4], /*index=3*/bf16[3,4,4]) tuple(%n, %next, %filled, %w)
}

%backward (q: (s32[], bf16[2,8,4], KEPT[3,2,8,4], bf16[3,4,4], bf16[3,4,4])) -> (s32[], bf16[2,8,4]) {
  %q = (s32[], bf16[2,8,4]{2,1,0}, KEPT[3,2,8,4]{3,2,1,0}, bf16[3,4,4]{2,1,0}, bf16[3,4,4]{2,1,0}) parameter(0)
  %m = s32[] get-tuple-element(%q), index=0
  %kept = KEPT[3,2,8,4]{3,2,1,0} get-tuple-element(%q), index=2
  %v = bf16[3,4,4]{2,1,0} get-tuple-element(%q), index=3
  %g = bf16[3,4,4]{2,1,0} get-tuple-element(%q), index=4
  %dx = bf16[2,8,4]{2,1,0} fusion(%v, %kept), kind=kLoop, calls=%back, metadata={op_name="jit(step)/transpose(jvp())/o"}
  %more = bf16[3,4,4]{2,1,0} dynamic-update-slice(%g, %dx, %m)
  ROOT %u = (s32[], bf16[2,8,4], KEPT[3,2,8,4], bf16[3,4,4], bf16[3,4,4]) tuple(%m, %dx, HANDED, %v, %more)
}

ENTRY %main (a: bf16[2,8,4]) -> bf16[2,8,4] {
  %a = bf16[2,8,4]{2,1,0} parameter(0)
  %f = (s32[], bf16[2,8,4], bf16[3,2,8,4], bf16[3,4,4]) while(%i), condition=%c, body=%forward, \
metadata={op_name="FIRST"}
  %b = (s32[], bf16[2,8,4], KEPT[3,2,8,4], bf16[3,4,4], bf16[3,4,4]) while(%j), condition=%c, body=%backward, \
metadata={op_name="jit(step)/transpose(jvp())/while"}
}
"""


@pytest.mark.parametrize(
    ("kept", "handed", "first", "held"),
    [
        ("bf16", "%kept", "jit(step)/jvp()/while", 3 * 2 * 8 * 4 * 2),
        ("f32", "%kept", "jit(step)/jvp()/while", 3 * 2 * 8 * 4 * 2),  # widened for a processor: what was left counts
        ("bf16", "%changed", "jit(step)/jvp()/while", 0),  # the backward loop writes it
        ("bf16", "%kept", "jit(step)/while", 0),  # what no gradient is taken of
    ],
)
def test_what_one_loop_fills_and_the_other_only_reads(kept, handed, first, held):
    """Neither weights, which both read, nor gradients, nor what goes from layer to layer."""
    text = STEP.replace("KEPT", kept).replace("HANDED", handed).replace("FIRST", first)
    assert activations.held(text) == held


def test_a_loop_without_a_name_is_of_what_stands_in_it():
    """Ultra's backward loop, which the compiler pipelines."""
    text = STEP.replace("KEPT", "bf16").replace("HANDED", "%kept").replace("FIRST", "jit(step)/jvp()/while")
    named = ', metadata={op_name="jit(step)/transpose(jvp())/while"}'
    assert named in text
    bare = text.replace(named, "")
    assert activations.held(bare) == 3 * 2 * 8 * 4 * 2
    assert activations.held(bare.replace("transpose(", "")) == 0
