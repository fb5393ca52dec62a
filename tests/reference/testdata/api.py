"""A service of somebody else's in place of payment-api: what it is sent goes into the queue. It takes a while to become ready, and
a while for each request, as its arguments say in seconds."""

import http.server
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import urllib.parse

import queue_client

STARTS, WORKS = (float(argument) for argument in (sys.argv[1:] + ["0", "0"])[:2])
STARTED = time.monotonic()
ill_until = 0.0


def watch_database():
    """A connection that the database closes counts as no database for a while, as with health that is looked at now and then."""
    global ill_until
    url = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    while True:
        try:
            with socket.create_connection((url.hostname, url.port or 5432), timeout=10) as connection:
                connection.sendall(struct.pack("!ii", 8, 80877103))  # SSLRequest
                lost = connection.recv(1) != b"S"
                connection.settimeout(30)  # the server waits for a minute
                lost = lost or connection.recv(1) == b""
        except TimeoutError:
            lost = False
        except OSError:
            lost = True
        if lost:
            ill_until = time.monotonic() + 3
        time.sleep(0.1)


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
        if self.path == "/":
            self.answer(404, {"error": "nothing is here"})
        elif time.monotonic() - STARTED < STARTS:
            self.answer(503, {"error": "not ready"})
        elif self.path == "/health" and time.monotonic() < ill_until:
            self.answer(503, {"error": "no database"})
        else:
            if self.path.startswith("/api/"):
                time.sleep(WORKS)
            self.answer(200, {"service": os.environ["SERVICE_NAME"], "language": "python"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        sent = queue_client.call("SendMessage", QueueUrl=os.environ["QUEUE_URL"], MessageBody=body)
        self.answer(202, {"message": sent["MessageId"]})

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
address = (os.environ.get("CONTAINER_HOST", ""), int(os.environ["CONTAINER_PORT"]))
if os.environ.get("HEALTH_ASKS") == "database":
    threading.Thread(target=watch_database, daemon=True).start()
print("listening", flush=True)
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
