"""A service of somebody else's in place of job-processor: it works the queue off and tells the ids."""

import http.server
import os
import signal
import threading

import queue_client


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())  # what is being received is worked off first
address = (os.environ.get("CONTAINER_HOST", ""), int(os.environ["CONTAINER_PORT"]))
threading.Thread(target=http.server.ThreadingHTTPServer(address, Health).serve_forever, daemon=True).start()
queue = os.environ["QUEUE_URL"]
while not stopping.is_set():
    received = queue_client.call("ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
    for message in received.get("Messages", []):
        queue_client.call("DeleteMessage", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        print("worked off message", message["MessageId"], flush=True)
