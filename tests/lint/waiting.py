"""Evaluates what docs/waiting.md gives to Argo CD and Flux over an account in each state: both end where kubectl wait does.

Argo CD runs the check in Lua 5.1, Flux its expressions in CEL, in the order in which they stand below (its RFC 0009).
"""

import re
import sys
from pathlib import Path

import celpy
import yaml
from lupa.lua51 import LuaRuntime

PAGE = (Path(__file__).resolve().parents[2] / "docs/waiting.md").read_text()

# The generation of the spec, that of the status, status and reason of Ready; what Argo CD and Flux make of it.
STATES = [
    (1, -1, "Unknown", "Pending", "Progressing", "InProgress"),
    (1, 1, "Unknown", "Pending", "Progressing", "InProgress"),
    (1, 1, "False", "SecretNotFound", "Progressing", "InProgress"),
    (1, 1, "True", "Collected", "Healthy", "Current"),
    (2, 2, "True", "Suspended", "Healthy", "Current"),
    (2, 1, "True", "Collected", "Progressing", "InProgress"),
    (2, 1, "False", "LoginRejected", "Progressing", "InProgress"),
    (1, 1, "False", "LoginRejected", "Degraded", "Failed"),
    (1, 1, "False", "EndpointRefused", "Degraded", "Failed"),
    # It may heal by itself, so Flux waits for its timeout.
    (1, 1, "False", "CloudUnreachable", "Degraded", "InProgress"),
]


def blocks():
    """What the YAML blocks of the page say."""
    return [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]


def argo(script, account):
    """The health that Argo CD finds, and its message."""
    lua = LuaRuntime()
    lua.globals().obj = lua.table_from(account, recursive=True)
    health = lua.execute(script)
    return health["status"], health["message"]


def flux(expressions, account):
    """The status that Flux finds."""
    environment = celpy.Environment()
    for name, status in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        program = environment.program(environment.compile(expressions[name]))
        if program.evaluate(celpy.json_to_cel(account)):
            return status
    return "InProgress"


def main():
    (script,) = [value for block in blocks() for value in block.get("data", {}).values()]
    (expressions,) = [check for block in blocks() for check in block.get("spec", {}).get("healthCheckExprs", [])]
    for generation, observed, status, reason, healthy, current in STATES:
        ready = {"type": "Ready", "status": status, "reason": reason, "message": f"It says {reason}."}
        other = {"type": "Collecting", "status": "True", "reason": "Collected", "message": ""}
        account = {
            "metadata": {"generation": generation},
            "status": {"observedGeneration": observed, "conditions": [other, ready]},
        }
        found = argo(script, account), flux(expressions, account)
        message = ready["message"] if generation == observed else "Waiting for the operator"
        if found != ((healthy, message), current):
            sys.exit(f"docs/waiting.md: {reason}, generation {generation}, observed {observed}: {found}")
    print(f"Argo CD and Flux end as they should in {len(STATES)} states of an account")


main()
