"""ECS services and Fargate tasks as AWS tells of them, which moto does not: the settings of a service, its deployments, and tasks
that exist. Nothing here runs a task: a data plane does that, when one is attached (door.py), and reports.

Where no data plane is attached a deployment is complete as soon as it begins, and ListTasks tells that no task of a service runs.
"""

import copy
import json
import random
import threading
import time
import uuid

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ec2 import ec2_backends
from moto.ecs import ecs_backends
from moto.ecs.exceptions import (
    ClusterNotFoundException,
    EcsClientException,
    ECSException,
    InvalidParameterException,
    ServiceNotFoundException,
    TaskDefinitionNotFoundException,
)
from moto.ecs.models import EC2ContainerServiceBackend, Service
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.utilities.utils import get_partition

import interfaces
import planes

PLATFORM = "1.4.0"  # what LATEST stands for on Linux
LOCK = threading.RLock()  # of everything that more than one request may change at once

# What a service keeps of a request, as it is given, and what AWS takes where it is not.
SETTINGS = {
    "deploymentConfiguration": None,
    "availabilityZoneRebalancing": None,
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "healthCheckGracePeriodSeconds": None,
    "placementConstraints": [],
    "placementStrategy": [],
    "capacityProviderStrategy": None,
}
# What begins a deployment when it is changed; anything else of a service does not (API reference of UpdateService).
DEPLOYED = ("task_definition", "network_configuration", "platform_version", "load_balancers", "service_registries", "enable_execute_command")


def arrange():
    """Puts all of this into moto."""
    response = EC2ContainerServiceResponse
    for operation in (create_service, update_service, run_task, stop_task, list_tasks, describe_tasks, describe_clusters):
        setattr(response, operation.__name__, locked(operation, getattr(response, operation.__name__)))
    backend = EC2ContainerServiceBackend
    for operation in (delete_service, delete_cluster, list_services, describe_services):
        setattr(backend, operation.__name__, locked(operation, getattr(backend, operation.__name__)))
    backend._get_resource = locked(get_resource, backend._get_resource)


def locked(operation, plain):
    def doing(*arguments, **named):
        with LOCK:
            return operation(plain, *arguments, **named)

    return doing


def is_run(cluster_arn):
    """Says whether a data plane runs what is in a cluster."""
    return planes.runs("cluster", cluster_arn.rsplit("/", 1)[-1])


def tasks_of(backend):
    """Tasks by ARN."""
    return backend.__dict__.setdefault("fargate_tasks", {})


def backend_of(arn):
    _, _, _, region, account, _ = arn.split(":", 5)
    return ecs_backends[account][region]


def identifier():
    return uuid.uuid4().hex


def tags_of(*lists):
    """Tags of all lists, of which a later one wins."""
    return [{"key": k, "value": v} for k, v in {t["key"]: t.get("value", "") for tags in lists for t in tags or []}.items()]


# Services.


def create_service(plain, response):
    backend, given = response.ecs_backend, copy.deepcopy(response._get_params())
    cluster = backend._get_cluster(given.get("cluster") or "default")
    name = given.get("serviceName")
    before = backend.services.get(f"{cluster.name}:{name}")
    if before is not None and before.status == "DRAINING":
        raise InvalidParameterException("Unable to Start a service that is still Draining.")
    if before is not None and before.status == "ACTIVE":
        if getattr(before, "given", None) == given:
            return ActionResult({"service": before})
        raise InvalidParameterException("Creation of service was not idempotent.")
    refuse_settings(given)
    answer = plain(response)
    service = answer.result["service"]
    service.given = given
    for setting, default in SETTINGS.items():
        value = given.get(setting)
        setattr(service, camelcase_to_underscores(setting), copy.deepcopy(default) if value is None else value)
    service.deployment_configuration = deployment_configuration({}, given.get("deploymentConfiguration"))
    usual = "ENABLED" if rebalances(service.deployment_configuration, given) else "DISABLED"
    service.availability_zone_rebalancing = service.availability_zone_rebalancing or usual
    if service.load_balancers and service.health_check_grace_period_seconds is None:
        service.health_check_grace_period_seconds = 0
    if service.launch_type == "FARGATE":
        service.platform_version, service.platform_family = given.get("platformVersion") or "LATEST", "Linux"
    complete_network(service)
    service.created_at = time.time()
    service.role_arn = service.role_arn or (
        f"arn:{get_partition(service.region_name)}:iam::{service._account_id}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
    )
    service.deployments = []
    deploy(service)
    return answer


def update_service(plain, response):
    backend, given = response.ecs_backend, response._get_params()
    cluster = backend._get_cluster(given.get("cluster") or "default")
    service = backend.services.get(f"{cluster.name}:{given['service'].split('/')[-1]}")
    if service is None:
        raise ServiceNotFoundException
    if service.status != "ACTIVE":
        raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
    refuse_settings(given, service)
    forced = given.get("forceNewDeployment")
    configuration = deployment_configuration(service.deployment_configuration, given.get("deploymentConfiguration"))
    definition = service.task_definition
    if given.get("taskDefinition"):
        definition = active_definition(backend, given["taskDefinition"]).arn
    if given.get("networkConfiguration"):
        service._validate_network(with_groups(given["networkConfiguration"]))
    before = {name: copy.deepcopy(getattr(service, name, None)) for name in DEPLOYED}
    answer = plain(response)
    service.task_definition, service.deployment_configuration = definition, configuration
    complete_network(service)
    if forced or before != {name: getattr(service, name, None) for name in DEPLOYED}:
        deploy(service)
    else:
        scale(service)
    return answer


def delete_service(plain, backend, cluster_name, service_name, force):
    service = backend._get_service(cluster_name, service_name.split("/")[-1])
    deployment = service.deployments[0]["id"] if service.deployments else ""
    plain(backend, cluster_name, service.name, force)
    service.desired_count = 0
    for task in tasks_in(service):
        stop(task, "ServiceSchedulerInitiated", f"Scaling activity initiated by (deployment {deployment})")
    settle(service)
    return service


def list_services(plain, backend, cluster_str, *rest, **named):
    gone = {s.arn for s in backend.services.values() if s.status != "ACTIVE"}
    return [arn for arn in plain(backend, cluster_str, *rest, **named) if arn not in gone]


def describe_services(plain, backend, *arguments):
    found, failures = plain(backend, *arguments)
    for service in found:
        settle(service)
    return found, failures


def refuse_settings(given, service=None):
    configuration = deployment_configuration(getattr(service, "deployment_configuration", {}), given.get("deploymentConfiguration"))
    most, least = configuration["maximumPercent"], configuration["minimumHealthyPercent"]
    if most == least == 100:
        raise InvalidParameterException("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
    if most < 100 or not 0 <= least <= 100:
        raise InvalidParameterException(f"The deployment configuration cannot be kept to: maximumPercent {most}, minimumHealthyPercent {least}.")
    if given.get("availabilityZoneRebalancing") == "ENABLED" and not rebalances(configuration, given):
        raise InvalidParameterException("The service is not compatible with Availability Zone rebalancing.")
    if (given.get("healthCheckGracePeriodSeconds") or 0) < 0:
        raise InvalidParameterException("healthCheckGracePeriodSeconds cannot be negative.")


def rebalances(configuration, given):
    """Rebalancing starts tasks before it stops others: it needs room, and is for replicas only."""
    return configuration["maximumPercent"] > 100 and given.get("schedulingStrategy") != "DAEMON"


def deployment_configuration(before, given):
    """What an update leaves out stays as it is."""
    usual = {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    }
    return {**usual, **before, **{k: v for k, v in (given or {}).items() if v is not None}}


def with_groups(network):
    configuration = network.get("awsvpcConfiguration") or {}
    return {"awsvpcConfiguration": {**configuration, "securityGroups": configuration.get("securityGroups") or []}}


def complete_network(service):
    if service.network_configuration:
        service.network_configuration.setdefault("awsvpcConfiguration", {}).setdefault("assignPublicIp", "DISABLED")


def deploy(service):
    """Begins a deployment. A data plane ends it; without one it is complete at once."""
    if getattr(service, "deployment_controller", {}).get("type") != "ECS":
        return
    now, name = time.time(), f"ecs-svc/{random.randint(10**18, 10**19 - 1)}"
    for former in service.deployments:
        former["status"] = "ACTIVE"
    begun = {
        "id": name, "status": "PRIMARY", "taskDefinition": service.task_definition, "desiredCount": service.desired_count,
        "pendingCount": 0, "runningCount": 0, "failedTasks": 0, "createdAt": now, "updatedAt": now, "launchType": service.launch_type,
        "platformVersion": PLATFORM if service.platform_version == "LATEST" else service.platform_version,
        "platformFamily": getattr(service, "platform_family", None), "networkConfiguration": service.network_configuration,
        "rolloutState": "IN_PROGRESS", "rolloutStateReason": f"ECS deployment {name} in progress.",
    }
    service.deployments = [begun, *service.deployments]
    if is_run(service.cluster_arn):
        service.running_count, service.pending_count = counts(service)
    else:
        complete(service)


def scale(service):
    if is_run(service.cluster_arn):
        for deployment in service.deployments:
            if deployment["status"] == "PRIMARY":
                deployment.update(desiredCount=service.desired_count, updatedAt=time.time())
        service.running_count, service.pending_count = counts(service)
    else:
        complete(service)


def complete(service):
    """Ends a service's deployments as nobody runs tasks: the counts are those that were asked for."""
    service.running_count, service.pending_count = service.desired_count, 0
    service.deployments = service.deployments[:1]
    for deployment in service.deployments:
        deployment.update(
            desiredCount=service.desired_count, runningCount=service.desired_count, pendingCount=0, updatedAt=time.time(),
            rolloutState="COMPLETED", rolloutStateReason=f"ECS deployment {deployment['id']} completed.",
        )


def restart(service):
    """The tasks of a service that was deployed before a data plane was attached are not running."""
    service.running_count, service.pending_count = 0, 0
    for deployment in service.deployments:
        deployment.update(
            runningCount=0, pendingCount=0, rolloutState="IN_PROGRESS", rolloutStateReason=f"ECS deployment {deployment['id']} in progress."
        )


def tasks_in(service):
    """The tasks of a service that have not stopped."""
    found = tasks_of(service._backend).values()
    return [t for t in found if t.told.get("group") == f"service:{service.name}" and t.told["clusterArn"] == service.cluster_arn and not t.stopped]


def counts(service):
    states = [t.told["lastStatus"] for t in tasks_in(service)]
    return states.count("RUNNING"), sum(s in ("PROVISIONING", "PENDING", "ACTIVATING") for s in states)


def settle(service):
    """A service that was deleted drains while any of its tasks has not stopped, and is inactive then."""
    if service.status == "ACTIVE":
        return
    service.running_count, service.pending_count = counts(service)
    service.status = "DRAINING" if tasks_in(service) else "INACTIVE"
    if service.status == "INACTIVE":
        service.deployments = []


def report_service(report):
    """What a data plane says of a service."""
    backend = backend_of(report["serviceArn"])
    for service in backend.services.values():
        if service.arn == report["serviceArn"]:
            for name in ("runningCount", "pendingCount", "events"):
                if name in report:
                    setattr(service, camelcase_to_underscores(name), report[name])
            if "deployments" in report:
                report_deployments(service, report)
            settle(service)
            return
    raise LookupError(f"no service {report['serviceArn']}")


def report_deployments(service, report):
    """A report may be older than the newest deployment, which is then none of those that the data plane knows: that one stays the newest.
    What is not reported of a deployment stays as it is, or is as that of the newest."""
    newest, kept = service.deployments[:1], {d["id"]: d for d in service.deployments}
    reported, known = report["deployments"], report.get("knownDeployments")
    unseen = [d for d in newest if known is not None and d["id"] not in known]
    if unseen:
        reported = [{**it, "status": "ACTIVE"} for it in reported]
    else:
        service.task_definition = report.get("taskDefinition") or service.task_definition
    service.deployments = unseen + [{**kept.get(it["id"], newest[0] if newest else {}), **it} for it in reported]


# Clusters.


def describe_clusters(plain, response):
    backend = response.ecs_backend
    for cluster in backend.clusters.values():
        states = [t.told["lastStatus"] for t in tasks_of(backend).values() if t.told["clusterArn"] == cluster.arn]
        services = [s for s in backend.services.values() if s.cluster_arn == cluster.arn]
        cluster.active_services_count = sum(s.status == "ACTIVE" for s in services)
        cluster.running_tasks_count = states.count("RUNNING")
        cluster.pending_tasks_count = sum(s in ("PROVISIONING", "PENDING", "ACTIVATING") for s in states)
        if not is_run(cluster.arn):
            cluster.running_tasks_count += sum(s.running_count for s in services if s.status == "ACTIVE")
    return plain(response)


def delete_cluster(plain, backend, cluster_str):
    cluster = backend._get_cluster(cluster_str)
    if any(s.cluster_arn == cluster.arn and s.status == "ACTIVE" for s in backend.services.values()):
        raise ECSException("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
    if any(t.told["clusterArn"] == cluster.arn and not t.stopped for t in tasks_of(backend).values()):
        raise ECSException("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
    return plain(backend, cluster_str)


# Tasks.


class Task:
    """One task, as DescribeTasks tells it."""

    def __init__(self, told):
        self.told = told
        self.interface = None  # id of the network interface
        self.attachment_id = str(uuid.uuid4())
        self.network = None  # the network configuration, of a task of RunTask
        self.tags = told.pop("tags", None) or []

    @property
    def task_arn(self):
        return self.told["taskArn"]

    @property
    def stopped(self):
        return self.told["lastStatus"] == "STOPPED"

    def telling(self, with_tags):
        return {**self.told, "tags": self.tags} if with_tags else self.told


def run_task(plain, response):
    backend, given = response.ecs_backend, response._get_params()
    cluster = active_cluster(backend, given.get("cluster"))
    definition = active_definition(backend, given.get("taskDefinition") or "")
    if launch_type(cluster, given) != "FARGATE":
        if not backend.container_instances.get(cluster.name):
            raise InvalidParameterException("No Container Instances were found in your cluster.")
        return plain(response)
    refuse_task(backend, definition, given)
    known = backend.__dict__.setdefault("fargate_tokens", {})
    token = given.get("clientToken")
    request = {k: v for k, v in given.items() if k != "clientToken"}
    if token in known:
        former, arns = known[token]
        if former != request:
            raise ECSException("ConflictException", "The RunTask request could not be processed due to conflicts. The provided clientToken "
                               "is already in use with a different RunTask request.")
        made = [tasks_of(backend)[arn] for arn in arns if arn in tasks_of(backend)]
    else:
        made = [make_task(backend, cluster, definition, given, i) for i in range(given.get("count") or 1)]
        if token:
            known[token] = copy.deepcopy(request), [t.task_arn for t in made]
    return json.dumps({"tasks": [t.telling(True) for t in made], "failures": []})


def active_cluster(backend, name):
    cluster = backend._get_cluster(name or "default")
    if cluster.status == "INACTIVE":
        raise ClusterNotFoundException
    return cluster


def active_definition(backend, name):
    try:
        definition = backend.describe_task_definition(name)
    except TaskDefinitionNotFoundException:
        raise EcsClientException("TaskDefinition not found.") from None
    if definition.status != "ACTIVE":
        raise EcsClientException("TaskDefinition is inactive")
    return definition


def launch_type(cluster, given):
    strategy = given.get("capacityProviderStrategy")
    if strategy and given.get("launchType"):
        raise InvalidParameterException("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
    if given.get("launchType"):
        return given["launchType"]
    strategy = strategy or cluster.default_capacity_provider_strategy or []
    return "FARGATE" if any(s.get("capacityProvider", "").startswith("FARGATE") for s in strategy) else "EC2"


def refuse_task(backend, definition, given):
    if "FARGATE" not in (definition.requires_compatibilities or definition.compatibilities):
        raise InvalidParameterException("Task definition does not support launch_type FARGATE.")
    if not 1 <= (given.get("count") or 1) <= 10:
        raise InvalidParameterException("count must be between 1 and 10.")
    if given.get("propagateTags") == "SERVICE":
        raise InvalidParameterException("propagateTags cannot be SERVICE where no service starts the task.")
    network = (given.get("networkConfiguration") or {}).get("awsvpcConfiguration")
    if not network:
        raise InvalidParameterException("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    checking = Service.__new__(Service)
    checking._account_id, checking.region_name = backend.account_id, backend.region_name
    checking._validate_network(with_groups(given["networkConfiguration"]))
    names = [c["name"] for c in definition.container_definitions]
    for override in (given.get("overrides") or {}).get("containerOverrides") or []:
        if override.get("name") not in names:
            raise InvalidParameterException(f"Override for container named {override.get('name')} is not a container in the TaskDefinition.")


def make_task(backend, cluster, definition, given, index):
    arn = f"{cluster.arn.replace(':cluster/', ':task/')}/{identifier()}"
    network = given["networkConfiguration"]["awsvpcConfiguration"]
    subnet = ec2_backends[backend.account_id][backend.region_name].get_subnet(network["subnets"][index % len(network["subnets"])])
    overrides = copy.deepcopy(given.get("overrides") or {})
    named = {o["name"] for o in overrides.setdefault("containerOverrides", [])}
    overrides["containerOverrides"] += [{"name": c["name"]} for c in definition.container_definitions if c["name"] not in named]
    overrides.setdefault("inferenceAcceleratorOverrides", [])
    managed = [{"key": "aws:ecs:clusterName", "value": cluster.name}] if given.get("enableECSManagedTags") else []
    propagated = definition.tags if given.get("propagateTags") == "TASK_DEFINITION" else []
    task = Task({
        "taskArn": arn, "clusterArn": cluster.arn, "taskDefinitionArn": definition.arn,
        "group": given.get("group") or f"family:{definition.family}", "launchType": "FARGATE",
        "platformVersion": PLATFORM if given.get("platformVersion", "LATEST") == "LATEST" else given["platformVersion"], "platformFamily": "Linux",
        "lastStatus": "PROVISIONING", "desiredStatus": "RUNNING", "healthStatus": "UNKNOWN", "connectivity": "DISCONNECTED",
        "availabilityZone": subnet.availability_zone, "createdAt": time.time(), "version": 1,
        "cpu": overrides.get("cpu") or definition.cpu, "memory": overrides.get("memory") or definition.memory,
        "enableExecuteCommand": bool(given.get("enableExecuteCommand")), "overrides": overrides,
        "ephemeralStorage": definition.ephemeral_storage or {"sizeInGiB": 20}, "inferenceAccelerators": [],
        "attributes": [{"name": "ecs.cpu-architecture", "value": (definition.runtime_platform or {}).get("cpuArchitecture", "X86_64").lower()}],
        "attachments": [{
            "id": str(uuid.uuid4()), "type": "ElasticNetworkInterface", "status": "PRECREATED", "details": [{"name": "subnetId", "value": subnet.id}],
        }],
        "containers": [container(arn, c) for c in definition.container_definitions],
        "tags": tags_of(propagated, given.get("tags"), managed),
    })
    if given.get("startedBy"):
        task.told["startedBy"] = given["startedBy"]
    task.network = given["networkConfiguration"]
    interfaces.attach_task(backend, task, network.get("securityGroups"))
    tasks_of(backend)[arn] = task
    return task


def container(task_arn, definition):
    made = {
        "containerArn": f"{task_arn.replace(':task/', ':container/')}/{uuid.uuid4()}", "taskArn": task_arn, "name": definition["name"],
        "image": definition.get("image"), "lastStatus": "PENDING", "healthStatus": "UNKNOWN", "networkInterfaces": [], "cpu": str(definition.get("cpu", 0)),
    }
    return {**made, **{k: str(definition[k]) for k in ("memory", "memoryReservation") if definition.get(k) is not None}}


def find_task(backend, cluster, name):
    for task in tasks_of(backend).values():
        if name in (task.task_arn, task.task_arn.rsplit("/", 1)[-1]) and task.told["clusterArn"] == cluster.arn:
            return task
    return None


def stop_task(plain, response):
    backend = response.ecs_backend
    cluster = active_cluster(backend, response._get_param("cluster"))
    task = find_task(backend, cluster, response._get_param("task"))
    if task is None:
        if backend.tasks.get(cluster.name):
            return plain(response)
        raise InvalidParameterException("The referenced task was not found.")
    stop(task, "UserInitiated", response._get_param("reason") or "Task stopped by user")
    return json.dumps({"task": task.telling(True)})


def stop(task, code, reason):
    """What has been told to stop once is not told again, for another reason. What nobody runs has stopped at once."""
    if task.told["desiredStatus"] != "STOPPED":
        task.told.update(desiredStatus="STOPPED", stopCode=code, stoppedReason=reason, stoppingAt=time.time())
    if not is_run(task.told["clusterArn"]) and not task.stopped:
        now = time.time()
        task.told.update(lastStatus="STOPPED", stoppedAt=now, executionStoppedAt=now)
        for it in task.told.get("containers", []):
            it["lastStatus"] = "STOPPED"
        interfaces.detach_task(backend_of(task.task_arn), task)


def list_tasks(plain, response):
    backend, given = response.ecs_backend, response._get_params()
    cluster = active_cluster(backend, given.get("cluster"))
    family, service, started = given.get("family"), given.get("serviceName"), given.get("startedBy")
    if started and (family or service):
        raise InvalidParameterException("startedBy cannot be combined with another filter.")
    if service and f"{cluster.name}:{service.split('/')[-1]}" not in backend.services:
        raise ServiceNotFoundException
    wanted = {
        "clusterArn": cluster.arn, "desiredStatus": given.get("desiredStatus") or "RUNNING", "launchType": given.get("launchType"),
        "startedBy": started, "group": f"service:{service.split('/')[-1]}" if service else None,
    }
    if wanted["desiredStatus"] == "PENDING":  # ECS sets no task's desired status to it
        wanted["desiredStatus"] = None if given.get("containerInstance") else "-"
    found = [
        arn for arn, t in tasks_of(backend).items()
        if all(v is None or t.told.get(k) == v for k, v in wanted.items())
        and (not family or t.told["taskDefinitionArn"].split("/")[-1].rsplit(":", 1)[0] == family) and not given.get("containerInstance")
    ]
    if backend.tasks.get(cluster.name):  # on container instances, which moto has
        found += [t.task_arn for t in backend.list_tasks(
            given.get("cluster") or "default", given.get("containerInstance"), family, started, service, given.get("desiredStatus"))]
    start, most = int(given.get("nextToken") or 0), given.get("maxResults") or 100
    answer = {"taskArns": found[start:start + most]}
    if start + most < len(found):
        answer["nextToken"] = str(start + most)
    return json.dumps(answer)


def describe_tasks(plain, response):
    backend, given = response.ecs_backend, response._get_params()
    cluster = active_cluster(backend, given.get("cluster"))
    if not given.get("tasks"):
        raise InvalidParameterException("Tasks cannot be empty.")
    if len(given["tasks"]) > 100:
        raise InvalidParameterException("Tasks cannot have more than 100 elements.")
    if backend.tasks.get(cluster.name):
        return plain(response)
    found, failures = [], []
    for name in given["tasks"]:
        task = find_task(backend, cluster, name)
        if task is not None:
            found.append(task.telling("TAGS" in (given.get("include") or [])))
        else:
            arn = name if name.startswith("arn:") else f"{cluster.arn.replace(':cluster/', ':task/')}/{name}"
            failures.append({"arn": arn, "reason": "MISSING"})
    return json.dumps({"tasks": found, "failures": failures})


def get_resource(plain, backend, arn, parsed):
    """What tags are asked of."""
    return tasks_of(backend).get(arn) or plain(backend, arn, parsed)


def report_task(report):
    """What a data plane says of a task. That one was told to stop, and why, it cannot take back."""
    backend, groups = backend_of(report["taskArn"]), report.pop("securityGroups", None)
    task = tasks_of(backend).get(report["taskArn"])
    if task is None:
        task = tasks_of(backend)[report["taskArn"]] = Task(report)
        task.told.setdefault("desiredStatus", "RUNNING")
    else:
        if "tags" in report:
            task.tags = report.pop("tags") or []
        if task.told["desiredStatus"] == "STOPPED":
            for name in ("desiredStatus", "stopCode", "stoppedReason", "stoppingAt"):
                if name in task.told:
                    report.pop(name, None)
        task.told.update(report)
    if task.told["lastStatus"] in ("DEPROVISIONING", "STOPPED"):
        interfaces.detach_task(backend, task)
    else:
        interfaces.attach_task(backend, task, groups)
    return task


def remove_task(arn):
    backend = backend_of(arn)
    task = tasks_of(backend).pop(arn, None)
    if task is not None:
        interfaces.detach_task(backend, task)


def all_clusters():
    return [(b, c) for regions in list(ecs_backends.values()) for b in list(regions.values()) for c in list(b.clusters.values())]


def change_hands(change):
    """Does what changes who runs which cluster. Whoever ran tasks before runs them no more."""
    before = {cluster.arn: is_run(cluster.arn) for _, cluster in all_clusters()}
    change()
    for backend, cluster in all_clusters():
        now = is_run(cluster.arn)
        if before[cluster.arn] != now:
            hand_over(backend, cluster, now)


def hand_over(backend, cluster, now):
    for task in list(tasks_of(backend).values()):
        if now or task.told["clusterArn"] != cluster.arn:
            continue
        if task.told.get("group", "").startswith("service:"):
            remove_task(task.task_arn)
        elif task.told["lastStatus"] != "PROVISIONING":
            stop(task, "EssentialContainerExited", "The data plane that ran the task has gone.")
    for service in backend.services.values():
        if service.cluster_arn == cluster.arn:
            settle(service)
            if service.status == "ACTIVE":
                (restart if now else complete)(service)
