"""python -m phone serve | apps | make"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from pathlib import Path

from . import apk, apps, faults
from .adbd import Adbd
from .control import Control
from .device import Device
from .faults import Fault
from .journal import Journal


async def serve(args: argparse.Namespace) -> None:
    """Runs the phone until SIGTERM or SIGINT."""
    journal = Journal(sys.stdout, verbose=args.verbose)
    device = Device(
        journal,
        serial=args.serial,
        boot_seconds=args.boot_seconds,
        install_seconds=args.install_seconds,
    )
    adbd = Adbd(device, args.host, args.port)
    control = Control(device, args.host, args.control_port)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def listen_when_started() -> None:
        await asyncio.sleep(device.listens_at - time.monotonic())
        await adbd.listen()

    def on_fault(fault: Fault) -> None:
        if fault.kind in ("vanish", "boot", "unauthorized", "reboot"):
            adbd.vanish()
        if fault.kind == "reboot":
            loop.call_later(float(fault.detail or 1), device.set_fault, Fault())
        elif fault.kind != "vanish":
            task = loop.create_task(listen_when_started())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    device.on_fault = on_fault
    await adbd.listen()
    await control.listen()
    journal.note("boot", serial=args.serial, port=adbd.port, control_port=control.port)
    if args.fault:
        device.set_fault(faults.parse(args.fault))
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    adbd.vanish()


def main() -> int:
    parser = argparse.ArgumentParser(prog="phone", description="A simulated Android phone, and apps for it.")
    commands = parser.add_subparsers(dest="command", required=True)
    phone = commands.add_parser("serve", help="be a phone that adb connects to")
    phone.add_argument("--host", default="0.0.0.0")
    phone.add_argument("--port", type=int, default=5555, help="of adb; 0 takes a free one")
    phone.add_argument("--control-port", type=int, default=8080, help="GET /log, GET /state, POST /fault")
    phone.add_argument("--serial", default="sim0001", help="what ro.serialno says")
    phone.add_argument("--boot-seconds", type=float, default=0, help="until sys.boot_completed is 1")
    phone.add_argument("--install-seconds", type=float, default=0, help="that it takes to install an app")
    phone.add_argument("--fault", default="", help="a fault to begin with")
    phone.add_argument("--verbose", action="store_true", help="write every shell and WebDriver command, too")
    store = commands.add_parser("apps", help="serve /apps/VERSION.apk")
    store.add_argument("--host", default="0.0.0.0")
    store.add_argument("--port", type=int, default=8000)
    make = commands.add_parser("make", help="make an APK from a JSON description of an app")
    make.add_argument("description", type=Path)
    make.add_argument("apk", type=Path)
    args = parser.parse_args()
    if args.command == "serve":
        try:
            asyncio.run(serve(args))
        except (faults.UnknownFaultError, OSError) as e:
            parser.exit(1, f"phone: {e}\n")
    elif args.command == "apps":
        with contextlib.suppress(KeyboardInterrupt):
            apps.server(args.host, args.port).serve_forever()
    else:
        args.apk.write_bytes(apk.make_from_file(args.description))
    return 0


if __name__ == "__main__":
    sys.exit(main())
