"""Exchanges are read from a program's text with their sizes, their groups and their loops."""

import pytest

from tejat.plan.collectives import exchanges

TEXT = """HloModule jit_step, entry_computation_layout={(f32[8]{0})->f32[8]{0}}

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  ROOT %s = f32[] add(f32[] %x, f32[] %x)
}

%inner_body (p: (s32[], bf16[64])) -> (s32[], bf16[64]) {
  %p = (s32[], bf16[64]{0}) parameter(0)
  %g = bf16[4,64]{1,0} all-gather(bf16[1,64]{1,0} %a), channel_id=1, replica_groups=[2,4]<=[8], dimensions={0}
  ROOT %t = (s32[], bf16[64]{0}) tuple(%i, %b)
}

%condition (p: (s32[], bf16[64])) -> pred[] {
  %n = s32[] constant(5)
  ROOT %c = pred[] compare(s32[] %i, s32[] %n), direction=LT
}

%outer_body (p: (s32[], bf16[64])) -> (s32[], bf16[64]) {
  %w = (s32[], bf16[64]{0}) while(%p), condition=%condition, body=%inner_body
  %r = f32[16]{0} reduce-scatter(f32[64]{0} %q), channel_id=2, replica_groups={{0,4},{1,5},{2,6},{3,7}}, to_apply=%add
}

ENTRY %main (q: f32[8]) -> f32[8] {
  %w = (s32[], bf16[64]{0}) while(%p), condition=%c2, body=%outer_body, backend_config={"known_trip_count":{"n":"3"}}
  %all-reduce.1 = f32[8,2]{1,0} all-reduce(f32[8,2]{1,0} %q), channel_id=3, replica_groups={}, to_apply=%add
  %s = (bf16[8]{0}, bf16[8]{0}) collective-permute-start(bf16[8]{0} %k), source_target_pairs={{0,1},{1,2}}
  %d = bf16[8]{0} collective-permute-done((bf16[8]{0}, bf16[8]{0}) %s)
}
"""


def test_sizes_groups_and_loops():
    found = {each.kind: each for each in exchanges(TEXT, devices=8, slices=2)}
    gather = found["all-gather"]  # three times five rounds, three quarters of 4 x 64 numbers of two bytes
    assert (gather.count, gather.bytes, gather.between_slices) == (15, 15 * 512 * 3 / 4, False)
    scatter = found["reduce-scatter"]  # between 0 and 4, which are in different slices
    assert (scatter.count, scatter.bytes, scatter.between_slices) == (3, 3 * 64, True)
    reduce = found["all-reduce"]  # of all devices
    assert (reduce.count, reduce.bytes, reduce.between_slices) == (1, 2 * 64 * 7 / 8, True)
    permute = found["collective-permute"]
    assert (permute.count, permute.bytes, permute.between_slices) == (1, 16, False)


def test_in_one_slice_nothing_crosses():
    assert not any(each.between_slices for each in exchanges(TEXT, devices=8))


@pytest.mark.parametrize(("groups", "crosses"), [("[4,2]<=[2,4]T(1,0)", True), ("[4,2]<=[8]", False)])
def test_groups_in_short_form(groups, crosses):
    text = TEXT.replace("[2,4]<=[8]", groups)
    (gather,) = (each for each in exchanges(text, devices=8, slices=2) if each.kind == "all-gather")
    assert gather.between_slices == crosses


SENT = """ENTRY %main (q: f32[8]) -> f32[8] {
  %a = f32[8]{0} all-reduce(f32[8]{0} %q), channel_id=1, replica_groups={{0,2},{1,3}}, to_apply=%add
  %b = (bf16[4,16]{1,0:T(4,128)(2,1)}, u32[], token[]) send(%a, %t), channel_id=3, is_host_transfer=true, """
SENT += """frontend_attributes={_xla_host_transfer_handler_name="xla_megascale_runtime","""
SENT += """_xla_megascale_transfer_type="ALL_REDUCE"}
  %c = (bf16[4,16]{1,0}, token[]) send-done(%b), channel_id=3, is_host_transfer=true
}
"""


def test_what_slices_of_tpus_leave_to_a_runtime_is_between_them():
    across, inside = exchanges(SENT, devices=8, slices=2)
    assert (across.kind, across.between_slices, across.count, across.bytes) == ("all-reduce", True, 1, 4 * 16 * 2)
    assert (inside.between_slices, inside.bytes) == (False, 32)
    assert exchanges(SENT, devices=16, slices=4)[0].bytes == 4 * 16 * 2 * 2 * 3 / 4
