"""A service of somebody else's in place of payment-api: what it is sent goes into the queue."""

import http.server
import json
import os
import signal
import sys

import queue_client


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer(200, {"service": os.environ["SERVICE_NAME"], "language": "python"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        sent = queue_client.call("SendMessage", QueueUrl=os.environ["QUEUE_URL"], MessageBody=body)
        self.answer(202, {"message": sent["MessageId"]})

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
address = (os.environ.get("CONTAINER_HOST", ""), int(os.environ["CONTAINER_PORT"]))
print("listening", flush=True)
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
