package lb

import (
	"fmt"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/awsprovider/selfsigned"
)

// network is what the examples stand on.
type network struct {
	vpc     string
	subnets []string
}

// makeNetwork makes a VPC with three subnets in as many zones, as a load balancer needs at least two. An internet-facing
// one also needs the internet gateway.
func makeNetwork(x resource.Scratch) network {
	n := network{vpc: x.Make("aws:ec2/vpc:Vpc", map[string]any{"cidrBlock": "10.60.0.0/16"}).ID}
	x.Make("aws:ec2/internetGateway:InternetGateway", map[string]any{"vpcId": n.vpc})
	for i, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1c"} {
		n.subnets = append(n.subnets, x.Make("aws:ec2/subnet:Subnet", map[string]any{
			"vpcId": n.vpc, "cidrBlock": fmt.Sprintf("10.60.%d.0/24", i), "availabilityZone": zone,
		}).ID)
	}
	return n
}

func (n network) securityGroup(x resource.Scratch) string {
	return x.Make("aws:ec2/securityGroup:SecurityGroup", map[string]any{
		"name": x.Name("alb-sg"), "description": "conformance", "vpcId": n.vpc,
	}).ID
}

func (n network) loadBalancer(x resource.Scratch) string {
	return x.Make("aws:lb/loadBalancer:LoadBalancer", map[string]any{
		"name": x.Name("alb"), "subnets": []any{n.subnets[0], n.subnets[1]}, "securityGroups": []any{n.securityGroup(x)},
	}).ID
}

func (n network) targetGroup(x resource.Scratch) string {
	return x.Make("aws:lb/targetGroup:TargetGroup", map[string]any{
		"name": x.Name("tg"), "port": 8443, "protocol": "HTTPS", "targetType": "ip", "vpcId": n.vpc,
	}).ID
}

func (n network) certificate(x resource.Scratch) string {
	cert, key, err := selfsigned.New("payments.example.com")
	if err != nil {
		return err.Error() // the API refuses it, and the conformance test shows it
	}
	return x.Make("aws:acm/certificate:Certificate", map[string]any{"certificateBody": cert, "privateKey": key}).ID
}
