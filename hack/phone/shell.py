"""The phone's shell: the commands that adb, Appium's drivers and a runner send, and no more.

An unknown command answers 127 like a phone's shell does, and stands in the log.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import logcat
from .device import NO_PACKAGE_SERVICE

if TYPE_CHECKING:
    from .device import Device


@dataclass(frozen=True)
class Call:
    """One command: who sent it, and its arguments."""

    device: Device
    client: str
    args: list[str]


Answer = tuple[int, str]
Command = Callable[[Call], Answer]

QUIET = {
    "input",
    "ime",
    "svc",
    "kill",
    "setprop",
    "content",
    "sm",
    "appops",
    "device_config",
    "monkey",
    "log",
    "true",
    "wait",
}

KERNEL_NAME = 15
#: No app has a web view, whose debugger would listen there.
UNIX_SOCKETS = b"Num       RefCount Protocol Flags    Type St Inode Path\n"


def run(device: Device, line: str, *, client: str) -> Answer:
    """Runs one line; returns its exit status and output."""
    status, output = 0, ""
    for operator, words in split(line):
        if (operator == "&&" and status != 0) or (operator == "||" and status == 0):
            continue
        status, printed = _run_one(device, words, client)
        output += printed
    return status, output


def split(line: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a line, each with the operator before it (`;` for the first)."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    operator, words = ";", list[str]()
    try:
        for token in lexer:
            if token in (";", "&&", "||", "&", "|"):
                if words:
                    yield operator, words
                operator, words = token, []
            else:
                words.append(token)
    except ValueError:  # an unbalanced quote
        words = line.split()
    if words:
        yield operator, words


def _run_one(device: Device, words: list[str], client: str) -> Answer:
    name, args = words[0], words[1:]
    if name in QUIET:
        return 0, ""
    command = COMMANDS.get(name)
    if command is None:
        device.journal.note("unknown-command", command=" ".join(words)[:300], client=client)
        return 127, f"/system/bin/sh: {name}: inaccessible or not found\n"
    return command(Call(device, client, args))


def _echo(call: Call) -> Answer:
    return 0, " ".join(call.args).replace("$?", "0") + "\n"


def _test(call: Call) -> Answer:
    words = [w for w in call.args if w != "]"]
    return (0 if len(words) == 2 and words[1] in call.device.files else 1), ""


def _getprop(call: Call) -> Answer:
    if call.args:
        return 0, call.device.get_property(call.args[0]) + "\n"
    return 0, "".join(f"[{k}]: [{v}]\n" for k, v in call.device.properties.items())


def _settings(call: Call) -> Answer:
    action, *rest = call.args or [""]
    rest = [w for w in rest if not w.startswith("--") and w != "current"]
    key = (rest[0], rest[1]) if len(rest) > 1 else ("", "")
    if action == "get":
        return 0, call.device.settings.get(key, "null") + "\n"
    if action == "put":
        call.device.settings[key] = " ".join(rest[2:])
    if action == "delete":
        call.device.settings.pop(key, None)
    return 0, ""


def _pm(call: Call) -> Answer:
    device, args = call.device, call.args
    action = args[0] if args else ""
    name = args[-1] if len(args) > 1 else ""
    installed = device.packages.installed
    if not device.manages_packages:
        return 20, NO_PACKAGE_SERVICE
    if (action, name) == ("path", "android"):
        return 0, "package:/system/framework/framework-res.apk\n"
    if action == "path":
        return (0, f"package:/data/app/{name}/base.apk\n") if name in installed else (1, "")
    if action == "list":
        return 0, _listing(call)
    if action == "install":
        content = device.files.get(name)
        if content is None:
            return 1, f"Failure [INSTALL_FAILED_INVALID_URI: {name}]\n"
        answer = device.install(content, client=call.client, downgrade="-d" in args, grant="-g" in args)
        return int(not answer.startswith("Success")), answer
    if action == "uninstall":
        done = device.uninstall(name, client=call.client)
        return (0, "Success\n") if done else (1, "Failure [DELETE_FAILED_INTERNAL_ERROR]\n")
    if action == "clear":
        return (0, "Success\n") if device.clear(name, client=call.client) else (1, "Failed\n")
    if action in ("resolve-activity", "query-activities"):
        package = installed.get(name)
        return (0, f"priority=0\n{package.manifest.component}\n") if package else (0, "No activity found\n")
    if action == "grant" and len(args) > 2:
        done = device.packages.grant(args[-2], name)
        return (0, "") if done else (255, f"Package {args[-2]} has not requested permission {name}\n")
    if action in ("revoke", "disable-user", "enable", "trim-caches"):
        return 0, ""
    return _unknown(call, "pm")


def _listing(call: Call) -> str:
    what = call.args[1] if len(call.args) > 1 else ""
    names = list(call.device.packages.installed)
    if what == "instrumentation":
        runner = "androidx.test.runner.AndroidJUnitRunner"
        tests = [n for n in names if n.endswith(".test")]
        return "".join(f"instrumentation:{n}/{runner} (target={n.removesuffix('.test')})\n" for n in tests)
    if what == "packages":
        wanted = [w for w in call.args[2:] if not w.startswith("-") and not w.isdigit()]
        return "".join(f"package:{n}\n" for n in names if not wanted or wanted[0] in n)
    return ""


def _cmd(call: Call) -> Answer:
    if call.args[:1] == ["package"]:
        return _pm(Call(call.device, call.client, call.args[1:]))
    return 0, ""


def _am(call: Call) -> Answer:
    action = call.args[0] if call.args else ""
    if action in ("start", "start-activity"):
        if "-n" not in call.args:
            return 0, "Starting: Intent\n"
        component = call.args[call.args.index("-n") + 1]
        if not call.device.start(component, client=call.client, stop_first="-S" in call.args):
            return 1, f"Error type 3\nError: Activity class {{{component}}} does not exist.\n"
        return 0, (
            f"Starting: Intent {{ cmp={component} }}\nStatus: ok\nLaunchState: COLD\nActivity: {component}\n"
            "TotalTime: 100\nWaitTime: 101\nComplete\n"
        )
    if action == "force-stop":
        call.device.stop(call.args[-1], client=call.client)
        return 0, ""
    return 0, "Broadcasting: Intent\nBroadcast completed: result=-1\n"


def _dumpsys(call: Call) -> Answer:
    device, args = call.device, call.args
    if args[:1] == ["package"] and len(args) > 1:
        return 0, device.packages.describe(args[1])
    if args[:2] == ["activity", "services"] and len(args) > 2:
        running = args[2] in device.processes
        return 0, (
            f"  * ServiceRecord{{1 u0 {args[2]}}}\n    isForeground=true foregroundId=1\n"
            if running
            else "(nothing)\n"
        )
    if args[:1] == ["window"]:
        return 0, (
            "mDreamingLockscreen=false mShowingLockscreen=false isStatusBarKeyguard=false\n"
            f"  mCurrentFocus=Window{{1 u0 {device.focus}}}\n"
            f"  mFocusedApp=ActivityRecord{{1 u0 {device.focus} t1}}\n"
        )
    if args[:1] == ["battery"]:
        return 0, "Current Battery Service state:\n  level: 100\n"
    return 0, ""


def _df(call: Call) -> Answer:
    """As toybox prints it with `-k`, for whatever path."""
    size, free = 64_000_000, call.device.free_megabytes * 1024
    used = size - free
    return 0, (
        "Filesystem     1K-blocks     Used Available Use% Mounted on\n"
        f"/dev/block/dm-5 {size} {used} {free}  {100 * used // size}% /data\n"
    )


def _pidof(call: Call) -> Answer:
    pid = call.device.processes.get(call.args[-1]) if call.args else None
    return (0, f"{pid}\n") if pid else (1, "")


def _pgrep(call: Call) -> Answer:
    pattern = call.args[-1].replace(r"\b", "") if call.args else "$^"
    found = [
        str(pid)
        for name, pid in call.device.processes.items()
        # Without -f, a phone compares the last characters of the name, which are what its kernel knows.
        if re.search(pattern, name) or re.search(pattern, name[-KERNEL_NAME:])
    ]
    return (0, "\n".join(found) + "\n") if found else (1, "")


def _ps(call: Call) -> Answer:
    rows = [f"u0_a1 {pid} 1 1 1 0 0 S {name}\n" for name, pid in call.device.processes.items()]
    return 0, "USER PID PPID VSZ RSS WCHAN ADDR S NAME\n" + "".join(rows)


def _cat(call: Call) -> Answer:
    path = call.args[-1] if call.args else ""
    content = UNIX_SOCKETS if path == "/proc/net/unix" else call.device.files.get(path)
    if content is None:
        return 1, f"cat: {path}: No such file or directory\n"
    return 0, content.decode(errors="replace")


def _ls(call: Call) -> Answer:
    path = call.args[-1] if call.args else "/"
    if path in call.device.files:
        return 0, path + "\n"
    return 1, f"ls: {path}: No such file or directory\n"


def _rm(call: Call) -> Answer:
    for path in call.args:
        call.device.files.pop(path, None)
    return 0, ""


def _logcat(call: Call) -> Answer:
    """`-c` clears, `-d` and `-t COUNT` print what is kept; to follow is adbd's matter."""
    if "-c" in call.args:
        call.device.logcat.clear()
        return 0, ""
    count = call.args[call.args.index("-t") + 1] if "-t" in call.args[:-1] else ""
    return 0, logcat.BEGINNING + call.device.logcat.dump(int(count) if count.isdigit() else None)


def _nothing(_: Call) -> Answer:
    return 0, ""


def _wm(call: Call) -> Answer:
    if call.args[:1] == ["size"]:
        return 0, "Physical size: 1080x2340\n"
    return 0, "Physical density: 420\n"


def _unknown(call: Call, name: str) -> Answer:
    call.device.journal.note(
        "unknown-command", command=" ".join([name, *call.args])[:300], client=call.client
    )
    return 255, f"Error: unknown command '{call.args[0] if call.args else ''}'\n"


COMMANDS: dict[str, Command] = {
    "[": _test,
    "am": _am,
    "cat": _cat,
    "cmd": _cmd,
    "date": lambda _: (0, "2026-01-01T00:00:00+00:00\n"),
    "df": _df,
    "dumpsys": _dumpsys,
    "echo": _echo,
    "export": _nothing,
    "getprop": _getprop,
    "logcat": _logcat,
    "ls": _ls,
    "mkdir": _nothing,
    "pgrep": _pgrep,
    "pidof": _pidof,
    "pm": _pm,
    "ps": _ps,
    "rm": _rm,
    "settings": _settings,
    "wm": _wm,
}
