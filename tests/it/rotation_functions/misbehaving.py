"""What functions do that they should not. BEHAVIOUR says which; PLACE is a directory to leave traces in."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

LOADED = os.getpid()
CALLS = [0]


def lambda_handler(event, context):
    CALLS[0] += 1
    leave("marker", os.environ["CLAVIGER_FUNCTION"])
    print("before", file=sys.stderr)
    return BEHAVIOURS[os.environ["BEHAVIOUR"]](event, context)


def leave(name, text):
    with open(os.path.join(os.environ["PLACE"], name), "w") as file:
        file.write(text)


def good(event, context):
    print("process", os.getpid(), "call", CALLS[0])
    print("secret key", os.environ["AWS_ACCESS_KEY_ID"])


def told(event, context):
    """All that it knows, for the test to look at."""
    facts = {
        "event": event,
        "environment": dict(os.environ),
        "id": context.aws_request_id,
        "name": context.function_name,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "stream": context.log_stream_name,
        "group": context.log_group_name,
        "remaining": context.get_remaining_time_in_millis(),
        "directory": os.getcwd(),
        "files": os.listdir("."),
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "fds": {fd: link(fd) for fd in os.listdir("/proc/self/fd")},
        "stdin": sys.stdin.read(),
        "limits": [resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0] for name in ("AS", "NOFILE", "CORE")],
    }
    leave("told", json.dumps(facts))


def link(fd):
    try:
        return os.readlink("/proc/self/fd/" + fd)
    except OSError:
        return None


def no(event, context):
    raise ValueError("no\n\x1b[31mand no")


def loop(event, context):
    while True:
        pass


def sleep_deaf(event, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)


def fork_bomb(event, context):
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            time.sleep(0.01)


def leave_a_daemon(event, context):
    """One that is in no process group of ours, and lives on with our pipes."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            leave("daemon", str(os.getpid()))
            time.sleep(1000)
        os._exit(0)
    while not os.path.exists(os.path.join(os.environ["PLACE"], "daemon")):
        time.sleep(0.01)
    os._exit(7)


def hog(event, context):
    return len(bytearray(4 << 30))


def big_file(event, context):
    with open("big", "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))


def many_files(event, context):
    return [open(os.devnull) for _ in range(1000)] and None


def print_much(event, context):
    line = "x" * 1000
    for _ in range(10_000_000):
        print(line)


def print_some(event, context):
    for n in range(2000):
        print("line", n)


def pipes():
    return [int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2 and (link(fd) or "").startswith("pipe:")]


def garbage(event, context):
    """Answers itself, on the pipe that is not meant for it."""
    for fd in pipes():
        try:
            os.write(fd, b'{"id": "another", "error": null}\n')
        except OSError:
            pass
    time.sleep(1000)


def nonsense(event, context):
    for fd in pipes():
        try:
            os.write(fd, b"\xff\x00nonsense" * 20_000)
        except OSError:
            pass
    time.sleep(1000)


def deep(event, context):
    """A directory that is hard to remove, with a link to one that must stay."""
    leave("directory", os.getcwd())
    os.symlink(os.environ["PLACE"], "link")
    for _ in range(5000):
        os.mkdir("d")
        os.chdir("d")
    os.symlink(os.environ["PLACE"], "link")


def answer_later(event, context):
    """Answers well, and says something unasked afterwards."""
    threading.Thread(target=late, daemon=True).start()


def late():
    time.sleep(0.2)
    for fd in pipes():
        try:
            os.write(fd, b'{"id": "another", "error": null}\n')
        except OSError:
            pass


def close_all(event, context):
    os.closerange(0, 100)
    time.sleep(1000)


def shell(event, context):
    """One that knows nothing of its parent."""
    child = subprocess.Popen(["sh", "-c", "exec sleep 1000"], env={"PATH": "/bin:/usr/bin"})
    leave("daemon", str(child.pid))
    os._exit(3)


BEHAVIOURS = {
    "good": good,
    "told": told,
    "raise": no,
    "exit": lambda *_: sys.exit("enough"),
    "_exit": lambda *_: os._exit(9),
    "kill": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda *_: os.kill(os.getpid(), signal.SIGSEGV),
    "recurse": lambda *_: deeper(0),
    "unjson": lambda *_: object(),
    "loop": loop,
    "sleep_deaf": sleep_deaf,
    "fork_bomb": fork_bomb,
    "daemon": leave_a_daemon,
    "hog": hog,
    "big_file": big_file,
    "many_files": many_files,
    "print_much": print_much,
    "print_some": print_some,
    "garbage": garbage,
    "nonsense": nonsense,
    "deep": deep,
    "later": answer_later,
    "close_all": close_all,
    "shell": shell,
}


def deeper(n):
    return deeper(n + 1) + 1
