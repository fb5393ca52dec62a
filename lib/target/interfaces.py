"""Network interfaces that AWS makes for what it runs, and takes away with it: those of tasks, and, while a data plane is attached, those
of load balancers and database instances. moto makes none of them."""

import ipaddress

from moto.ec2 import ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.elbv2 import elbv2_backends
from moto.elbv2.models import ELBv2Backend
from moto.rds import rds_backends
from moto.rds.models import RDSBackend

import planes

RESERVED = 4  # addresses at the beginning of a subnet; the last one is AWS's too


def arrange():
    """After whatever changes what has interfaces they are made to fit."""
    for backend, operations in (
        (ELBv2Backend, ("create_load_balancer", "delete_load_balancer", "set_subnets", "set_security_groups")),
        (RDSBackend, ("create_db_instance", "delete_db_instance", "modify_db_instance", "modify_db_cluster")),
    ):
        for operation in operations:
            setattr(backend, operation, then_fit(getattr(backend, operation)))
    plain = NetworkInterface.get_filter_value

    def filtering(interface, name, *rest):
        if name == "status":
            return interface.status
        if name in ("requester-managed", "requester-id", "interface-type"):
            return str(getattr(interface, name.replace("-", "_"))).lower() if name == "requester-managed" else getattr(interface, name.replace("-", "_"))
        return plain(interface, name, *rest)

    NetworkInterface.get_filter_value = filtering


def then_fit(plain):
    def fitting(backend, *arguments, **named):
        answer = plain(backend, *arguments, **named)
        fit(backend.account_id, backend.region_name)
        return answer

    return fitting


def make(ec2, subnet, address, groups, description, requester):
    made = ec2.create_network_interface(
        subnet, address, group_ids=[g for g in groups or [] if ec2.get_security_group_from_id(g)], description=description
    )
    made.status, made.requester_managed, made.requester_id = "in-use", True, requester
    return made


def subnet_of(ec2, name):
    return next((s[name] for s in ec2.subnets.values() if name in s), None)


def taken(ec2, subnet):
    return {a["PrivateIpAddress"] for e in list(ec2.enis.values()) if e.subnet is subnet for a in e.private_ip_addresses}


def free_address(ec2, subnet, from_the_end=False):
    """What stays, such as a load balancer, gets addresses from the end of a subnet, tasks from its beginning."""
    network, used = ipaddress.ip_network(subnet.cidr_block), taken(ec2, subnet)
    places = range(RESERVED, network.num_addresses - 1)
    for place in reversed(places) if from_the_end else places:
        if str(network[place]) not in used:
            return str(network[place])
    raise LookupError(f"no address is free in {subnet.id}")


def attach_task(ecs, task, groups=None):
    """Makes the task's interface, or fits it to the address that the task has now, and completes what the task tells of it."""
    ec2 = ec2_backends[ecs.account_id][ecs.region_name]
    for attachment in task.told.get("attachments") or []:
        told = {d["name"]: d.get("value") for d in attachment.get("details") or []}
        subnet = subnet_of(ec2, told.get("subnetId"))
        if attachment.get("type") != "ElasticNetworkInterface" or subnet is None:
            continue
        attachment.setdefault("id", task.attachment_id)
        task.attachment_id = attachment["id"]
        interface, wanted = ec2.enis.get(task.interface), told.get("privateIPv4Address")
        if interface is None or interface.subnet is not subnet or wanted not in (None, interface.private_ip_address):
            groups = groups if groups is not None or interface is None else [g.id for g in interface.group_set]
            detach_task(ecs, task)
            description = f"{task.task_arn.split(':task/')[0]}:attachment/{attachment['id']}"
            interface = make(ec2, subnet, wanted or free_address(ec2, subnet), groups, description, "amazon-ecs")
            task.interface = interface.id
        attachment.setdefault("status", "ATTACHED")
        attachment["details"] = [{"name": k, "value": v} for k, v in {
            **told, "subnetId": subnet.id, "networkInterfaceId": interface.id, "macAddress": interface.mac_address,
            "privateDnsName": getattr(interface, "private_dns_name", None), "privateIPv4Address": interface.private_ip_address,
        }.items() if v]
        for it in task.told.get("containers") or []:
            it["networkInterfaces"] = [{"attachmentId": attachment["id"], "privateIpv4Address": interface.private_ip_address}]


def detach_task(ecs, task):
    ec2_backends[ecs.account_id][ecs.region_name].enis.pop(task.interface, None)
    task.interface = None


def wanted_in(account, region):
    """Subnet, security groups, description and requester of each interface that is to be, by what it is for."""
    ec2, rds, wanted = ec2_backends[account][region], rds_backends[account][region], {}
    for arn, balancer in elbv2_backends[account][region].load_balancers.items():
        if not planes.runs("loadBalancer", balancer.name):
            continue
        description = "ELB " + arn.split(":loadbalancer/")[1]
        for subnet in balancer.subnets:
            wanted[arn, subnet.id] = subnet, tuple(balancer.security_groups or ()), description, "amazon-elb"
    for name, instance in rds.databases.items():
        cluster = getattr(instance, "cluster", None)
        if not planes.runs("database", cluster.db_cluster_identifier if cluster else name):
            continue
        group = rds.subnet_groups.get(cluster.db_subnet_group_name) if cluster else getattr(instance, "db_subnet_group", None)
        for subnet in [s for s in getattr(group, "_subnets", []) if s.availability_zone == instance.availability_zone][:1]:
            wanted[name, subnet.id] = subnet, tuple(instance.vpc_security_group_ids or ()), "RDSNetworkInterface", "amazon-rds"
    return {key: it for key, it in wanted.items() if subnet_of(ec2, it[0].id)}


def fit(account, region):
    ec2 = ec2_backends[account][region]
    made = ec2.__dict__.setdefault("made_interfaces", {})
    wanted = wanted_in(account, region)
    for key in [k for k, (id_, it) in made.items() if wanted.get(k) != it or id_ not in ec2.enis]:
        ec2.enis.pop(made.pop(key)[0], None)
    for key, it in wanted.items():
        if key not in made:
            subnet, groups, description, requester = it
            made[key] = make(ec2, subnet, free_address(ec2, subnet, True), groups, description, requester).id, it


def fit_all():
    for backends in (elbv2_backends, rds_backends):
        for account, regions in list(backends.items()):
            for region in list(regions):
                fit(account, region)
