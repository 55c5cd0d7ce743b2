"""Memory that a process may have, by files as Linux writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tejat import memory


@pytest.fixture
def linux(tmp_path, monkeypatch):
    """Writes what Linux tells: what is free on the machine, this process's group, and the files of groups."""

    def told(available: int, own: str, groups: dict[str, dict[str, str]]) -> None:
        for name, path in (("MACHINE", "meminfo"), ("OWN", "cgroup"), ("GROUPS", "groups")):
            monkeypatch.setattr(memory, name, tmp_path / path)
        (tmp_path / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {available >> 10} kB\n")
        (tmp_path / "cgroup").write_text(f"0::{own}\n")
        for group, files in groups.items():
            (tmp_path / "groups" / group).mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (tmp_path / "groups" / group / name).write_text(text)

    return told


def test_a_container_has_what_its_group_leaves(linux):
    stat = "anon 5\nfile 2097152\ninactive_file 1048576\n"
    linux(1 << 40, "/", {"": {"memory.max": f"{8 << 20}\n", "memory.current": f"{3 << 20}\n", "memory.stat": stat}})
    assert memory.free() == (8 - 3 + 1) << 20
    assert memory.whole() == 8 << 20


def test_parents_bound_a_job(linux):
    job = {"memory.max": f"{8 << 20}\n", "memory.current": "0\n", "memory.stat": ""}
    slice_ = {"memory.max": f"{6 << 20}\n", "memory.current": f"{5 << 20}\n", "memory.stat": ""}
    linux(1 << 40, "/all/job", {"all": slice_, "all/job": job})
    assert memory.free() == 1 << 20
    assert memory.whole() == 6 << 20


def test_without_a_limit_the_machine_counts(linux):
    linux(5 << 20, "/job", {"job": {"memory.max": "max\n"}})
    assert memory.free() == 5 << 20
    assert memory.whole() > 1 << 20


def test_nothing_is_known_where_nothing_tells(tmp_path, monkeypatch):
    for name in ("MACHINE", "OWN", "GROUPS"):
        monkeypatch.setattr(memory, name, tmp_path / "no")
    assert memory.free() is None and memory.whole() > 0


@given(limit=st.integers(0, 1 << 40), used=st.integers(0, 1 << 41))
def test_a_group_over_its_limit_has_nothing_left(limit, used, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("groups")
        patch.setattr(memory, "GROUPS", place)
        patch.setattr(memory, "OWN", place / "no")
        patch.setattr(memory, "MACHINE", place / "no")
        (place / "memory.max").write_text(f"{limit}\n")
        (place / "memory.current").write_text(f"{used}\n")
        (place / "memory.stat").write_text("inactive_file 0\n")
        assert memory.free() == max(0, limit - used)
