"""SQS as thousands of messages need it."""

import select
import socket
import threading
import time

from moto.sqs import models
from moto.sqs.exceptions import ReceiptHandleIsInvalid, SQSException
from moto.sqs.models import Queue, SQSBackend

# caller has the connection of the request that a thread answers.
caller = threading.local()

# LOOK is the time between two looks, in seconds, whether who waits for a message is still there.
LOOK = 0.2


class CallerGone(SQSException):
    """Answers nobody."""

    code = "RequestAborted"

    def __init__(self):
        super().__init__("The caller is gone.")


def arrange():
    tell_time_quickly()
    keep_what_is_sent_meanwhile()
    hand_nothing_to_who_is_gone()
    compute_attributes_once()


def tell_time_quickly():
    """For each message and call, moto goes from the clock to a date and back."""
    models.unix_time = time.time
    models.unix_time_millis = lambda: time.time() * 1000


def keep_what_is_sent_meanwhile():
    """Up to 5.2.5, a deletion from a moto queue undoes what is sent, received or deleted meanwhile: messages are lost, or come back.
    Who waits for a message waits without the lock."""

    def deleting(queue, receipt_handle):
        with queue._messages_lock:
            if receipt_handle in queue.deleted_messages:
                return
            for place, message in enumerate(queue._messages):
                if receipt_handle == message.receipt_handle or receipt_handle in message._old_receipt_handles:
                    queue._messages = queue._messages[:place] + queue._messages[place + 1 :]  # others go through the old list
                    queue.pending_messages.discard(message)
                    queue.deleted_messages.update(message.all_receipt_handles)
                    return
        raise ReceiptHandleIsInvalid()

    plain = SQSBackend.receive_message

    def receiving(backend, queue_name, *rest, **named):
        with backend.get_queue(queue_name)._messages_lock:
            return plain(backend, queue_name, *rest, **named)

    Queue.delete_message = deleting
    SQSBackend.receive_message = receiving


def hand_nothing_to_who_is_gone():
    """Up to 5.2.5, moto hands a message to whoever has waited for one, though the connection is closed: a worker that was stopped takes
    it along, until it becomes visible again."""

    def waiting(queue, timeout):
        end = time.monotonic() + timeout
        while not queue.messages and time.monotonic() < end:
            queue._messages_lock.wait(LOOK)
            if gone(getattr(caller, "connection", None)):
                raise CallerGone()

    Queue.wait_for_messages = waiting


def gone(connection):
    """Whether the other end of a connection has closed it."""
    if connection is None or not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def compute_attributes_once():
    """For each message that is received, and for each attribute, moto counts all messages of the queue."""
    plain = SQSBackend.get_queue_attributes

    def getting(backend, queue_name, attribute_names):
        if "All" in attribute_names:
            return plain(backend, queue_name, attribute_names)
        told = plain(backend, queue_name, ["All"])
        others = [name for name in attribute_names if name not in told]
        if others:
            plain(backend, queue_name, others)  # refuses what is no attribute
        return {name: told[name] for name in attribute_names if told.get(name) is not None}

    def valid(backend, queue_name, message):
        return backend.get_queue(queue_name).message_retention_period + message.sent_timestamp / 1000 > time.time()

    SQSBackend.get_queue_attributes = getting
    SQSBackend.is_message_valid_based_on_retention_period = valid
