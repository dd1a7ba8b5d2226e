"""The phone's log, as `adb logcat` reads it."""

from __future__ import annotations

import asyncio

from hack.phone import apk, shell, uiautomator
from hack.phone.device import Device
from hack.phone.journal import Journal

PACKAGE = "org.example.crashing"
SCREENS = {"screens": {"main": [{"class": "Button", "text": "Buy", "id": "buy", "crash": "no basket"}]}}


def device() -> Device:
    device = Device(Journal(None))
    device.install(apk.make({"package": PACKAGE, **SCREENS}), client="pod-1")
    device.start(f"{PACKAGE}/.Main", client="pod-1", stop_first=False)
    return device


def test_install_start_tap_and_crash_are_logged() -> None:
    phone = device()
    session = phone.open_session(client="pod-1").id
    body = {"using": "id", "value": f"{PACKAGE}:id/buy"}
    _, found = uiautomator.answer(phone, "POST", f"/session/{session}/element", body, client="pod-1")
    element = found["value"][uiautomator.ELEMENT]

    uiautomator.answer(phone, "POST", f"/session/{session}/element/{element}/click", {}, client="pod-1")

    _, log = shell.run(phone, "logcat -d -v threadtime", client="pod-1")
    assert "I PackageManager: installation: Success" in log
    assert f":{PACKAGE}/u0a100 for activity" in log
    assert "I App: tap on buy" in log
    assert "E AndroidRuntime: FATAL EXCEPTION: main" in log
    assert "E AndroidRuntime: java.lang.RuntimeException: no basket" in log
    assert PACKAGE not in phone.processes


def test_the_newest_lines_can_be_asked_for_and_all_be_cleared() -> None:
    phone = device()

    _, newest = shell.run(phone, "logcat -t 1", client="pod-1")
    shell.run(phone, "logcat -c", client="pod-1")

    assert newest.count("\n") == 2
    assert shell.run(phone, "logcat -d", client="pod-1")[1] == "--------- beginning of main\n"


def test_who_follows_gets_what_comes() -> None:
    async def follow() -> str:
        phone = device()
        position = phone.logcat.position
        waiting = asyncio.create_task(phone.logcat.after(position))
        await asyncio.sleep(0)
        phone.logcat.write("App", "hello")
        return await asyncio.wait_for(waiting, 10)

    assert asyncio.run(follow()).endswith("I App: hello\n")
