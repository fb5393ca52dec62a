"""What becomes of an alarm that changes its state, which moto only notes: the topics among its actions are published to, if their policies
let CloudWatch, and the history tells of both, also of an alarm that is gone (CloudWatch API reference, SetAlarmState and
DescribeAlarmHistory; SNS developer guide, "Key management", for topics that are encrypted)."""

import datetime
import fnmatch
import json

from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.kms import kms_backends
from moto.sns import sns_backends

SERVICE = "cloudwatch.amazonaws.com"
KEPT = 10_000  # items of the history; CloudWatch keeps those of 30 days
REGIONS = {"us-east-1": "US East (N. Virginia)"}  # as messages name them


def arrange():
    plain = CloudWatchBackend.set_alarm_state

    def setting(backend, alarm_name, reason, reason_data, state_value):
        alarm = backend.alarms.get(alarm_name)
        before = state(alarm) if alarm else None
        plain(backend, alarm_name, reason, reason_data, state_value)
        if before["stateValue"] != state_value:
            changed(backend, alarm, before)

    CloudWatchBackend.set_alarm_state = setting
    CloudWatchResponse.describe_alarm_history = describe_alarm_history


def state(alarm: Alarm):
    told = {"stateValue": alarm.state_value, "stateReason": alarm.state_reason}
    if alarm.state_reason_data and alarm.state_reason_data != "{}":
        told["stateReasonData"] = json.loads(alarm.state_reason_data)
    return told


def note(backend, alarm, kind, summary, data):
    history = backend.__dict__.setdefault("alarm_history", [])
    history.append({
        "AlarmName": alarm.name, "AlarmType": "CompositeAlarm" if alarm.rule else "MetricAlarm", "Timestamp": now(), "HistoryItemType": kind,
        "HistorySummary": summary, "HistoryData": json.dumps(data, separators=(",", ":")),
    })
    del history[:-KEPT]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def changed(backend, alarm, before):
    after = state(alarm)
    note(
        backend, alarm, "StateUpdate", f"Alarm updated from {before['stateValue']} to {after['stateValue']}",
        {"version": "1.0", "oldState": before, "newState": after},
    )
    actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions, "INSUFFICIENT_DATA": alarm.insufficient_data_actions}[after["stateValue"]]
    for arn in actions or [] if alarm.actions_enabled else []:
        if not arn.startswith("arn:aws:sns:"):
            continue  # policies and instances: nothing runs that they could change
        text = json.dumps(message(backend, alarm, before), separators=(",", ":"))
        told = {"actionState": "Succeeded", "notificationResource": arn, "stateUpdateTimestamp": int(now().timestamp() * 1000), "publishedMessage": text}
        fault = refusal(backend, alarm, arn) or publish(arn, text, alarm)
        if fault:
            told.update(actionState="Failed", error=fault)
        done = f'Failed to execute action {arn}. Received error: "{fault}"' if fault else f"Successfully executed action {arn}"
        note(backend, alarm, "Action", done, told)


def message(backend, alarm, before):
    return {
        "AlarmName": alarm.name, "AlarmDescription": alarm.description, "AWSAccountId": backend.account_id, "AlarmArn": alarm.alarm_arn,
        "AlarmConfigurationUpdatedTimestamp": stamp(alarm.configuration_updated_timestamp), "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason, "StateChangeTime": stamp(alarm.state_updated_timestamp),
        "Region": REGIONS.get(backend.region_name, backend.region_name), "OldStateValue": before["stateValue"], "OKActions": alarm.ok_actions or [],
        "AlarmActions": alarm.alarm_actions or [], "InsufficientDataActions": alarm.insufficient_data_actions or [],
        "Trigger": {
            "MetricName": alarm.metric_name, "Namespace": alarm.namespace, "StatisticType": "Statistic", "Statistic": (alarm.statistic or "").upper(),
            "Dimensions": [{"name": d.name, "value": d.value} for d in alarm.dimensions], "Period": alarm.period,
            "EvaluationPeriods": alarm.evaluation_periods, "ComparisonOperator": alarm.comparison_operator, "Threshold": alarm.threshold,
            "TreatMissingData": alarm.treat_missing_data or "missing",
        },
    }


def stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"


def topic_of(arn):
    _, _, _, region, account, _ = arn.split(":", 5)
    return sns_backends[account][region].topics.get(arn)


def refusal(backend, alarm, arn):
    """Says why CloudWatch may not publish to a topic; nothing where it may."""
    topic = topic_of(arn)
    if topic is None:
        return "Topic does not exist"
    known = {
        "aws:sourcearn": alarm.alarm_arn, "aws:sourceaccount": backend.account_id, "aws:sourceowner": backend.account_id, "aws:securetransport": "true",
    }
    if not allows(topic._policy_json, "sns:Publish", arn, known):
        return f"Resource: {alarm.alarm_arn} is not authorized to perform: SNS:Publish on resource: {arn}"
    if topic.kms_master_key_id:
        keys = kms_backends[topic.account_id][topic.sns_backend.region_name]
        try:
            key = keys.describe_key(topic.kms_master_key_id)
        except (KeyError, AttributeError):
            return "null (Service: AWSKMS; Status Code: 400; Error Code: NotFoundException)"
        policy = json.loads(key.policy)
        if key.key_state != "Enabled" or not all(allows(policy, a, key.arn, known) for a in ("kms:Decrypt", "kms:GenerateDataKey")):
            return "null (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)"
    return None


def publish(arn, text, alarm):
    place = REGIONS.get(alarm.region_name, alarm.region_name)
    try:
        topic_of(arn).publish(text, subject=f'{alarm.state_value}: "{alarm.name}" in {place}'[:100])
    except Exception as fault:
        return f"{type(fault).__name__}: {fault}"
    return None


# Policies of resources, as far as they speak of CloudWatch, which is a service: nothing else grants it anything.


def allows(policy, action, resource, known):
    applying = {s.get("Effect") for s in each(policy.get("Statement")) if applies(s, action, resource, known)}
    return applying == {"Allow"}


def applies(statement, action, resource, known):
    return (
        principal(statement, "Principal", "NotPrincipal")
        and named(statement, "Action", "NotAction", action.lower())
        and named(statement, "Resource", "NotResource", resource.lower())
        and all(holds(operator, key, values, known) for operator, keys in statement.get("Condition", {}).items() for key, values in keys.items())
    )


def principal(statement, name, other):
    def is_it(who):
        return who == "*" or SERVICE in each(who.get("Service")) or "*" in each(who.get("AWS"))

    return is_it(statement[name]) if name in statement else not is_it(statement[other]) if other in statement else True


def named(statement, name, other, value):
    def matches(patterns):
        return any(fnmatch.fnmatchcase(value, p.lower().replace("[", "[[]")) for p in each(patterns))

    return matches(statement[name]) if name in statement else not matches(statement.get(other))


def holds(operator, key, values, known):
    """An operator that is not known here holds for nothing, neither what is allowed nor what is denied."""
    operator, optional = operator.removesuffix("IfExists"), operator.endswith("IfExists")
    value = known.get(key.lower())
    if operator == "Null":
        return (value is None) == (str(each(values)[0]).lower() == "true")
    negative = "Not" in operator
    if value is None:
        return optional or negative
    values = [str(v) for v in each(values)]
    kind = operator.replace("Not", "")
    if kind in ("StringEquals", "Bool"):
        found = value in values if kind == "StringEquals" else value in [v.lower() for v in values]
    elif kind == "StringEqualsIgnoreCase":
        found = value.lower() in [v.lower() for v in values]
    elif kind in ("StringLike", "ArnLike", "ArnEquals"):
        found = any(fnmatch.fnmatchcase(value, v.replace("[", "[[]")) for v in values)
    else:
        return False
    return found != negative


def each(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def describe_alarm_history(response):
    given = response._get_params()
    kinds = given.get("AlarmTypes") or ["MetricAlarm"]
    found = [
        item for item in response.cloudwatch_backend.__dict__.get("alarm_history", [])
        if given.get("AlarmName") in (None, item["AlarmName"])
        and (given.get("AlarmName") or item["AlarmType"] in kinds)
        and given.get("HistoryItemType") in (None, item["HistoryItemType"])
        and (not given.get("StartDate") or item["Timestamp"] >= aware(given["StartDate"]))
        and (not given.get("EndDate") or item["Timestamp"] <= aware(given["EndDate"]))
    ]
    if given.get("ScanBy") != "TimestampAscending":
        found.reverse()
    return ActionResult({"AlarmHistoryItems": found})  # page_lists in emulator.py makes pages


def aware(at):
    at = datetime.datetime.fromisoformat(at) if isinstance(at, str) else at
    return at if at.tzinfo else at.replace(tzinfo=datetime.timezone.utc)
