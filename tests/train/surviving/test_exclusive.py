"""What one holds, no other does, until it lets go."""

import pytest

from tejat.errors import BadInput
from tejat.train.surviving.exclusive import held


def test_only_one_holds_it(tmp_path):
    path = tmp_path / "one"
    with held(path, "it is taken"), pytest.raises(BadInput, match="it is taken"), held(path, "it is taken"):
        pass
    with held(path, "it is taken"):
        pass
