"""What others have in an account: POST /foreign?from=0&to=5000 makes so many resources of every kind that the project lists,
in moto's memory. Their names end in none of the stack's suffixes, and what carries tags carries other people's; of keys and
certificates one in fifty carries none, of keys one in a hundred has no alias either.
"""

import copy
import os

ACCOUNT, REGION = "123456789012", "us-east-1"
DIMENSION = "ecs:service:DesiredCount"
TAGS = {"team": "others", "Environment": "staging"}


def pairs(name, key="Key", value="Value"):
    return [{key: k, value: v} for k, v in {**TAGS, "Name": name}.items()]


class Others:
    def __init__(self):
        from moto.backends import get_backend

        os.environ["MOTO_RDS_SNAPSHOT_LIMIT"] = "100000"

        def backend(service, region=REGION):
            return get_backend(service)[ACCOUNT][region]

        self.ec2, self.rds, self.sqs, self.sns = backend("ec2"), backend("rds"), backend("sqs"), backend("sns")
        self.secrets, self.ssm, self.kms, self.ecs = backend("secretsmanager"), backend("ssm"), backend("kms"), backend("ecs")
        self.scaling, self.elb, self.waf, self.acm = backend("application-autoscaling"), backend("elbv2"), backend("wafv2"), backend("acm")
        self.logs, self.watch, self.events = backend("logs"), backend("cloudwatch"), backend("events")
        self.iam, self.s3, self.dns = backend("iam", "aws"), backend("s3", "aws"), backend("route53", "aws")
        self.first = {}

    def like_the_first(self, kind, make):
        """What takes long to make is made once, and copied."""
        if kind not in self.first:
            self.first[kind] = make()
        return copy.copy(self.first[kind])

    def network(self, i, name):
        tags = {**TAGS, "Name": name}
        vpc = self.ec2.create_vpc("10.0.0.0/16", tags=pairs(name))
        subnet = self.ec2.create_subnet(vpc.id, "10.0.0.0/24", availability_zone=REGION + "a", tags=tags)
        gateway = self.ec2.create_internet_gateway(tags=pairs(name))
        self.ec2.attach_internet_gateway(gateway.id, vpc.id)
        address = self.ec2.allocate_address("vpc", tags=tags)
        self.ec2.create_nat_gateway(subnet.id, address.allocation_id, tags=tags)
        table = self.ec2.create_route_table(vpc.id, tags=pairs(name))
        group = self.ec2.create_security_group(name, "of others", vpc.id, tags=tags)
        self.ec2.authorize_security_group_ingress(group.id, "tcp", "443", "443", [{"CidrIp": "10.0.0.0/8"}], vpc_id=vpc.id)
        self.ec2.create_vpc_endpoint(vpc.id, f"com.amazonaws.{REGION}.s3", "Gateway", None, [table.id], tags=tags)
        self.ec2.create_network_interface(subnet, None, group_ids=[group.id], description=name, tags=tags)
        flow = self.like_the_first("flow log", lambda: self.flow_log(vpc))
        flow.id, flow.resource_id = f"fl-{i:017x}", vpc.id
        self.ec2.flow_logs[flow.id] = flow
        self.balancing(name, subnet, group, vpc)

    def flow_log(self, vpc):
        bucket = f"flow-logs-of-others-{REGION}"
        self.s3.create_bucket(bucket, REGION)
        made, _ = self.ec2.create_flow_logs("VPC", [vpc.id], "ALL", None, "s3", f"arn:aws:s3:::{bucket}", None, None, 600)
        return self.ec2.flow_logs.pop(made[0].id)

    def balancing(self, name, subnet, group, vpc):
        balancer = self.elb.create_load_balancer(name, [group.id], [subnet.id], loadbalancer_type="application", tags=pairs(name))
        targets = self.elb.create_target_group(name, protocol="HTTP", port="80", vpc_id=vpc.id, target_type="ip", tags=pairs(name))
        forward = [{"Type": "forward", "TargetGroupArn": targets.arn, "Order": 1}]
        listener = self.elb.create_listener(balancer.arn, "HTTP", "80", None, None, forward, tags=pairs(name))
        self.elb.create_rule(listener.arn, [{"Field": "path-pattern", "Values": ["/x"]}], 1, forward, tags=pairs(name))

    def database(self, i, name):
        subnets = self.like_the_first("subnets", lambda: [next(iter(zone.values())) for zone in list(self.ec2.subnets.values())[:1]])
        self.rds.create_subnet_group(name, "of others", subnets, pairs(name))
        self.rds.create_db_cluster_parameter_group(name, "aurora-postgresql16", "of others", pairs(name))
        cluster = self.like_the_first("cluster", lambda: self.rds.create_db_cluster({
            "db_cluster_identifier": name, "engine": "aurora-postgresql", "master_username": "root", "master_user_password": "password", "tags": pairs(name),
        }))
        cluster.db_cluster_identifier = name
        cluster.tags = pairs(name)
        self.rds.clusters[name] = cluster
        instance = self.like_the_first("instance", lambda: self.rds.create_db_instance({
            "db_instance_identifier": name, "engine": "postgres", "db_instance_class": "db.t3.micro", "master_username": "root",
            "master_user_password": "password", "allocated_storage": 20, "tags": pairs(name),
        }))
        instance.db_instance_identifier = name
        instance.tags = pairs(name)
        self.rds.databases[name] = instance
        self.rds.create_db_cluster_snapshot(name, name, tags=pairs(name))
        self.rds.create_db_snapshot(name, name, tags=pairs(name))
        self.rds.create_event_subscription({
            "subscription_name": name, "sns_topic_arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}", "source_type": "db-cluster",
            "event_categories": [], "source_ids": [], "enabled": True, "tags": pairs(name),
        })

    def messages(self, i, name):
        self.sqs.create_queue(name, tags=TAGS)
        self.sns.create_topic(name, {}, tags=TAGS)
        self.secrets.create_secret(name, "{}", None, "of others", pairs(name), None, None, [], False)
        self.ssm.put_parameter("/others/" + name, "", "value", "String", "", "", False, pairs(name), "text", None, None)
        self.s3.create_bucket(name, REGION)
        self.s3.put_bucket_tagging(name, TAGS)
        key = self.like_the_first("key", lambda: self.kms.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None))
        key.id = f"{i:08x}-0000-4000-8000-000000000000"
        key.arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key.id}"
        key.aliases = {}
        self.kms.keys[key.id] = key
        if i % 50:
            self.kms.tag_resource(key.id, {**TAGS, "Name": name})
        if i % 100:
            self.kms.create_alias(key.id, "alias/" + name)

    def application(self, i, name):
        self.ecs.create_cluster(name, tags=pairs(name, "key", "value"))
        container = {"name": "app", "image": "app:1", "memory": 128}
        task = self.ecs.register_task_definition(name, [container], tags=pairs(name, "key", "value"), requires_compatibilities=["EC2"])
        self.ecs.create_service(name, name, 1, task.arn, tags=pairs(name, "key", "value"))
        self.scaling.register_scalable_target("ecs", f"service/{name}/{name}", DIMENSION, 1, 2, "", None)
        policy = {"TargetValue": 70.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
        self.scaling.put_scaling_policy(name, "ecs", f"service/{name}/{name}", DIMENSION, policy, "TargetTrackingScaling")

    def watching(self, i, name):
        visibility = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "others"}
        self.waf.create_web_acl(name, visibility, {"Allow": {}}, "REGIONAL", "", pairs(name), [], None, None, None, None, None)
        certificate = self.like_the_first("certificate", lambda: self.certificate())
        certificate.arn = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/{i:08x}-0000-4000-8000-000000000000"
        certificate.tags = {**TAGS, "Name": name} if i % 50 else {}
        self.acm._certificates[certificate.arn] = certificate
        self.logs.create_log_group("/others/" + name, tags=TAGS)
        self.watch.put_metric_alarm(
            name, "Others", "errors", "GreaterThanThreshold", 1, 60, 1.0, "Sum", "", [], [f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"], tags=pairs(name)
        )
        self.watch.put_dashboard(name, '{"widgets": []}')
        self.events.put_rule(name, event_pattern='{"source": ["others"]}', tags=pairs(name))
        self.events.put_targets(name, "default", [{"Id": "1", "Arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"}])
        trust = '{"Version": "2012-10-17", "Statement": []}'
        self.iam.create_role(name, trust, "/", None, "", pairs(name), None)
        document = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}]}'
        self.iam.create_policy("", "/", document, name, pairs(name))

    def certificate(self):
        arn = self.acm.request_certificate("others.example.com", "", [], [])
        return self.acm._certificates.pop(arn)

    def records(self, start, end):
        """One zone with a record each: an account has few zones, and zones have many records."""
        zone = self.like_the_first("zone", lambda: self.dns.create_hosted_zone("others.example.com", False))
        self.dns.change_resource_record_sets(zone.id, [
            {"Action": "CREATE", "ResourceRecordSet": {
                "Name": f"host-{i}.others.example.com.", "Type": "A", "TTL": "60", "ResourceRecords": [{"Value": "192.0.2.1"}],
            }}
            for i in range(start, end)
        ])

    def make(self, start, end):
        for i in range(start, end):
            name = f"others-{i}"
            for kinds in (self.messages, self.network, self.application, self.watching, self.database):
                kinds(i, name)
        self.records(start, end)
