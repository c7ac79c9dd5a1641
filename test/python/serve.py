"""Answers commands: each line read is a JSON object with the name of a command under "command" and its arguments
beside it; each line written is its answer, {"ok":true,...} or {"ok":false,"error":"..."}."""

import json
import os
import sys


def serve(commands):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints, or a process that it starts, is not an answer
    defaults = {}

    def configure(**arguments):
        """Arguments that every command is given if it knows them, unless it has its own."""
        defaults.update(arguments)
        return {}

    known = {"configure": configure, **commands}

    def run(request):
        name = request.pop("command")
        command = known.get(name)
        if command is None:
            raise LookupError(f"no command {name}, but {', '.join(sorted(known))}")
        accepted = command.__code__.co_varnames[: command.__code__.co_argcount]
        return command(**{k: v for k, v in defaults.items() if k in accepted} | request)

    def answer(line):
        try:
            return {"ok": True, **run(json.loads(line))}
        except Exception as error:  # of any kind: the next command must find the tools alive
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    for line in sys.stdin:
        print(json.dumps(answer(line)), file=answers, flush=True)
