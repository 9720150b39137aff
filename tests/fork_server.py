"""Runs the project's commands in processes that are forked from one that has imported torch already.

Each is a process of its own with its own interpreter state: nothing of the project is imported before the fork. What
is saved is the two seconds that the packages take to import. Requests and answers are JSON, a line each.
"""

import atexit
import gc
import json
import os
import runpy
import sys
import threading
from typing import Any

PACKAGES = ("torch", "torch._dynamo", "torch.utils.data", "torch.utils.tensorboard", "numpy", "click", "tqdm", "yaml")


def serve() -> dict[str, Any]:
    """Answers requests with the status of a forked process; returns the request, in the forked process."""
    for name in PACKAGES:
        __import__(name)
    sys.pycache_prefix, sys.dont_write_bytecode = (
        sys.argv[1],
        False,
    )  # the project is compiled once, and not in its place
    gc.freeze()  # else each forked process copies all of it, page by page, to collect garbage when it ends
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return request
        print(json.dumps(pid), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
    os._exit(0)


def become(request: dict[str, Any]) -> str:
    """Gives this process the folder, environment, arguments and outputs that were asked for; returns its script."""
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for descriptor, path in ((1, request["stdout"]), (2, request["stderr"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    script = os.path.join(request["cwd"], request["script"])
    sys.argv = [request["script"], *request["arguments"]]
    sys.path[0] = os.path.dirname(os.path.realpath(script))
    return script


def ended(script: str) -> int:
    """Runs a script as the interpreter does; returns its exit code."""
    try:
        runpy.run_path(script, run_name="__main__")
        return 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        try:
            sys.excepthook(*sys.exc_info())
            return 1
        except SystemExit as end:  # CPython honours one that leaves the hook
            code = end.code
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    exit_code = ended(become(serve()))
    # as the interpreter ends, but for taking all modules apart: that copies them from the server, page by page
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
