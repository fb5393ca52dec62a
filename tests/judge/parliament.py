"""Has parliament read policy documents: a list of {"name", "document"} on standard input, one finding a line on standard output."""

import json
import sys

from parliament import analyze_policy_string

for policy in json.load(sys.stdin):
    for found in analyze_policy_string(policy["document"], ignore_private_auditors=True).findings:
        print(json.dumps({"rule": found.issue, "resource": policy["name"], "message": str(found.detail)}))
