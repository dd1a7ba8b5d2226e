"""Reading and writing packet filter rules as iptables-save and iptables-restore do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Rules = dict[str, list[str]]  # table → its lines between `*table` and COMMIT


def parse_save(text: str) -> Rules:
    """Read the output of iptables-save."""
    tables: Rules = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("*"):
            current = tables.setdefault(line[1:].strip(), [])
        elif line.startswith((":", "-")):
            current.append(line)
    return tables


def chains_of(lines: Sequence[str]) -> list[str]:
    """Return the names of a table's chains."""
    return [line[1:].split()[0] for line in lines if line.startswith(":")]


def removal(saved: str, prefixes: tuple[str, ...]) -> str:
    """Return what iptables-restore --noflush needs to remove all chains that begin so, and all jumps to them.

    Nothing else is touched: other rules and policies stay. Empty when there is nothing to remove.
    """
    output = []
    for table, lines in parse_save(saved).items():
        ours = [chain for chain in chains_of(lines) if chain.startswith(prefixes)]
        jumps = [
            line.replace("-A", "-D", 1)
            for line in lines
            if line.startswith("-A") and _target(line) in ours and line.split()[1] not in ours
        ]
        if ours:
            output += [f"*{table}", *jumps]
            output += [f"-F {chain}" for chain in ours] + [f"-X {chain}" for chain in ours]
            output.append("COMMIT")
    return "\n".join(output) + "\n" if output else ""


def addition(wanted: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Return what iptables-restore --noflush needs to create chains and to call them first.

    `wanted` is table → "BUILTIN OWN" → rules of the chain OWN, which the chain BUILTIN is to jump to.
    """
    output = []
    for table, chains in wanted.items():
        output.append(f"*{table}")
        output += [f":{own} - [0:0]" for own in _own_names(chains)]
        for names, rules in chains.items():
            builtin, own = names.split()
            output += [f"-A {own} {rule}" for rule in rules]
            output.append(f"-I {builtin} 1 -j {own}")
        output.append("COMMIT")
    return "\n".join(output) + "\n"


def holds(saved: str, wanted: Mapping[str, Mapping[str, Sequence[str]]]) -> bool:
    """Tell whether everything that addition(wanted) would create is there."""
    tables = parse_save(saved)
    for table, chains in wanted.items():
        lines = set(tables.get(table, ()))
        for names, rules in chains.items():
            builtin, own = names.split()
            expected = {f"-A {builtin} -j {own}", *(f"-A {own} {rule}" for rule in rules)}
            if not expected <= lines:
                return False
    return True


def _own_names(chains: Mapping[str, Sequence[str]]) -> list[str]:
    return [names.split()[1] for names in chains]


def _target(rule: str) -> str | None:
    words = rule.split()
    for flag in ("-j", "-g"):
        if flag in words[:-1]:
            return words[words.index(flag) + 1]
    return None
