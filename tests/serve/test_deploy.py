"""What `deploy/` says against what the program takes: the container file, the unit and the replicas agree with it."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from tejat.cli.serve import Serve

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """(name, what follows) of the container file, continued lines joined."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def words_of(name: str) -> list[str]:
    """An instruction in its form of a JSON list."""
    (found,) = [rest for own, rest in instructions() if own == name]
    return re.findall(r'"([^"]*)"', found)


def served(arguments: list[str]) -> Serve:
    """The options as `tejat serve` reads them."""
    assert arguments[:2] == ["tejat", "serve"]
    return tyro.cli(Serve, args=arguments[2:])


def test_the_image_holds_what_the_package_is_built_from() -> None:
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    names = {name for names in copied for name in names}
    assert all((ROOT / name).exists() for name in names)
    assert {"pyproject.toml", "constraints.txt", "tejat", "LICENSE", "NOTICE"} <= names
    # And the builder is given these alone.
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert ignored[1] == "*" and {line[1:] for line in ignored if line.startswith("!")} == names
    users = [rest for name, rest in instructions() if name == "USER"]
    assert users == ["tejat"]  # not root


def test_the_images_server_is_behind_keys() -> None:
    options = served(words_of("ENTRYPOINT"))
    assert options.host == "0.0.0.0" and options.keys == Path("/keys/keys.json") and options.files == Path("/files")
    volumes = words_of("VOLUME")
    assert {str(options.files), str(options.keys.parent), "/cache"} == set(volumes)
    (made,) = [rest for name, rest in instructions() if name == "RUN" and "useradd" in rest]
    assert (
        re.search(r"install -d -o tejat -g tejat (.*)", made)[1].split() == volumes
    )  # new volumes are then the user's
    (port,) = [rest for name, rest in instructions() if name == "EXPOSE"]
    assert int(port) == options.port
    (probe,) = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    assert f"http://127.0.0.1:{port}/ready" in probe


def test_the_units_server_is_for_this_machine_and_ends_in_time() -> None:
    unit = dict(line.split("=", 1) for line in (DEPLOY / "tejat.service").read_text().splitlines() if "=" in line)
    command = shlex.split(unit["ExecStart"])
    options = served(["tejat", *command[1:]])
    assert options.host == "127.0.0.1" and str(options.files).startswith("/var/lib/tejat")
    assert int(unit["TimeoutStopSec"]) > options.drain


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_the_unit(tmp_path) -> None:
    """All of it, with a program that is there in the place of the server."""
    unit = tmp_path / "tejat.service"
    unit.write_text((DEPLOY / "tejat.service").read_text().replace("/opt/tejat/bin/tejat", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_replicas_share_files_and_end_in_time() -> None:
    yaml = pytest.importorskip("yaml")
    made = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
    pod = made["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    options = served([*words_of("ENTRYPOINT"), *container["args"]])
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + options.drain
    places = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert set(places.values()) == set(volumes)
    claim = volumes[places[str(options.files)]]["persistentVolumeClaim"]["claimName"]
    assert claim == made["PersistentVolumeClaim"]["metadata"]["name"]
    assert made["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert places[str(options.keys.parent)] == "keys" and "secret" in volumes["keys"]
    assert made["Deployment"]["spec"]["replicas"] > made["PodDisruptionBudget"]["spec"]["minAvailable"] >= 1
    assert container["ports"][0]["containerPort"] == made["Service"]["spec"]["ports"][0]["targetPort"] == options.port
    for probe, path in {"startupProbe": "/ready", "readinessProbe": "/ready", "livenessProbe": "/health"}.items():
        assert container[probe]["httpGet"] == {"path": path, "port": options.port}
    assert container["securityContext"]["readOnlyRootFilesystem"] and {"/tmp", "/cache"} <= set(places)
