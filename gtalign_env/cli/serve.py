"""``gtalign serve``: vLLM's own OpenAI-compatible server, with settings that fit play.

The server is a child in a process group of its own: Ctrl-C and SIGTERM are passed on, and nothing of it is left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gtalign_env.cli.common import at_least, new_parser
from gtalign_env.errors import MissingExtraError, ModelError, UsageError

__all__ = ["add_parser", "run", "server_command", "server_settings"]

_SCENARIO = "gtalign/AssistText-v0"
_POLL = 0.3
_PATIENCE = 20.0
_GRACE = 2.0
_STDERR = 2
_CPU_OPTIONS = ("--dtype", "float32", "--enforce-eager")
_SETTINGS = {"DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1"}
_CPU_SETTINGS = {"VLLM_CPU_KVCACHE_SPACE": "4"}


def add_parser(subparsers: Any) -> None:
    """Add the verb to the program; what stands behind ``--`` is vLLM's."""
    parser = new_parser(
        subparsers,
        "serve",
        summary="start vLLM's OpenAI-compatible server for a model",
        description="Start vLLM's own OpenAI-compatible server, and say how to play against it. Everything behind '--' goes "
        "to vLLM as it\nis. Sampling is not changed by what the model's configuration says; nothing is downloaded without "
        "--hub. Ctrl-C ends it.",
        examples=[
            "gtalign serve models/mine",
            "gtalign serve models/mine --port 8001 -- --max-model-len 4096 --enable-lora",
            "gtalign serve models/mine.gguf",
            "gtalign serve some-org/some-model --hub --print       show the command and do nothing",
        ],
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a folder with a model, a .gguf file (unpacked once), or with --hub a name on the Hugging Face hub",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, metavar="N", help="port; 0 takes a free one (8000)")
    parser.add_argument("--name", metavar="NAME", help="what clients call the model (the last part of MODEL)")
    parser.add_argument("--hub", action="store_true", help="let vLLM download the model from the Hugging Face hub")
    parser.add_argument("--print", action="store_true", dest="show", help="only show the command")
    parse = parser.parse_known_args

    def split(args: Any = None, namespace: Any = None) -> Any:
        given = list(args)
        place = given.index("--") if "--" in given else len(given)
        found, left = parse(given[:place], namespace)
        found.extra = given[place + 1 :]
        return found, left

    parser.parse_known_args = split  # type: ignore[method-assign]


def run(args: argparse.Namespace) -> int:
    """Start the server, say where it is, and stay until it ends."""
    file = _check_model(args.model, hub=args.hub)
    name = args.name or Path(args.model).name.removesuffix(".gguf") or args.model
    cpu = _is_cpu_build()
    settings = server_settings(hub=args.hub, cpu=cpu, environ=os.environ)
    if args.show:
        model = args.model if file is None else str(_folder(file, cpu=cpu, unpack=False))
        command = server_command(model, host=args.host, port=args.port, name=name, cpu=cpu, extra=args.extra)
        print(shlex.join([*(f"{key}={value}" for key, value in settings.items()), *command]))
        return 0
    if importlib.util.find_spec("vllm") is None:
        raise MissingExtraError("gtalign serve", "vllm", "vllm")
    port = _free_port(args.host, args.port)
    model = args.model if file is None else str(_folder(file, cpu=cpu, unpack=True))
    command = server_command(model, host=args.host, port=port, name=name, cpu=cpu, extra=args.extra)
    _say(f"starting {shlex.join(command)}")
    if settings:
        _say("with " + " ".join(f"{key}={value}" for key, value in settings.items()))
    shown = "127.0.0.1" if args.host in ("0.0.0.0", "") else f"[{args.host}]" if ":" in args.host else args.host  # noqa: S104
    return _serve(command, {**os.environ, **settings}, root=f"http://{shown}:{port}", name=name)


def server_command(model: str, *, host: str, port: int, name: str, cpu: bool, extra: Sequence[str] = ()) -> list[str]:
    """Return the command that starts the server.

    ``--generation-config vllm`` keeps the model's own sampling defaults out. On a CPU, float32 and no compilation; and since
    the command line of the CPU build asks for the version of a package by another name, its server is started directly.

    Args:
        model: A folder, or a name on the hub.
        host: Where to listen.
        port: On which port.
        name: What clients call the model.
        cpu: Whether vLLM runs on the CPU.
        extra: vLLM's own options; they come last and so win.

    Example:
        >>> server_command("models/m", host="127.0.0.1", port=8000, name="m", cpu=False, extra=["--seed", "1"])[3:7]
        ['serve', 'models/m', '--host', '127.0.0.1']
    """
    start = ("vllm.entrypoints.openai.api_server", "--model") if cpu else ("vllm.entrypoints.cli.main", "serve")
    return [
        sys.executable,
        *("-m", *start, model),
        *("--host", host, "--port", str(port)),
        *("--served-model-name", name),
        *("--generation-config", "vllm"),
        *(_CPU_OPTIONS if cpu else ()),
        *extra,
    ]


def server_settings(*, hub: bool, cpu: bool, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables to set; what is set already stays as it is.

    Args:
        hub: Whether the hub may be asked.
        cpu: Whether vLLM runs on the CPU: then 4 GiB for its cache.
        environ: What is set.

    Example:
        >>> server_settings(hub=False, cpu=False, environ={"DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1"})
        {'HF_HUB_OFFLINE': '1', 'TRANSFORMERS_OFFLINE': '1'}
    """
    offline = {} if hub else {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    wanted = {**_SETTINGS, **(_CPU_SETTINGS if cpu else {}), **offline}
    return {key: value for key, value in wanted.items() if key not in environ}


def _serve(command: Sequence[str], environ: Mapping[str, str], *, root: str, name: str) -> int:
    # What vLLM logs goes to standard error, so that standard output has the address and nothing else.
    child = subprocess.Popen(command, env=environ, stdout=_STDERR, start_new_session=True)  # noqa: S603 - the user's own
    try:
        with _passed_on(child):
            while child.poll() is None and not _is_up(root):
                time.sleep(_POLL)
            if child.returncode is None:
                _announce(root, name)
                child.wait()
            elif child.returncode > 0:
                raise ModelError(
                    f"vLLM's server ended with exit code {child.returncode} before it was ready; its own words stand above"
                )
    finally:
        _stop(child)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


@contextlib.contextmanager
def _passed_on(child: subprocess.Popen[Any]) -> Iterator[None]:
    """Hand SIGTERM on to the server; Ctrl-C comes as ``KeyboardInterrupt`` and ends it below."""
    before = signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(child: subprocess.Popen[Any]) -> None:
    """Ask the server to end, wait for it, and leave nothing of its group behind."""
    try:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        _say(f"vLLM's server did not end within {_PATIENCE:g} seconds: killed")
    finally:
        _end_group(child.pid)
        child.wait()


def _end_group(group: int) -> None:
    """Let the server's own processes end, and kill what is left of them after a while."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        for _ in range(round(_GRACE / _POLL)):
            os.killpg(group, 0)
            time.sleep(_POLL)
        os.killpg(group, signal.SIGKILL)


def _is_up(root: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{root}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _announce(root: str, name: str) -> None:
    url = f"{root}/v1"
    key = " OPENAI_API_KEY=…" if os.environ.get("VLLM_API_KEY") else ""
    play = f"gtalign run {_SCENARIO} --assistant {shlex.quote(f'openai:{name}')} --episodes 4"
    print(f"ready: {url}\nplay:  OPENAI_BASE_URL={url}{key} {play}", flush=True)


def _check_model(model: str, *, hub: bool) -> Path | None:
    """Refuse what is no model; return the file of one in GGUF form, which vLLM does not read."""
    if not model.strip():
        raise UsageError("argument MODEL: expected a folder with a model, or with --hub a name, got an empty text")
    path = Path(model).expanduser()
    if (path / "config.json").is_file():
        return None
    if path.exists():
        from gtalign_env.agents.backends.loading import locate

        source = locate(path)
        return None if source.gguf is None else Path(source.folder) / source.gguf
    if not hub:
        raise ModelError(
            f"there is no model at {model!r}: expected a folder with a config.json, or a .gguf file; a name on the Hugging Face "
            "hub needs --hub"
        )
    return None


def _folder(file: Path, *, cpu: bool, unpack: bool) -> Path:
    """Return the folder that a ``.gguf`` file is unpacked to, once, as ``vllm:FILE`` does it."""
    from gtalign_env.agents.backends.unpacking import unpacked, unpacked_folder

    return (unpacked if unpack else unpacked_folder)(file, dtype="float32" if cpu else "bfloat16")


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0.

    Raises:
        UsageError: It is taken, or this machine has no such address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(
            f"cannot listen on {host}, port {port} ({why}): take another one with --host and --port"
        ) from None


def _port(text: str) -> int:
    number: int = at_least(0)(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
    return number


def _is_cpu_build() -> bool:
    """Return whether vLLM is its CPU build, without importing it."""
    for name in ("vllm-cpu", "vllm"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return "cpu" in f"{name} {importlib.metadata.version(name)}"
    return False


def _say(sentence: str) -> None:
    print(f"gtalign: {sentence}", file=sys.stderr, flush=True)
