"""SQS by its JSON protocol, with the credentials that ECS gives a task."""

import datetime
import hashlib
import hmac
import json
import os
import urllib.parse
import urllib.request

REGION = os.environ["AWS_REGION"]


def credentials():
    with urllib.request.urlopen(os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], timeout=10) as answer:
        return json.load(answer)


def signed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def call(action, **parameters):
    body = json.dumps(parameters).encode()
    endpoint = os.environ.get("AWS_ENDPOINT_URL", f"https://sqs.{REGION}.amazonaws.com") + "/"
    given = credentials()
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "host": urllib.parse.urlsplit(endpoint).netloc,
        "x-amz-date": now,
        "x-amz-security-token": given["Token"],
        "x-amz-target": "AmazonSQS." + action,
    }
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join(["POST", "/", "", lines, names, hashlib.sha256(body).hexdigest()])
    scope = f"{now[:8]}/{REGION}/sqs/aws4_request"
    key = ("AWS4" + given["SecretAccessKey"]).encode()
    for part in scope.split("/"):
        key = signed(key, part)
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={given['AccessKeyId']}/{scope}, SignedHeaders={names}, Signature={signed(key, text).hex()}"
    )
    with urllib.request.urlopen(urllib.request.Request(endpoint, body, headers), timeout=30) as answer:
        return json.loads(answer.read() or b"{}")
