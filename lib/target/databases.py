"""What RDS tells of clusters and instances and moto does not read back, and AWS's own KMS keys."""

from moto.core.responses import ActionResult
from moto.kms.models import KmsBackend
from moto.kms.utils import RESERVED_ALIASE_TARGET_KEY_IDS as MANAGED
from moto.rds.exceptions import DBClusterNotFoundError, InvalidParameterCombination, InvalidParameterValue
from moto.rds.models import DBCluster, DBInstance, RDSBackend
from moto.rds.responses import RDSResponse

KEY = "alias/aws/rds"
LIFECYCLES = ("open-source-rds-extended-support", "open-source-rds-extended-support-disabled")  # the first is the usual one


def arrange(keys_are_here):
    """keys_are_here is false where another emulator has the keys: then none can be told that anybody finds."""
    if keys_are_here:
        make_managed_keys()
        keys.find = lambda backend, name: backend._validate_kms_key(name or KEY)
    tell_clusters()
    tell_instances()
    modify_what_is_asked()
    reset_cluster_parameters()
    know_engine_versions()


class keys:  # noqa: N801 a value with a name
    """Finds the ARN of a key by its name, that of AWS's own key where it is given none."""

    @staticmethod
    def find(_, name):
        return name


def make_managed_keys():
    """The key of an alias such as alias/aws/rds is AWS's: it comes with its first use, and nobody can change it. In moto it is like one
    of the customer's, and its id is another than the alias tells."""

    def making(backend, alias_name):
        if alias_name not in MANAGED:
            return None
        service = alias_name.removeprefix("alias/aws/")
        description = f"Default key that protects my {service} data when no other key is defined"
        key = backend.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", description, None)
        del backend.keys[key.id]
        key.arn = key.arn.replace(key.id, MANAGED[alias_name])
        key.id, key.key_manager, key.key_rotation_status = MANAGED[alias_name], "AWS", True
        backend.keys[key.id] = key
        backend.create_alias(key.id, alias_name)
        return key.id

    plain = KmsBackend.describe_key

    def describing(backend, key_id):
        for alias, managed in MANAGED.items():
            if key_id.endswith(managed) and managed not in backend.keys:
                making(backend, alias)
        return plain(backend, key_id)

    KmsBackend._generate_default_keys = making
    KmsBackend.describe_key = describing


def tell_clusters():
    """A cluster tells the ARN of its key, that of AWS's own where it was given none, and its lifecycle support."""
    plain = DBCluster.__init__

    def making(cluster, backend, *arguments, **given):
        lifecycle = given.get("engine_lifecycle_support") or LIFECYCLES[0]
        if lifecycle not in LIFECYCLES:
            raise InvalidParameterValue(f"Invalid engine lifecycle support: {lifecycle}")
        key, encrypted = given.get("kms_key_id"), given.get("storage_encrypted")
        if key and not encrypted:
            raise InvalidParameterCombination("A KMS key is for a cluster that is encrypted.")
        told = {
            "engine_lifecycle_support": lifecycle, "kms_key_id": keys.find(backend, key) if encrypted else None,
            **insights(backend, given),
        }
        plain(cluster, backend, *arguments, **given)
        vars(cluster).update(told)

    DBCluster.__init__ = making


def tell_instances():
    plain = DBInstance.__init__

    def making(instance, backend, *arguments, **given):
        told = insights(backend, given)
        plain(instance, backend, *arguments, **given)
        vars(instance).update(told)

    DBInstance.__init__ = making


def insights(backend, given, before=None):
    """What is told of Performance Insights. They are kept for a week, under AWS's own key, unless told otherwise."""
    before = vars(before) if before is not None else {}
    enabled = given.get("enable_performance_insights")
    enabled = before.get("performance_insights_enabled", False) if enabled is None else enabled
    days, key = (given.get("performance_insights_" + name) for name in ("retention_period", "kms_key_id"))
    if not enabled and (key or days):
        raise InvalidParameterCombination("To enable Performance Insights, EnablePerformanceInsights must be set to 'true'.")
    if days and days not in (7, 731) and (days % 31 or not 1 <= days // 31 <= 23):
        raise InvalidParameterValue(f"Invalid Performance Insights retention period. Expected: 7, month * 31, or 731. Actual: {days}.")
    if not enabled:
        return {"performance_insights_enabled": False, "performance_insights_retention_period": None, "performance_insights_kms_key_id": None}
    return {
        "performance_insights_enabled": True,
        "performance_insights_retention_period": days or before.get("performance_insights_retention_period") or 7,
        "performance_insights_kms_key_id": keys.find(backend, key or before.get("performance_insights_kms_key_id")),
    }


def modify_what_is_asked():
    """moto takes these changes and drops them, and drops a subnet group that is changed."""
    clusters, instances, groups = RDSBackend.modify_db_cluster, RDSBackend.modify_db_instance, RDSBackend.modify_db_subnet_group

    def modifying_cluster(backend, given):
        cluster = backend.clusters.get(given.get("DBClusterIdentifier"))
        if cluster is None:
            raise DBClusterNotFoundError(given.get("DBClusterIdentifier"))
        told = insights(backend, given, cluster)
        if given.get("enable_iam_database_authentication") is not None:
            told["iam_auth"] = given["enable_iam_database_authentication"]
        exports = given.pop("CloudwatchLogsExportConfiguration", None) or {}
        kept = [e for e in cluster.enabled_cloudwatch_logs_exports if e not in exports.get("DisableLogTypes", [])]
        told["enabled_cloudwatch_logs_exports"] = [*kept, *(e for e in exports.get("EnableLogTypes", []) if e not in kept)]
        answer = clusters(backend, given)
        for it in cluster, answer:
            vars(it).update(told)
        return answer

    def modifying_instance(backend, db_instance_identifier, db_kwargs):
        told = insights(backend, db_kwargs, backend.databases.get(db_instance_identifier))
        instance = instances(backend, db_instance_identifier, db_kwargs)
        vars(instance).update(told)
        return instance

    def modifying_group(backend, subnet_name, *rest, **named):
        backend.subnet_groups[subnet_name] = group = groups(backend, subnet_name, *rest, **named)
        return group

    RDSBackend.modify_db_cluster, RDSBackend.modify_db_instance = modifying_cluster, modifying_instance
    RDSBackend.modify_db_subnet_group = modifying_group


def reset_cluster_parameters():
    """moto lacks ResetDBClusterParameterGroup."""

    def resetting(response):
        given = response.params
        group = response.backend.db_cluster_parameter_groups[given.get("DBClusterParameterGroupName")]
        names = [p["ParameterName"] for p in given.get("Parameters") or []]
        for name in list(group.parameters) if given.get("ResetAllParameters") else names:
            group.parameters.pop(name, None)
        return ActionResult({"DBClusterParameterGroupName": given.get("DBClusterParameterGroupName")})

    if not hasattr(RDSResponse, "reset_db_cluster_parameter_group"):
        RDSResponse.reset_db_cluster_parameter_group = resetting


def know_engine_versions():
    """moto lacks DescribeDBEngineVersions. Here every version of Aurora PostgreSQL is there, and .6 is a major version's default."""

    def describe(response):
        version = response.params.get("EngineVersion") or "16"
        major = version.split(".")[0]
        full = version if "." in version else version + ".6"
        engine = response.params.get("Engine") or "aurora-postgresql"
        found = {"Engine": engine, "EngineVersion": full, "DBParameterGroupFamily": engine + major, "Status": "available"}
        return ActionResult({"DBEngineVersions": [found]})

    if not hasattr(RDSResponse, "describe_db_engine_versions"):
        RDSResponse.describe_db_engine_versions = describe
