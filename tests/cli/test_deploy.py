"""What the examples of `deploy/` and docs/SERVING.md say of `tejat serve` is true of it."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from tejat.cli.serve import Serve
from tejat.serve.app import build
from tejat.serve.decoder import Decoder
from tejat.serve.exchange import Server
from tejat.serve.files import Store
from tejat.serve.hosting import Models
from tejat.serve.limits import Limits
from tejat.serve.openapi import document

ROOT = Path(__file__).parents[2]
DEPLOYED = [path for path in sorted((ROOT / "deploy").iterdir()) if path.suffix != ".dockerignore"]
FILES = [*DEPLOYED, ROOT / "docs" / "SERVING.md"]
FLAGS = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Serve)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_option_is_one(path: Path) -> None:
    text = path.read_text()
    lines = [line for line in text.splitlines() if re.search(r"tejat serve|ENTRYPOINT|args:|ExecStart=", line)]
    used = {flag for line in lines for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
    others = {"--model_args", "--rm", "--pty", "--uid"}  # of lm_eval, podman and systemd-run
    assert used - others <= FLAGS
    assert used


def test_entry_point_of_the_container_is_json() -> None:
    (line,) = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "deploy" / "Containerfile").read_text(), re.MULTILINE)
    assert json.loads(line)[:2] == ["tejat", "serve"]


def test_probes_and_documented_routes_are_served(tmp_path) -> None:
    app = build(Server(Models([]), Store(tmp_path, Limits()), Decoder()), log=lambda line: None)
    served = {re.sub(r"\{[a-z]+\}", "{}", route.path) for route in app._routes.routes}
    text = (ROOT / "deploy" / "kubernetes.yaml").read_text()
    assert set(re.findall(r"httpGet: \{ path: (\S+),", text)) == {"/ready", "/health"} <= served
    for path in document(["mini"])["paths"]:
        assert re.sub(r"\{[a-z]+\}(:[A-Za-z]+)?", "{}", path) in served, path


def test_limits_are_told_as_they_are() -> None:
    text = (ROOT / "docs" / "SERVING.md").read_text()
    limits = Limits()
    assert f"| body of a request | {limits.body >> 20} MiB" in text
    assert f"| all bodies being read | {limits.bodies >> 20} MiB" in text
    assert f"| text of a request | {limits.text:,} bytes |" in text
    assert f"| media of a request | {limits.media}, and {limits.decoded // 10**6} MB decoded |" in text
    assert f"| candidates | {limits.candidates} |" in text and f"| an answer | {limits.answer_seconds:.0f} s |" in text
    assert f"{limits.file // 10**9} GB; {limits.quota // 10**9} GB and {limits.files:,} files for each key" in text
