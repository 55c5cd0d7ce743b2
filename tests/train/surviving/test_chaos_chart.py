"""The chart of trials shows what was lost, and is drawn whatever there is."""

from dataclasses import replace

from PIL import Image as pillow

from tejat.train.surviving import chaos_chart
from tejat.train.surviving.faults import Fault, Kind
from tejat.train.surviving.outcomes import Outcome, Recovery


def test_what_was_lost_shows_and_nothing_at_all_can_be_drawn(tmp_path):
    fault = Fault(Kind.KILL, 3, 1, 0)
    good = Outcome(0, [fault], [fault], [Recovery(Kind.KILL, True, 4.0, 9.0)], True, True, at=1e9)
    later = replace(good, seed=1, at=1e9 + 300, recoveries=[Recovery(Kind.HOST, False, 20.0, None, 1e9 + 310)])
    pictures = []
    for outcomes in ([], [good, later], [good, replace(later, bit_equal=False)]):
        chaos_chart.draw(outcomes, tmp_path / "chaos.png")
        with pillow.open(tmp_path / "chaos.png") as picture:
            pictures.append(picture.convert("RGB").tobytes())
        assert (tmp_path / "chaos.png").stat().st_size < 40_000
    assert len({*pictures}) == 3
