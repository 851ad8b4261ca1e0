"""Runs a Lambda function in Python, as a worker of claviger's.

One line of JSON on standard input asks for one invocation, one line on standard output answers it. Before
anything of the function is loaded both are put where the function does not meet them by accident, whatever
else was open is closed, and limits are set. What the function prints is its log, on standard error.
"""

import os

os.closerange(3, 1 << 20)
REQUESTS = os.dup(0)
ANSWERS = os.dup(1)
NULL = os.open(os.devnull, os.O_RDONLY)
os.dup2(NULL, 0)
os.close(NULL)
os.dup2(2, 1)

import importlib.util
import json
import logging
import resource
import select
import signal
import sys
import threading
import time
import traceback

# Processes and threads of the user beyond those that there are at the start.
MORE_PROCESSES = 64
FILES = 256
FILE_BYTES = 32 << 20
MESSAGE_CHARS = 1024


class Context:
    """AWS Lambda context object in Python (Lambda developer guide)."""

    function_version = "$LATEST"
    identity = None
    client_context = None

    def __init__(self, request, deadline):
        self.aws_request_id = request["id"]
        self.function_name = request["name"]
        self.invoked_function_arn = request["arn"]
        self.memory_limit_in_mb = str(request["memory_mib"])
        self.log_group_name = "/aws/lambda/" + request["name"]
        self.log_stream_name = request["log_stream"]
        self._deadline = deadline

    def get_remaining_time_in_millis(self):
        return max(0, int((self._deadline - time.monotonic()) * 1000))

    def log(self, text):
        sys.stdout.write(str(text))


def end_with_the_server():
    """Nobody waits for the answer any more: the server closed its end, or is gone."""
    poll = select.poll()
    poll.register(REQUESTS, 0)
    while True:
        for _, events in poll.poll():
            if events & (select.POLLHUP | select.POLLERR):
                os.killpg(0, signal.SIGKILL)


def processes_of(uid):
    """Threads count as processes."""
    count = 0
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/status") as status:
                    fields = dict(line.split(":", 1) for line in status if ":" in line)
                if int(fields["Uid"].split()[0]) == uid:
                    count += int(fields.get("Threads", "1"))
            except (OSError, KeyError, ValueError):
                pass
    return count


def set_limits(memory_mib):
    limits = {
        resource.RLIMIT_AS: memory_mib << 20,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_NOFILE: FILES,
        resource.RLIMIT_NPROC: processes_of(os.getuid()) + MORE_PROCESSES,
    }
    for what, limit in limits.items():
        hard = resource.getrlimit(what)[1]
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(what, (limit, limit))
    # If the machine runs out of memory, this goes and not the server.
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def limit_cpu(seconds):
    """Of this invocation: a second above the time that it has at all."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


class Unusable(Exception):
    """The function cannot be loaded; that lasts until its file is another one."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


def load(path, handler):
    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.insert(0, os.path.dirname(path))
    sys.argv = [path]
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise Unusable("Runtime.UserCodeSyntaxError", str(error)) from error
    except (ImportError, OSError) as error:
        raise Unusable("Runtime.ImportModuleError", f"Unable to import module '{name}': {error}") from error
    # As Lambda writes it: `file.handler`.
    handler = handler.rsplit(".", 1)[-1]
    if not callable(getattr(module, handler, None)):
        raise Unusable("Runtime.HandlerNotFound", f"Handler '{handler}' missing on module '{name}'")
    return getattr(module, handler)


def failure(kind, text, lasting=False):
    return {"errorType": kind, "errorMessage": text[:MESSAGE_CHARS], "lasting": lasting}


def invoke(state, request):
    deadline = time.monotonic() + request["remaining_ms"] / 1000
    os.environ.update(request["environment"])
    limit_cpu(request["remaining_ms"] / 1000)
    try:
        if "handler" not in state:
            set_limits(request["memory_mib"])
            state["handler"] = load(request["file"], request["handler"])
        result = state["handler"](request["event"], Context(request, deadline))
    except Unusable as error:
        traceback.print_exception(error.__cause__) if error.__cause__ else print(error, file=sys.stderr)
        return failure(error.kind, str(error), lasting=True)
    except SystemExit as error:
        return failure("Runtime.ExitError", f"the function exited with {error.code!r}")
    except BaseException as error:
        traceback.print_exc()
        return failure(type(error).__name__, str(error))
    try:
        json.dumps(result)
    except Exception as error:
        return failure("Runtime.MarshalError", f"Unable to marshal response: {error}")
    return None


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    # As functions find it in Lambda: what they log is in the log.
    logging.Formatter.converter = time.gmtime
    form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(message)s"
    logging.basicConfig(format=form, datefmt="%Y-%m-%dT%H:%M:%S")
    threading.stack_size(256 << 10)
    threading.Thread(target=end_with_the_server, daemon=True).start()
    state = {}
    worker = os.getpid()
    with open(REQUESTS, "rb", closefd=False) as requests:
        for line in requests:
            request = json.loads(line)
            error = invoke(state, request)
            # A child that the function made and that came back from it has nothing to say.
            if os.getpid() != worker:
                os._exit(1)
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except (OSError, ValueError):
                    pass
            answer = json.dumps({"id": request["id"], "error": error}).encode() + b"\n"
            while answer:
                answer = answer[os.write(ANSWERS, answer) :]


main()
