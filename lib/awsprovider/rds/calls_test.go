package rds

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/awsprovider/resource"
)

// recorder answers every RDS call with an empty result, or the given one, and notes what it was asked to change. It stands
// in for the calls that no emulator carries out.
func recorder(t *testing.T, results map[string]string) (*resource.Cloud, *[]url.Values) {
	t.Helper()
	var changes []url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(t, r.ParseForm())
		action := r.PostForm.Get("Action")
		if !strings.HasPrefix(action, "Describe") {
			changes = append(changes, r.PostForm)
		}
		_, _ = fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", action, results[action]) //nolint:gosec // no browser reads it
	}))
	t.Cleanup(server.Close)
	return resource.NewCloud(aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, nil), &changes
}

// told is what the calls said, each as its action and the values of the named fields.
func told(calls []url.Values, fields ...string) []string {
	var list []string
	for _, call := range calls {
		words := []string{call.Get("Action")}
		for _, f := range fields {
			if v, ok := call[f]; ok {
				words = append(words, f+"="+v[0])
			}
		}
		list = append(list, strings.Join(words, " "))
	}
	return list
}

func TestParametersAreSetAndResetInBatchesOfTwenty(t *testing.T) {
	cloud, calls := recorder(t, nil)
	var old, now []Parameter
	for i := range 45 {
		now = append(now, Parameter{Name: fmt.Sprintf("new-%02d", i), Value: "1", ApplyMethod: aws.String("immediate")})
	}
	for i := range 21 {
		old = append(old, Parameter{Name: fmt.Sprintf("old-%02d", i), Value: "1", ApplyMethod: aws.String("immediate")})
	}
	state := ParameterGroupState{ParameterGroupArgs: ParameterGroupArgs{Parameters: old}}
	require.NoError(t, parameterGroup.Update(t.Context(), cloud, "group", state, ParameterGroupArgs{Parameters: now}))
	var got []string
	for _, call := range *calls {
		names := 0
		for field := range call {
			if strings.HasSuffix(field, ".ParameterName") {
				names++
			}
		}
		got = append(got, fmt.Sprint(call.Get("Action"), " ", names))
	}
	want := []string{
		"ModifyDBClusterParameterGroup 20", "ModifyDBClusterParameterGroup 20", "ModifyDBClusterParameterGroup 5",
		"ResetDBClusterParameterGroup 20", "ResetDBClusterParameterGroup 1",
	}
	assert.Empty(t, cmp.Diff(want, got))
}

func TestASubscriptionIsModifiedAndItsSourcesAreExchanged(t *testing.T) {
	cloud, calls := recorder(t, map[string]string{"DescribeEventSubscriptions": `<EventSubscriptionsList><EventSubscription>
		<CustSubscriptionId>events</CustSubscriptionId><Status>active</Status></EventSubscription></EventSubscriptionsList>`})
	old := EventSubscriptionState{EventSubscriptionArgs: EventSubscriptionArgs{
		SnsTopic: "topic", SourceType: aws.String("db-cluster"), Enabled: aws.Bool(true),
		EventCategories: []string{"failover"}, SourceIDs: []string{"a", "b"},
	}}
	now := old.EventSubscriptionArgs
	now.EventCategories, now.SourceIDs = []string{"failover", "failure"}, []string{"b", "c"}
	require.NoError(t, updateSubscription(t.Context(), cloud, "events", old, now))
	want := []string{
		"ModifyEventSubscription SourceType=db-cluster EventCategories.EventCategory.2=failure",
		"RemoveSourceIdentifierFromSubscription SourceIdentifier=a",
		"AddSourceIdentifierToSubscription SourceIdentifier=c",
	}
	assert.Empty(t, cmp.Diff(want, told(*calls, "SourceType", "EventCategories.EventCategory.2", "SourceIdentifier")))
}

func TestSubnetsOfAGroupAreReplacedInPlace(t *testing.T) {
	cloud, calls := recorder(t, nil)
	old := SubnetGroupState{SubnetGroupArgs: SubnetGroupArgs{Description: aws.String("d"), SubnetIDs: []string{"a", "b"}}}
	now := SubnetGroupArgs{Description: aws.String("d"), SubnetIDs: []string{"b", "a"}}
	require.NoError(t, subnetGroup.Update(t.Context(), cloud, "group", old, now))
	require.Empty(t, *calls)
	now.SubnetIDs = []string{"b", "c"}
	require.NoError(t, subnetGroup.Update(t.Context(), cloud, "group", old, now))
	want := []string{"ModifyDBSubnetGroup SubnetIds.SubnetIdentifier.1=b SubnetIds.SubnetIdentifier.2=c"}
	got := told(*calls, "SubnetIds.SubnetIdentifier.1", "SubnetIds.SubnetIdentifier.2")
	assert.Equal(t, want, got)
}

func TestAClusterWithoutAFinalSnapshotNameIsNotDeletedUnlessToldTo(t *testing.T) {
	cloud, calls := recorder(t, nil)
	state := ClusterState{ClusterArgs: ClusterArgs{SkipFinalSnapshot: aws.Bool(false)}}
	err := deleteCluster(t.Context(), cloud, "cluster", state)
	assert.ErrorContains(t, err, "finalSnapshotIdentifier")
	assert.Empty(t, *calls)
	state.FinalSnapshotIdentifier = aws.String("last")
	require.NoError(t, deleteCluster(t.Context(), cloud, "cluster", state))
	want := []string{"DeleteDBCluster SkipFinalSnapshot=false FinalDBSnapshotIdentifier=last"}
	assert.Equal(t, want, told(*calls, "SkipFinalSnapshot", "FinalDBSnapshotIdentifier"))
}

// So does the official provider, which is why the program gives a full one (terraform-provider-aws#45026).
func TestAPartialVersionIsSentWithEveryModification(t *testing.T) {
	cloud, calls := recorder(t, map[string]string{"DescribeDBClusters": `<DBClusters><DBCluster>
		<DBClusterIdentifier>cluster</DBClusterIdentifier><Status>available</Status></DBCluster></DBClusters>`})
	for _, version := range []string{"16", "16.6"} {
		old := ClusterState{ClusterArgs: ClusterArgs{EngineVersion: &version, BackupRetentionPeriod: aws.Int(14)}, EngineVersionActual: "16.6"}
		now := old.ClusterArgs
		now.BackupRetentionPeriod = aws.Int(21)
		require.NoError(t, updateCluster(t.Context(), cloud, "cluster", old, now))
	}
	want := []string{"ModifyDBCluster EngineVersion=16", "ModifyDBCluster"}
	assert.Equal(t, want, told(*calls, "EngineVersion"))
}
