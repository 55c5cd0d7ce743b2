"""Lines are told once, when they are whole, however the log is cut back meanwhile."""

import json

from tejat.train.surviving.following import Follower


def test_lines_are_told_once_and_when_they_are_whole(tmp_path):
    log = tmp_path / "log.jsonl"
    follower = Follower(log)
    assert follower.new() == []
    lines = [json.dumps({"step": step}) + "\n" for step in range(6)]
    log.write_text(lines[0] + lines[1] + lines[2][:4])
    assert follower.new() == [{"step": 0}, {"step": 1}]
    log.write_text("".join(lines[:4]))
    assert follower.new() == [{"step": 2}, {"step": 3}]
    log.write_text(lines[0])  # the run goes on from an earlier step
    assert follower.new() == []
    log.write_text("".join(lines[:2]))
    assert follower.new() == [{"step": 1}]
    assert Follower(log).new() == []  # what was there before is not news
