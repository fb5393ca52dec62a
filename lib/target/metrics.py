"""Metrics as CloudWatch keeps them. A metric is its namespace, its name and exactly its dimensions; moto mixes those that have more. Values
keep their number, so that percentiles are told. While a data plane is attached, the queues are measured and the alarms are evaluated, as
many times faster than on AWS as the data plane goes: an alarm's minute is one of its periods of measuring.
"""

import collections
import datetime
import json
import threading
import time
import traceback

from moto.cloudwatch import cloudwatch_backends
from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import CloudWatchBackend, MetricDatum
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.logs.models import LogsBackend
from moto.sqs import sqs_backends
from moto.sqs.models import Queue, SQSBackend

from alarms import aware
from evaluation import COMPARISONS, Point, judge, statistic, together

KEPT = 1800  # points of each metric: those of three hours, which is how long CloudWatch keeps what is finer than a minute, at ten a minute
MINUTE = 60


def arrange():
    CloudWatchBackend.put_metric_data = put
    CloudWatchBackend.get_all_metrics = every_metric
    CloudWatchBackend.get_metric_data = get_data
    CloudWatchResponse.get_metric_statistics = get_statistics
    LogsBackend.put_log_events = extracting(LogsBackend.put_log_events)
    SQSBackend.send_message = counting(SQSBackend.send_message, lambda message: {"sent": 1, "bytes": [len(message.body)]})
    SQSBackend.receive_message = counting(SQSBackend.receive_message, lambda messages: {"received": len(messages), "empty": 0 if messages else 1})
    SQSBackend.delete_message = counting(SQSBackend.delete_message, lambda _: {"deleted": 1})
    Queue.add_message = entering(Queue.add_message)


def series(backend):
    return backend.__dict__.setdefault("series", {})


def key(namespace, name, dimensions):
    return namespace, name, frozenset((d["Name"], d["Value"]) for d in dimensions)


def put(backend, namespace, metric_data):
    for i, given in enumerate(metric_data):
        backend._validate_parameters_put_metric_data(given, i + 1)
    for given in metric_data:
        at = aware(given["Timestamp"]).timestamp() if given.get("Timestamp") else time.time()
        if given.get("StatisticValues"):
            its = {k: float(v) for k, v in given["StatisticValues"].items()}
            point = Point(at, None, its["Minimum"], its["Maximum"], its["Sum"], its["SampleCount"], given.get("Unit"))
        else:
            numbers = [float(v) for v in given.get("Values") or [given.get("Value", 0)]]
            counts = [float(c) for c in given.get("Counts") or [1] * len(numbers)]
            values = collections.Counter()
            for number, count in zip(numbers, counts, strict=True):
                values[number] += count
            total = sum(v * c for v, c in values.items())
            point = Point(at, values, min(values), max(values), total, sum(values.values()), given.get("Unit"))
        metric = key(namespace, given["MetricName"], given.get("Dimensions") or ())
        series(backend).setdefault(metric, collections.deque(maxlen=KEPT)).append(point)


def every_metric(backend):
    """Each metric once, for ListMetrics."""
    return [
        MetricDatum(namespace, name, 0, [{"Name": n, "Value": v} for n, v in sorted(dimensions)], None)
        for namespace, name, dimensions in list(series(backend))
    ]


def datapoints(backend, metric, stat, period, start, end, unit=None):
    """Values by the beginning of their period, which are whole since 1970."""
    found = collections.defaultdict(list)
    for point in list(series(backend).get(metric, ())):
        if start <= point.at < end and unit in (None, point.unit):
            found[point.at // period * period].append(point)
    told = {at: statistic(points, stat) for at, points in sorted(found.items())}
    return {at: value for at, value in told.items() if value is not None}


def moment(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def get_statistics(response):
    given = response._get_params()
    plain, extended = given.get("Statistics") or [], given.get("ExtendedStatistics") or []
    if not plain and not extended:
        raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    start, end, period = aware(given["StartTime"]).timestamp(), aware(given["EndTime"]).timestamp(), int(given["Period"])
    if start >= end:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    metric = key(given["Namespace"], given["MetricName"], given.get("Dimensions") or ())
    found = collections.defaultdict(dict)
    for stat in [*plain, *extended]:
        for at, value in datapoints(response.cloudwatch_backend, metric, stat, period, start, end, given.get("Unit")).items():
            found[at].update({stat: value} if stat in plain else {"ExtendedStatistics": {**found[at].get("ExtendedStatistics", {}), stat: value}})
    units = {p.unit for p in series(response.cloudwatch_backend).get(metric, ())}
    unit = (units.pop() if len(units) == 1 else None) or "None"
    return ActionResult({"Label": given["MetricName"], "Datapoints": [{"Timestamp": moment(at), "Unit": unit, **told} for at, told in sorted(found.items())]})


def get_data(backend, queries, start_time, end_time, scan_by="TimestampAscending"):
    start, end = aware(start_time).timestamp(), aware(end_time).timestamp()
    if start >= end:
        raise ValidationError("The parameter EndTime must be greater than StartTime.")
    found = {}
    for q in sorted(queries, key=lambda q: "MetricStat" not in q):
        if "MetricStat" in q:
            its = q["MetricStat"]
            metric = key(its["Metric"]["Namespace"], its["Metric"]["MetricName"], its["Metric"].get("Dimensions") or ())
            found[q["Id"]] = datapoints(backend, metric, its["Stat"], int(its["Period"]), start, end, its.get("Unit"))
        else:
            try:
                found[q["Id"]] = together(q["Expression"], found)
            except ValueError as fault:
                raise ValidationError(str(fault)) from None
    results = []
    for q in queries:
        if q.get("ReturnData") in (None, True, "true"):
            label = q.get("Label") or (q["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in q else q["Id"])
            told = sorted(found[q["Id"]].items(), reverse=scan_by != "TimestampAscending")
            results.append({
                "id": q["Id"], "label": label, "values": [v for _, v in told], "timestamps": [moment(at) for at, _ in told], "status_code": "Complete",
            })
    return results


# The embedded metric format (CloudWatch user guide, "Specification: Embedded metric format"): what is not as specified yields no metric.


def extracting(plain):
    def putting(backend, log_group_name, log_stream_name, log_events):
        answer = plain(backend, log_group_name, log_stream_name, log_events)
        for event in log_events:
            if '"_aws"' in event["message"]:
                try:
                    extract(cloudwatch_backends[backend.account_id][backend.region_name], json.loads(event["message"]))
                except (ValueError, LookupError, TypeError, AttributeError, InvalidParameterValue):
                    pass
        return answer

    return putting


def extract(backend, document):
    at = moment(document["_aws"]["Timestamp"] / 1000)
    for directive in document["_aws"]["CloudWatchMetrics"]:
        if directive["Namespace"].startswith("AWS/"):
            raise ValueError("reserved for AWS")
        data = []
        for names in directive["Dimensions"]:
            dimensions = [{"Name": name, "Value": document[name]} for name in names]
            if len(names) > 30 or not all(isinstance(d["Value"], str) for d in dimensions):
                raise ValueError("dimensions are at most 30 strings")
            for metric in directive["Metrics"]:
                value = document[metric["Name"]]
                values = value if isinstance(value, list) else [value]
                if not 0 < len(values) <= 100 or not all(type(v) in (int, float) for v in values):
                    raise ValueError("values are at most 100 numbers")
                data.append({"MetricName": metric["Name"], "Dimensions": dimensions, "Timestamp": at, "Values": values, "Unit": metric.get("Unit")})
        backend.put_metric_data(directive["Namespace"], data)


# Queues (SQS developer guide, "Available CloudWatch metrics for Amazon SQS").


def counting(plain, count):
    def doing(backend, queue, *rest, **named):
        answer = plain(backend, queue, *rest, **named)
        name = queue if isinstance(queue, str) else queue.name
        if name in backend.queues:
            counts = backend.queues[name].__dict__.setdefault("counts", collections.defaultdict(int, bytes=[]))
            for what, n in count(answer).items():
                counts[what] += n
        return answer

    return doing


def entering(plain):
    def adding(queue, message):
        message.entered = time.time()
        return plain(queue, message)

    return adding


def measure(queue, cloudwatch, now):
    def add(name, unit, **value):
        data.append({"MetricName": name, "Unit": unit, "Timestamp": now, "Dimensions": [{"Name": "QueueName", "Value": queue.name}], **value})

    data = []
    counts = queue.__dict__.pop("counts", collections.defaultdict(int, bytes=[]))
    messages = list(queue._messages)
    for name, value in (
        ("ApproximateNumberOfMessagesVisible", queue.approximate_number_of_messages), ("NumberOfMessagesSent", counts["sent"]),
        ("NumberOfMessagesReceived", counts["received"]), ("NumberOfMessagesDeleted", counts["deleted"]), ("NumberOfEmptyReceives", counts["empty"]),
    ):
        add(name, "Count", Value=value)
    if in_flight := sum(not m.visible for m in messages):
        add("ApproximateNumberOfMessagesNotVisible", "Count", Value=in_flight)
    if delayed := sum(m.delayed for m in messages):
        add("ApproximateNumberOfMessagesDelayed", "Count", Value=delayed)
    # A message that was received more than three times is not the oldest; in a dead-letter queue a message is as old as its stay.
    if ages := [time.time() - m.entered for m in messages if m.approximate_receive_count <= 3 or not getattr(queue, "redrive_policy", None)]:
        add("ApproximateAgeOfOldestMessage", "Seconds", Value=max(ages))
    if counts["bytes"]:
        add("SentMessageSize", "Bytes", Values=counts["bytes"])
    cloudwatch.put_metric_data("AWS/SQS", data)


# Alarms.

MORE = 2  # periods that are looked at beside those that an alarm has, where data is missing


def watch(speed):
    """Measures and evaluates again and again while a data plane is attached; speed tells how many times faster than on AWS it goes."""

    def watching():
        while True:
            fast = speed()
            time.sleep(MINUTE / fast if fast else 1)
            if fast:
                try:
                    tick(fast)
                except Exception:  # something was made or deleted meanwhile
                    traceback.print_exc()

    threading.Thread(target=watching, daemon=True).start()


def tick(speed):
    now = moment(time.time())
    for account, regions in list(cloudwatch_backends.items()):
        for region, backend in list(regions.items()):
            for queue in list(sqs_backends[account][region].queues.values()):
                measure(queue, backend, now)
            for alarm in list(backend.alarms.values()):
                # Those of target tracking policies have thresholds that moto made up.
                if alarm.comparison_operator in COMPARISONS and not alarm.name.startswith("TargetTracking-"):
                    try:
                        evaluate(backend, alarm, now.timestamp(), speed)
                    except ValueError:
                        pass  # metric math that is not computed here: its state stays


def evaluate(backend, alarm, now, speed):
    periods = alarm.evaluation_periods
    found, period = values_of(backend, alarm, now, speed)
    recent = found[-periods:]
    state, missing = judge([breaches(alarm, value) for _, value in recent], periods, alarm.datapoints_to_alarm or periods, alarm.treat_missing_data, (
        bool(recent) and now - recent[0][0] >= (alarm.datapoints_to_alarm or periods) * period / speed
    ))
    if state in (None, alarm.state_value):
        return
    data = {
        "version": "1.0", "queryDate": moment(now).strftime("%Y-%m-%dT%H:%M:%S.000+0000"), "statistic": alarm.extended_statistic or alarm.statistic,
        "period": period, "recentDatapoints": [value for _, value in recent], "threshold": alarm.threshold,
    }
    backend.set_alarm_state(alarm.name, reason(alarm, state, recent, missing), json.dumps({k: v for k, v in data.items() if v is not None}), state)


def values_of(backend, alarm, now, speed):
    """The values of an alarm in the periods that are over, the oldest first, and how long its period is."""
    stats = [q.metric_stat for q in alarm.metric_data_queries if q.metric_stat]
    period = int(alarm.period or max((int(s.period) for s in stats), default=MINUTE))
    end = now // (period / speed) * (period / speed)
    start = end - (int(alarm.evaluation_periods) + MORE) * period / speed

    def read(namespace, name, dimensions, stat, unit):
        metric = namespace, name, frozenset((d.name, d.value) for d in dimensions)
        return datapoints(backend, metric, stat, period / speed, start, end, unit)

    if not alarm.metric_data_queries:
        stat = alarm.extended_statistic or alarm.statistic
        return list(read(alarm.namespace, alarm.metric_name, alarm.dimensions, stat, alarm.unit).items()), period
    found, result = {}, None
    for q in sorted(alarm.metric_data_queries, key=lambda q: q.metric_stat is None):
        s = q.metric_stat
        found[q.id] = read(s.metric.namespace, s.metric.metric_name, s.metric.dimensions, s.stat, s.unit) if s else together(q.expression, found)
        if q.return_data in (None, True, "true"):
            result = q.id
    return list(found.get(result, {}).items()), period


def breaches(alarm, value):
    return COMPARISONS[alarm.comparison_operator][0](value, alarm.threshold)


def reason(alarm, state, recent, missing):
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {counted(missing, 'datapoint was', 'datapoints were')} unknown."
    treated = f"{counted(missing, 'missing datapoint was', 'missing datapoints were')} treated as [{'Breaching' if state == 'ALARM' else 'NonBreaching'}]"
    if not recent:
        return f"Threshold Crossed: no datapoints were received for {counted(missing, 'period', 'periods')} and {treated}."
    telling = [(at, value) for at, value in reversed(recent) if breaches(alarm, value) == (state == "ALARM")]
    told = ", ".join(f"{value} ({moment(at).strftime('%d/%m/%y %H:%M:%S')})" for at, value in telling)
    enough = alarm.datapoints_to_alarm or alarm.evaluation_periods
    least = enough if state == "ALARM" else alarm.evaluation_periods - enough + 1
    return (
        f"Threshold Crossed: {len(telling)} out of the last {alarm.evaluation_periods} datapoints [{told}] "
        f"{'was' if len(telling) == 1 else 'were'} {'' if state == 'ALARM' else 'not '}{COMPARISONS[alarm.comparison_operator][1]} the threshold ({alarm.threshold}) "
        f"(minimum {counted(least, 'datapoint', 'datapoints')} for {alarm.state_value} -> {state} transition)."
    )


def counted(n, one, many):
    return f"{n} {one if n == 1 else many}"
