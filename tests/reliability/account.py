"""The project's emulator, which also tells all that is in the account: GET /account answers with what every backend of moto
holds, by kind. It reads moto's own memory, so that it neither depends on what this project knows of a kind nor changes anything.
POST /foreign?from=0&to=100 makes what others have in an account.

Arguments: the emulator's script, and that script's own.
"""

import enum
import json
import os
import sys
import urllib.parse
from collections.abc import Mapping

CONTAINERS = (Mapping, list, set)

# What a deletion leaves to be seen for a while, on AWS as in moto.
GONE = {"deleted", "inactive", "pendingdeletion", "pending_deletion", "terminated", "released"}
# Not resources: records of calls, tags by ARN, and what moto looks up.
# Nor the network ACL of a VPC that is deleted: moto keeps it, AWS does not.
NOT_HELD = {
    "tags", "tagger", "_resource_tags", "network_acls", "amis", "snapshots", "opt_out_numbers", "alarm_history", "fargate_tokens", "made_interfaces",
}
NO_KINDS = {"rds.events", "rds.resource_map", "resourcegroupstaggingapi._pages"}
# AWS's own: default parameter groups, and snapshots that go when their cluster does.
AWS_OWN = ("default.", "rds:")
# Resources that moto keeps within others.
WITHIN = ("rules", "listeners", "aliases", "policies")


def gone(thing):
    for name in ("status", "state", "key_state", "_status"):
        value = getattr(thing, name, None)
        value = value.value if isinstance(value, enum.Enum) else value
        if isinstance(value, str) and value.lower() in GONE:
            return True
    return getattr(thing, "deleted_date", None) is not None or getattr(thing, "key_manager", None) == "AWS"


def name_of(thing):
    return next((v for n in ("id", "arn", "name") if isinstance(v := getattr(thing, n, None), str)), str(thing))


def names(value, depth=0):
    """The keys of all that a container holds, those of containers within it too."""
    pairs = value.items() if isinstance(value, Mapping) else [(name_of(v), v) for v in value]
    for key, inner in list(pairs):
        if gone(inner):
            continue
        if not isinstance(inner, CONTAINERS):
            yield str(key)
            held = [getattr(inner, name, None) for name in WITHIN]
        else:
            held = [inner]
        for within in held:
            if isinstance(within, CONTAINERS) and depth < 4:
                for name in names(within, depth + 1):
                    yield f"{key} {name}"


def account():
    from moto.backends import get_backend
    from moto.core.base_backend import BackendDict

    for service in "ec2", "events":  # what every account has is made when they are first asked
        get_backend(service)["123456789012"]["us-east-1"]
    held = {}
    for module in [m for name, m in list(sys.modules.items()) if name.startswith("moto.") and name.endswith(".models")]:
        for found in [v for v in vars(module).values() if isinstance(v, BackendDict)]:
            for regions in list(found.values()):
                for backend in list(regions.values()):
                    for attribute, value in list(vars(backend).items()):
                        if isinstance(value, CONTAINERS) and attribute not in NOT_HELD:
                            kind = f"{found.service_name}.{attribute}"
                            if kind not in NO_KINDS:
                                own = {name for name in names(value) if not name.startswith(AWS_OWN)}
                                held[kind] = sorted({*held.get(kind, ()), *own})
    return held


def main():
    script = sys.argv.pop(1)
    sys.path.insert(0, os.path.dirname(script))
    emulator = {"__name__": "emulator", "__file__": script}
    with open(script, encoding="utf-8") as source:
        exec(compile(source.read(), script, "exec"), emulator)
    plain = emulator["application"]
    sys.path.insert(0, os.path.dirname(__file__))
    import foreign

    others = []

    def make_foreign(query):
        others.extend([] if others else [foreign.Others()])
        asked = urllib.parse.parse_qs(query)
        others[0].make(int(asked["from"][0]), int(asked["to"][0]))

    def application(*arguments):
        served = plain(*arguments)

        def serve(environ, start_response):
            path = environ.get("PATH_INFO")
            if path == "/foreign":
                make_foreign(environ["QUERY_STRING"])
            elif path != "/account":
                return served(environ, start_response)
            body = json.dumps({} if path == "/foreign" else account()).encode()
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]

        return serve

    emulator["application"] = application
    emulator["main"]()


if __name__ == "__main__":
    main()
