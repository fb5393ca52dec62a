package reliability

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// refusal is an error as AWS answers it.
type refusal struct {
	status        int
	code, message string
}

// write answers in the protocol of the request: AWS's query and EC2 query, JSON, CBOR and REST with XML.
func (f refusal) write(w http.ResponseWriter, r *http.Request, service string) {
	const id = "00000000-0000-4000-8000-000000000000"
	w.Header().Set("X-Amzn-Requestid", id)
	var body []byte
	switch target := r.Header.Get("X-Amz-Target"); {
	case strings.Contains(r.URL.Path, "/operation/"):
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		body = cbor.Encode(cbor.Map{"__type": cbor.String(f.code), "message": cbor.String(f.message)})
	case target != "":
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		body, _ = json.Marshal(map[string]string{"__type": f.code, "message": f.message})
	default:
		type told struct {
			XMLName xml.Name
			Type    string `xml:"Type,omitempty"`
			Code    string
			Message string
		}
		one := told{XMLName: xml.Name{Local: "Error"}, Code: f.code, Message: f.message}
		var document any
		switch service {
		case "s3":
			document = one
		case "ec2":
			document = struct {
				XMLName xml.Name `xml:"Response"`
				Errors  []told   `xml:"Errors>Error"`
				ID      string   `xml:"RequestID"`
			}{Errors: []told{one}, ID: id}
		default: // query, and Route 53
			one.Type = "Sender"
			if f.status >= http.StatusInternalServerError {
				one.Type = "Receiver"
			}
			document = struct {
				XMLName xml.Name `xml:"ErrorResponse"`
				Error   told
				ID      string `xml:"RequestId"`
			}{Error: one, ID: id}
		}
		w.Header().Set("Content-Type", "text/xml")
		body, _ = xml.Marshal(document)
	}
	w.WriteHeader(f.status)
	_, _ = w.Write(body)
}

// answeringInXML are the services, besides EC2 and S3, whose protocol is query or REST with XML: their codes are not named after
// exceptions.
var answeringInXML = []string{"iam", "rds", "elasticloadbalancing", "sns", "route53", "sts"}

// throttled is how a service says that it is asked too often.
func throttled(service string) refusal {
	switch service {
	case "ec2":
		return refusal{http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded."}
	case "s3":
		return refusal{http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate."}
	}
	if slices.Contains(answeringInXML, service) {
		return refusal{http.StatusBadRequest, "Throttling", "Rate exceeded"}
	}
	return refusal{http.StatusBadRequest, "ThrottlingException", "Rate exceeded"}
}

// expired is how a service says that the token of temporary credentials is too old.
func expired(service string) refusal {
	switch service {
	case "ec2":
		return refusal{http.StatusBadRequest, "RequestExpired", "Request has expired."}
	case "s3":
		return refusal{http.StatusBadRequest, "ExpiredToken", "The provided token has expired."}
	}
	const text = "The security token included in the request is expired"
	if slices.Contains(answeringInXML, service) {
		return refusal{http.StatusForbidden, "ExpiredToken", text}
	}
	return refusal{http.StatusBadRequest, "ExpiredTokenException", text}
}

// internal is the code of an internal error in the protocol of a request.
func internal(r *http.Request) string {
	if r.Header.Get("X-Amz-Target") != "" || strings.Contains(r.URL.Path, "/operation/") {
		return "InternalServerError"
	}
	return "InternalError"
}

// notFound are the codes by which a thing that was just made is said not to be there, where AWS says of a read that it is
// eventually consistent.
var notFound = map[string]string{
	"ec2 DescribeVpcs":                           "InvalidVpcID.NotFound",
	"ec2 DescribeSubnets":                        "InvalidSubnetID.NotFound",
	"ec2 DescribeSecurityGroups":                 "InvalidGroup.NotFound",
	"ec2 DescribeRouteTables":                    "InvalidRouteTableID.NotFound",
	"ec2 DescribeInternetGateways":               "InvalidInternetGatewayID.NotFound",
	"ec2 DescribeNatGateways":                    "NatGatewayNotFound",
	"ec2 DescribeVpcEndpoints":                   "InvalidVpcEndpointId.NotFound",
	"iam GetRole":                                "NoSuchEntity",
	"iam GetRolePolicy":                          "NoSuchEntity",
	"kms DescribeKey":                            "NotFoundException",
	"rds DescribeDBClusters":                     "DBClusterNotFoundFault",
	"rds DescribeDBInstances":                    "DBInstanceNotFound",
	"elasticloadbalancing DescribeLoadBalancers": "LoadBalancerNotFound",
	"elasticloadbalancing DescribeTargetGroups":  "TargetGroupNotFound",
	"secretsmanager DescribeSecret":              "ResourceNotFoundException",
	"sns GetTopicAttributes":                     "NotFound",
	"sqs GetQueueAttributes":                     "QueueDoesNotExist",
}

// one is a parameter that names a thing, which a list of all has not, nor one by filter.
var one = regexp.MustCompile(`(Id\.1|Identifier|Arns?\.member\.1|Names?\.member\.1|RoleName|TopicArn)=|"(KeyId|SecretId|QueueUrl)"`)

func identifies(body []byte) bool {
	return one.Match(body) && !strings.Contains(string(body), "Filter")
}
