"""`tejat serve`: a server of the Gemini and OpenAI interfaces, and a playground, on this machine."""

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from tejat.cli import default_model
from tejat.cli.options import parse
from tejat.errors import BadInput


@dataclass(frozen=True)
class Serve:
    """Serve models to programs written for the Gemini or OpenAI interfaces, and to people at http://localhost:8080/.

    Example: tejat serve --model mini
             tejat serve --keys keys.json --add-key alice
             tejat serve --host 0.0.0.0 --keys keys.json
    """

    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME|DIR")] = ()
    """A model that comes with Tejat, or a directory; repeat it for several. Default: the largest there is."""
    host: str = "127.0.0.1"
    """Address to listen at. Any but this machine's own needs --keys."""
    port: int = 8080
    """0: any that is free."""
    keys: Path | None = None
    """File of API keys; without it, whoever is on this machine is served."""
    add_key: str | None = None
    """Make a key of this name in --keys, print it, and end."""
    requests_per_minute: int | None = None
    """Limit of the new key, for each server; default: none."""
    concurrent: int | None = None
    """Requests that the new key may have open at once, for each server; default: any number."""
    files: Path | None = None
    """Where uploads are kept; several servers may share it. Default: $XDG_STATE_HOME/tejat/files."""
    allow_origin: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="ORIGIN")] = ()
    """A web site whose pages may use this server, such as https://example.org; repeat it for several."""
    slots: int = 8
    """Answers written at the same time."""
    queue: int = 64
    """Requests that may wait; more are refused with 429."""
    wait: float = 1.0
    """Seconds that a request may be expected to wait for its answer to begin; one that would wait longer is refused."""
    fast: tyro.conf.FlagCreatePairsOff[bool] = False
    """Quicker where few answers are written at once; the last bits of an answer then depend on how many those are."""
    engine: Literal["jax", "onnx"] | None = None
    """Default: without an accelerator, ONNX Runtime for a model that is exported or in four or eight bits; else JAX."""
    packed: tyro.conf.FlagCreatePairsOff[bool] = False
    """Weights from `tejat quantize` stay in their bits on JAX's device: a third of the memory, until scores or vectors
    are asked for."""
    mesh: str | None = None
    """Devices over which each model is cut, as in tensor=2; default: it is whole on one."""
    drain: int = 30
    """Seconds that answers may go on after SIGTERM or Ctrl-C."""


def main(arguments: list[str]) -> int:
    """Run `tejat serve` until it is stopped. Raises BadInput for an option, a file or a model that cannot be used."""
    options = parse(Serve, arguments, "tejat serve")
    from tejat.serve import keys
    from tejat.serve.edge import is_loopback

    if options.add_key is not None:
        if options.keys is None:
            raise BadInput("--add-key needs the file where keys are kept; give --keys FILE")
        print(keys.add(options.keys, options.add_key, options.requests_per_minute, options.concurrent))
        return 0
    if options.keys is None and not is_loopback(options.host):
        raise BadInput(
            f"{options.host} can be reached from other machines, which takes API keys; make one with "
            f"`tejat serve --keys keys.json --add-key NAME`, and give --keys keys.json"
        )
    for name in ("slots", "queue", "drain"):
        if getattr(options, name) < 1:
            raise BadInput(f"--{name} is {getattr(options, name)}; give 1 or more")
    if not options.wait > 0:
        raise BadInput(f"--wait is {options.wait:g}; give a number of seconds above 0")
    if options.mesh and options.engine == "onnx":
        raise BadInput(
            "--mesh cuts a model over JAX's devices, which --engine onnx does not use; leave one of them out"
        )
    if options.packed and (options.mesh or options.engine == "onnx"):
        other = "--mesh" if options.mesh else "--engine onnx"
        raise BadInput(f"--packed is for JAX on one device, and {other} is given; leave one of them out")
    if not 0 <= options.port < 65_536:
        raise BadInput(f"--port is {options.port}; give 0 (any that is free) to 65535")
    known = keys.Keys(options.keys) if options.keys is not None else None
    directories = [default_model.directory(name) for name in options.model or (None,)]
    return _run(options, known, directories)


def _run(options: Serve, keys: Any, directories: list[Path]) -> int:
    started = time.monotonic()
    import socket

    from tejat.infer.warming import keep_compiled, usual_folder
    from tejat.serve.app import build
    from tejat.serve.decoder import Decoder
    from tejat.serve.exchange import Server
    from tejat.serve.files import Store
    from tejat.serve.hosting import Hosted, Models
    from tejat.serve.limits import Limits
    from tejat.serve.memory import few_arenas

    few_arenas()
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        listener.close()
        mend = "choose another --port or --host"
        raise BadInput(f"{options.host}:{options.port} cannot be listened at ({error.strerror}); {mend}") from error
    with contextlib.suppress(OSError):  # where nothing can be kept, every start compiles
        keep_compiled(usual_folder())
    limits = Limits()
    store = _store(options.files, limits, Store)
    hosted: list[Hosted] = []
    for directory in directories:
        model, onnx = _model(directory, options)
        if any(one.name == model.config.name for one in hosted):
            raise BadInput(f"two models are named {model.config.name!r}; serve one of them")
        hosted.append(Hosted(model.config.name, model, _service(model, onnx, options)))
    decoder = Decoder()
    decoder.start()
    server = Server(Models(hosted), store, decoder, keys, limits, origins=frozenset(options.allow_origin))
    try:
        return _serve(build(server), server, listener, options, started)
    finally:
        for one in hosted:
            one.service.close(drain=False)


def _model(directory: Path, options: Serve) -> tuple[Any, Any]:
    """(the bundle, the export that ONNX Runtime runs or None)."""
    from tejat import bundle
    from tejat.model import quantised

    export = default_model.export(directory, "jax" if options.mesh or options.packed else options.engine)
    if export is None:
        model = bundle.load(directory, in_blocks=options.packed, pictures_in_blocks=False)
        if options.packed and not quantised.inside(model.params):
            raise BadInput(
                f"--packed is given, and {directory} is not in four or eight bits; `tejat quantize` it first"
            )
        return model, None
    from tejat.infer.onnx_model import OnnxModel

    onnx = OnnxModel(export)
    return onnx.bundle, onnx


def _service(model: Any, onnx: Any, options: Serve) -> Any:
    from tejat.infer.parallel import mesh_of
    from tejat.infer.service import Service

    counts: dict[str, Any] = {"slots": options.slots, "queue": options.queue, "wait": options.wait}
    if onnx is not None:
        service = Service(model, onnx=onnx, **counts)
        if (slots := service.stats().slots) < options.slots:
            why = f"memory holds no more contexts of {service.context:,} tokens"
            print(f"tejat serve: {slots} of {options.slots} answers at a time: {why}", file=sys.stderr)
        return service
    mesh = mesh_of(options.mesh, model.config) if options.mesh else None
    return Service(model, mesh=mesh, fast=options.fast, **counts)


def _serve(app: Any, server: Any, listener: Any, options: Serve, started: float) -> int:
    import uvicorn

    from tejat.serve.connection import Connection

    class Draining(uvicorn.Server):
        """Says that it is not ready from the moment it is told to stop."""

        def handle_exit(self, number: int, frame: Any) -> None:
            server.stopping = True
            super().handle_exit(number, frame)

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            host, port = listener.getsockname()[:2]
            shown = "localhost" if options.host in ("127.0.0.1", "::1") else f"[{host}]" if ":" in host else host
            names = ", ".join(one.name for one in server.models.all)
            line = f"tejat serves {names} at http://{shown}:{port}/ after {time.monotonic() - started:.1f} s"
            print(line, file=sys.stderr, flush=True)

    config = uvicorn.Config(
        app,
        http=Connection,
        access_log=False,
        log_level="error",
        server_header=False,
        proxy_headers=False,  # what a client writes there is no address of its own
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=options.drain,
        h11_max_incomplete_event_size=64 << 10,
    )
    # Raised again by uvicorn when all is drained: to have stopped when told to is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        Draining(config).run(sockets=[listener])
    return 0


def _store(directory: Path | None, limits: Any, kind: Any) -> Any:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    root = directory or state / "tejat" / "files"
    try:
        return kind(root, limits)
    except OSError as error:
        raise BadInput(f"uploads cannot be kept in {root} ({error.strerror}); give --files DIR") from error
