"""The door of a data plane: what runs the deployed services, load balancers and databases on this machine tells the emulator here what it
runs, so that the AWS API shows it.

/tapstack-dataplane, with the emulator's token in the header X-Tapstack-Token. Everything is JSON, in ECS's own words.
GET tells whether a data plane is attached, the first two numbers of the addresses that database endpoints are at, and the network
configuration of the tasks that nobody has reported yet. GET ?changes tells how many calls may have changed something, by service;
?certificate=ARN and ?cluster=ID tell what AWS tells nobody, a certificate's private key and a database's master password.
PUT {"attached": true, "cluster": NAME, "database": ID, "loadBalancer": NAME, "pid": PID, "speed": 10} attaches one that runs these, or
everything where it names none, and goes that much faster than AWS; false detaches it, and so does the end of its process. No two run the same.
POST {"services": [...], "tasks": [...], "removedTasks": [ARN...], "targetHealth": [...], "clusters": [...]} reports. Reports are upserts;
the answer has the network interface of each reported task.
"""

import base64
import functools
import hmac
import json
import socket
import urllib.parse

from moto.acm import acm_backends
from moto.core.responses import BaseResponse
from moto.elbv2 import elbv2_backends
from moto.elbv2.models import ELBv2Backend
from moto.rds import rds_backends
from moto.rds.exceptions import InvalidDBClusterStateFault
from moto.rds.models import DBCluster, DBInstance, DBInstanceClustered, RDSBackend
from moto.s3.models import s3_backends

import fargate
import interfaces
import planes

PATH = "/tapstack-dataplane"
CLAIM = ("255.254", 5999)  # who listens there has all addresses that begin with the same two numbers
MOST = 16 << 20  # bytes of a report


class Door:
    def __init__(self, token, here):
        self.token = token
        self.here = here  # whether loopback addresses of this process are those of the machine
        self.claim = None
        self.watching = False
        self.addresses = ""

    def serve(self, environ, start_response):
        status, answer = self.answer(environ)
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def answer(self, environ):
        if not hmac.compare_digest(environ.get("HTTP_X_TAPSTACK_TOKEN", "").encode(), self.token.encode()):
            return "403 Forbidden", {"error": "X-Tapstack-Token is not this emulator's"}
        asked = dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        does = {"GET": lambda _: self.tell(asked), "PUT": self.attach, "POST": self.report}.get(environ["REQUEST_METHOD"])
        if does is None:
            return "405 Method Not Allowed", {"error": "GET, PUT or POST"}
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > MOST:
            return "413 Content Too Large", {"error": f"more than {MOST} bytes"}
        try:
            with fargate.LOCK:
                return "200 OK", does(json.loads(environ["wsgi.input"].read(length) or b"{}"))
        except planes.Taken as fault:
            return "409 Conflict", {"error": str(fault)}
        except (ValueError, LookupError, TypeError, AttributeError) as fault:
            return "400 Bad Request", {"error": f"{type(fault).__name__}: {fault}"}

    def tell(self, asked):
        if "certificate" in asked:
            return certificate(asked["certificate"])
        if "cluster" in asked:
            return master(asked["cluster"])
        if "changes" in asked:
            return {"changes": CHANGES}
        return self.state()

    def state(self):
        waiting = [
            {"taskArn": arn, "networkConfiguration": task.network}
            for regions in list(fargate.ecs_backends.values()) for backend in list(regions.values())
            for arn, task in fargate.tasks_of(backend).items() if task.network and task.told["lastStatus"] == "PROVISIONING"
        ]
        return {"attached": bool(planes.attached), "addresses": self.addresses, "tasks": waiting}

    def attach(self, request):
        if not isinstance(request["attached"], bool):
            raise ValueError("attached is true or false")
        if not request["attached"]:
            change_hands(lambda: planes.detach(planes.name(request)))
            return {"attached": False, "addresses": self.addresses}
        if not self.here:
            request.pop("pid", None)  # it is of another machine
        self.claim_addresses()
        self.bury()
        change_hands(lambda: planes.attach(request))
        if not self.watching:
            self.watching = True
            planes.watch(self.bury)
        return {"attached": True, "addresses": self.addresses}

    def bury(self):
        """Detaches the data planes whose processes are no more, however they ended."""
        for key in planes.dead():
            with fargate.LOCK:
                change_hands(functools.partial(planes.detach, key))

    def claim_addresses(self):
        """Takes 127.E, all of it, for the endpoints of databases. Without one they have the names that they have anyway."""
        if self.claim is not None or not self.here:
            return
        for number in range(1, 255):
            listener = socket.socket()
            try:
                listener.bind((f"127.{number}.{CLAIM[0]}", CLAIM[1]))
                listener.listen(1)
            except OSError:
                listener.close()
                continue
            self.claim, self.addresses = listener, f"127.{number}"
            Endpoints.addresses = self.addresses
            return

    def report(self, request):
        if not planes.attached:
            raise ValueError('no data plane is attached: PUT {"attached": true} first')
        for arn in request.get("removedTasks") or []:
            fargate.remove_task(arn)
        tasks = [fargate.report_task(it) for it in request.get("tasks") or []]
        for it in request.get("services") or []:
            fargate.report_service(it)
        for it in request.get("targetHealth") or []:
            report_health(it)
        for it in request.get("clusters") or []:
            report_cluster(it)
        for it in request.get("objects") or []:
            deliver(it)
        return {"tasks": [{"taskArn": t.task_arn, "desiredStatus": t.told["desiredStatus"], "attachments": t.told.get("attachments") or []} for t in tasks]}


def arrange():
    """Puts all of this into moto."""
    interfaces.arrange()
    fargate.arrange()
    BaseResponse.call_action = counting(BaseResponse.call_action)
    ELBv2Backend.describe_target_health = describing_health(ELBv2Backend.describe_target_health)
    Endpoints.arrange()
    RDSBackend.failover_db_cluster = failing_over(RDSBackend.failover_db_cluster)


def deliver(report):
    """Puts an object where a service of AWS delivers it, such as a load balancer's access log: the policies of such buckets let nobody
    else write. Without the bucket it is lost, as on AWS."""
    for backends in list(s3_backends.values()):
        for backend in list(backends.values()):
            if report["bucket"] in backend.buckets:
                backend.put_object(report["bucket"], report["key"], base64.b64decode(report["content"], validate=True), encryption="AES256")
                return


CHANGES = {}  # calls that may have changed something, by service
READING = ("Describe", "List", "Get", "BatchGet", "Lookup", "Search")


def counting(plain):
    """A data plane that knows that nothing has changed need not look."""

    def doing(response):
        answer = plain(response)
        if not response._get_action().startswith(READING):
            CHANGES[response.service_name] = CHANGES.get(response.service_name, 0) + 1
        return answer

    return doing


def certificate(arn):
    for regions in list(acm_backends.values()):
        for backend in list(regions.values()):
            if arn in backend._certificates:
                bundle = backend._certificates[arn]
                return {"certificate": bundle.cert.decode(), "privateKey": bundle.key.decode()}
    raise LookupError(f"no certificate {arn}")


def master(name):
    for cluster in all_clusters():
        if cluster.db_cluster_identifier == name:
            return {"masterUsername": cluster.master_username, "masterUserPassword": getattr(cluster, "_master_user_password", "")}
    raise LookupError(f"no database cluster {name}")


HEALTH = {}  # of the targets of a group, by the group's ARN


def report_health(report):
    HEALTH[report["targetGroupArn"]] = [
        {
            "Target": {"Id": it["id"], "Port": it["port"], **({"AvailabilityZone": it["availabilityZone"]} if it.get("availabilityZone") else {})},
            "HealthCheckPort": str(it["port"]),
            "TargetHealth": {
                "State": it["state"], **{k.title(): it[k] for k in ("reason", "description") if it.get(k)},
            },
        }
        for it in report["targets"]
    ]


def forget_health():
    for arn in list(HEALTH):
        _, _, _, region, account, _ = arn.split(":", 5)
        group = elbv2_backends[account][region].target_groups.get(arn)
        if group is None or not any(planes.runs("loadBalancer", balancer.split("/")[-2]) for balancer in group.load_balancer_arns):
            del HEALTH[arn]


def describing_health(plain):
    def describing(backend, target_group_arn, targets):
        if target_group_arn not in HEALTH or target_group_arn not in backend.target_groups:
            return plain(backend, target_group_arn, targets)
        reported = {it["Target"]["Id"]: it for it in HEALTH[target_group_arn]}
        group = backend.target_groups[target_group_arn]
        registered = group.targets  # by hand
        asked = targets or [{"Id": name} for name in {**reported, **registered}]
        unknown = {"State": "unused", "Reason": "Target.NotRegistered", "Description": "Target is not registered to the target group"}
        for name, it in reported.items():
            if name in group.deregistered_targets and name not in registered:  # of which the data plane has yet to hear
                reported[name] = {**it, "TargetHealth": {
                    "State": "draining", "Reason": "Target.DeregistrationInProgress", "Description": "Target deregistration is in progress",
                }}
        return [
            reported.get(t["Id"]) or (plain(backend, target_group_arn, [t])[0] if t["Id"] in registered else {"Target": t, "TargetHealth": unknown})
            for t in asked
        ]

    return describing


class Endpoints:
    """The endpoints of a cluster that is made while a data plane is attached, and of its instances, are addresses of this machine. They
    stay what they are as long as the cluster is there, as on AWS."""

    addresses = ""


    @classmethod
    def arrange(cls):
        plain = DBCluster.__init__

        def making(cluster, *arguments, **named):
            plain(cluster, *arguments, **named)
            cluster.here = bool(cls.addresses and planes.runs("database", cluster.db_cluster_identifier))

        DBCluster.__init__ = making
        for kind, name, part in ((DBCluster, "endpoint", "writer"), (DBCluster, "reader_endpoint", "reader")):
            setattr(kind, name, property(cls.telling(getattr(kind, name).fget, part)))
        DBInstance.address = property(cls.telling(DBInstance.address.fget, "instance"))

    @classmethod
    def telling(cls, plain, part):
        def tell(it):
            cluster = it.cluster if isinstance(it, DBInstanceClustered) else it
            return cls.address(cluster, part, it) if getattr(cluster, "here", False) else plain(it)

        return tell

    @classmethod
    def address(cls, cluster, part, it):
        with fargate.LOCK:
            taken = cluster.__dict__.setdefault("addresses", {})
            key = it.db_instance_identifier if part == "instance" else part + " endpoint"
            if key not in taken:
                others = {a for c in all_clusters() for a in c.__dict__.get("addresses", {}).values()}
                taken[key] = next(a for n in range(1, 255) if (a := f"{cls.addresses}.250.{n}") not in others)
            return taken[key]


def all_clusters():
    return [c for regions in list(rds_backends.values()) for backend in list(regions.values()) for c in list(backend.clusters.values())]


def failing_over(plain):
    """With a data plane attached a failover is over when that one says so."""

    def failing(backend, db_cluster_identifier, *rest, **named):
        cluster = backend.clusters.get(db_cluster_identifier)
        if cluster is not None and cluster._status == "failing-over":
            raise InvalidDBClusterStateFault(f"Cluster {db_cluster_identifier} is failing over already.")
        answer = plain(backend, db_cluster_identifier, *rest, **named)
        if planes.runs("database", db_cluster_identifier):
            answer.status = "failing-over"
        return answer

    return failing


def report_cluster(report):
    for cluster in all_clusters():
        if cluster.db_cluster_identifier == report["dbClusterIdentifier"]:
            cluster.status = report["status"]
            return
    raise LookupError(f"no database cluster {report['dbClusterIdentifier']}")


def end_failovers():
    for cluster in all_clusters():
        if cluster._status == "failing-over" and not planes.runs("database", cluster.db_cluster_identifier):
            cluster.status = "available"


def change_hands(change):
    """Does what changes who runs what."""
    fargate.change_hands(change)
    interfaces.fit_all()
    forget_health()
    end_failovers()
