"""What the client tests share: a server of their own, words for expected answers, a runner."""

import concurrent.futures
import inspect
import os
import pathlib
import pprint
import re
import shutil
import socket
import subprocess
import tempfile
import time
import traceback
import urllib.error
import urllib.request

ACCOUNT = "123456789012"
# Open in `claviger dev`. A test that lists what there is gets one of these for itself.
REGIONS = (
    "us-east-2 us-west-1 us-west-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1"
    " ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 eu-north-1 eu-west-1 eu-west-2"
    " eu-west-3 sa-east-1 us-east-1"
).split()
START_SECONDS = 60
STOP_SECONDS = 30
COMMAND_SECONDS = 120


def client_environment():
    """The environment of a client that knows nothing of this machine's own AWS set-up."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        env.pop(name, None)
        env.pop(name.upper(), None)
    env.update(
        AWS_CONFIG_FILE="/dev/null",
        AWS_SHARED_CREDENTIALS_FILE="/dev/null",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_PAGER="",
        PAGER="cat",
    )
    return env


class Server:
    """`claviger dev` on a free port with a SoftHSM token of its own, in a directory that goes away."""

    def __init__(self, program):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="claviger-clients-"))
        self.env_file = self.directory / "dev" / "env"
        self._start([program, "dev", "--data", self.directory / "dev", "--listen", "127.0.0.1:0"])

    def _start(self, words):
        self.log = self.directory / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self):
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_):
        self._end()

    def _wait(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.text()}")
            # The file is there once the address is bound.
            if self.env_file.exists():
                lines = self.env_file.read_text().splitlines()
                pairs = (line.removeprefix("export ").split("=", 1) for line in lines)
                self.exports = dict(pairs)
                self.endpoint = self.exports["AWS_ENDPOINT_URL"]
                if self._ready():
                    return
            time.sleep(0.05)
        raise AssertionError(f"the server was not ready in {START_SECONDS} s:\n{self.text()}")

    def _ready(self):
        try:
            with urllib.request.urlopen(self.endpoint + "/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        """Stops the server as an operator does; whatever it should not have logged is a failure."""
        self.process.terminate()
        code = self.process.wait(STOP_SECONDS)
        assert code == 0, f"the server ended with {code}:\n{self.text()}"
        bad = [line for line in self.text().splitlines() if re.search("ERROR|panicked", line)]
        assert not bad, "the server logged:\n" + "\n".join(bad)

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Deployed(Server):
    """`claviger serve` with a configuration of the test's own, of which `dev` takes none: `more` answers
    the rest of it. The root key is in a file: what is tested here has nothing to do with tokens."""

    def __init__(self, program, more):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="claviger-clients-"))
        try:
            self._prepare(program, more)
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def _prepare(self, program, more):
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "127.0.0.1:%d" % free.getsockname()[1]
        config = self.directory / "claviger.toml"
        config.write_text(
            f'data = "{self.directory}/data"\nregions = {list(REGIONS)}\naccount = "{ACCOUNT}"\n'
            f'[listen]\napi = "{address}"\n{more(self.directory)}'
        )
        words = ["--config", config, "--insecure-software-root"]
        made = subprocess.run([program, "init", *words], capture_output=True, text=True, timeout=START_SECONDS)
        assert made.returncode == 0, made.stdout + made.stderr
        keys = re.findall(r"^ *(AWS_\w+=\S+)$", made.stdout, re.MULTILINE)
        self.env_file = self.directory / "env"
        lines = [*keys, "AWS_DEFAULT_REGION=us-east-1", f"AWS_ENDPOINT_URL=http://{address}"]
        self.env_file.write_text("".join(f"export {line}\n" for line in lines))
        self._start([program, "serve", *words])


# Expected answers. What cannot be known beforehand is written as one of these.


class Like:
    """Equal to every text that the whole pattern fits."""

    def __init__(self, pattern):
        self.pattern = pattern

    def __eq__(self, other):
        return isinstance(other, str) and re.fullmatch(self.pattern, other, re.DOTALL) is not None

    def __repr__(self):
        return f"Like({self.pattern!r})"


class Near:
    """Equal to every time, in seconds, within ten minutes of now plus some days."""

    def __init__(self, days=0, within=600):
        self.days, self.within = days, within

    def __eq__(self, other):
        if not isinstance(other, (int, float)) or isinstance(other, bool):
            return False
        return abs(other - time.time() - self.days * 86_400) < self.within

    def __repr__(self):
        return f"Near(days={self.days})"


class Anything:
    """Equal to everything."""

    def __eq__(self, other):
        return True

    def __repr__(self):
        return "Anything()"


UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
BASE64 = Like("[A-Za-z0-9+/]+={0,2}")
MATERIAL = Like("[0-9a-f]{64}")
NOW = Near()


def expect(found, expected):
    """Fails unless both are the same, to the last member."""
    # The wildcards are on the left, so that theirs is the comparison that counts.
    if expected == found:
        return
    show = lambda value: pprint.pformat(value, width=100, sort_dicts=False)
    raise AssertionError(f"expected\n{show(expected)}\nfound\n{show(found)}")


# The runner.


class Results:
    def __init__(self):
        self.passed = self.failed = 0

    def add(self, name, error, seconds):
        if error is None:
            self.passed += 1
            print(f"ok    {name}  {seconds:.1f} s", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {name}  {seconds:.1f} s\n{error}", flush=True)

    def run(self, name, work):
        began = time.monotonic()
        try:
            work()
        except Exception:
            self.add(name, traceback.format_exc(), time.monotonic() - began)
        else:
            self.add(name, None, time.monotonic() - began)


def tests_of(module):
    """The module's test functions in the order they are written in."""
    tests = inspect.getmembers(module, inspect.isfunction)
    tests = [(name, test) for name, test in tests if name.startswith("test_")]
    return sorted(tests, key=lambda test: test[1].__code__.co_firstlineno)


def run_all(results, module, prepare, threads=1):
    """Runs every test of a module with what `prepare(its number)` gives it."""
    title = module.__name__.rsplit(".", 1)[-1]
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for number, (name, test) in enumerate(tests_of(module)):
            words = name.removeprefix("test_").replace("_", " ")
            work = lambda test=test, number=number: test(prepare(number))
            pool.submit(results.run, f"{title}: {words}", work)
