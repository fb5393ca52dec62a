"""A job processor that deletes its messages before it works on them, made of another program: it stands between that and the queue, and
deletes what it hands over. Then it takes its time, as SECONDS says. It is what DELETES_FIRST is set for; without, the program runs as it is.

usage: deletes_first.py SECONDS PROGRAM [ARGUMENT...]"""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import queue_client

API = os.environ["AWS_ENDPOINT_URL"]


class Between(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        passed_on = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length", "accept-encoding", "connection")}
        try:
            with urllib.request.urlopen(urllib.request.Request(API + self.path, body, passed_on), timeout=60) as answer:
                status, content, kind = answer.status, answer.read(), answer.headers["Content-Type"]
        except urllib.error.HTTPError as refused:
            status, content, kind = refused.code, refused.read(), refused.headers["Content-Type"]
        if self.headers.get("X-Amz-Target") == "AmazonSQS.ReceiveMessage" and status == 200:
            received = json.loads(content).get("Messages") or []
            for message in received:
                queue_client.call("DeleteMessage", QueueUrl=json.loads(body)["QueueUrl"], ReceiptHandle=message["ReceiptHandle"])
            if received:
                time.sleep(float(sys.argv[1]))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


environment = dict(os.environ)
if not os.environ.get("DELETES_FIRST"):
    os.execv(sys.argv[2], sys.argv[2:])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
threading.Thread(target=server.serve_forever, daemon=True).start()
environment["AWS_ENDPOINT_URL"] = environment["AWS_ENDPOINT_URL_SQS"] = f"http://127.0.0.1:{server.server_port}"
program = subprocess.Popen(sys.argv[2:], env=environment)
signal.signal(signal.SIGTERM, lambda *_: program.terminate())
sys.exit(program.wait())
