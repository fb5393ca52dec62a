package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/pflag"

	"tapstack/lib"
	"tapstack/lib/lifecycle"
	"tapstack/lib/target"
)

// The variables stand in for --backend and --secrets-provider on target aws.
const (
	backendVariable = "TAPSTACK_BACKEND"
	secretsVariable = "TAPSTACK_SECRETS_PROVIDER"
)

// bindStates adds the flags that say where the states are.
func (o *options) bindStates(flags *pflag.FlagSet) {
	flags.StringVar(&o.stateDir, "state-dir", "", "folder of the states (default $XDG_STATE_HOME/tapstack or ~/.local/state/tapstack)")
	flags.StringVar(&o.backend, "backend", "",
		"`URL` of the bucket that keeps the states instead, s3://bucket/prefix?region=us-east-1 (on aws: $"+backendVariable+")")
	flags.StringVar(&o.secretsProvider, "secrets-provider", "",
		"`URL` of the KMS key of the secrets in the bucket, awskms://alias/NAME?region=us-east-1 (on aws: $"+secretsVariable+")")
}

// bindUnlock adds the flag of the commands that lock the state.
func (o *options) bindUnlock(flags *pflag.FlagSet) {
	flags.BoolVar(&o.unlock, "unlock", false, "remove the lock of a run that is known to be dead, wherever it ran")
}

// keep finds out where the states are. A bucket has a folder of its own for what its stacks need on this machine.
func (o *options) keep(ctx context.Context, p *plan, uses usage) error {
	backend, secrets := o.backend, o.secretsProvider
	if o.target == target.AWS {
		backend, secrets = cmp.Or(backend, os.Getenv(backendVariable)), cmp.Or(secrets, os.Getenv(secretsVariable))
	}
	p.states = lifecycle.Folders{Project: lib.ProjectName, Home: p.home}
	switch {
	case backend == "" && secrets != "":
		return errors.New("--secrets-provider goes with --backend: in a folder, the secrets are encrypted with a passphrase")
	case backend == "":
		return nil
	case o.target != target.AWS && o.target != target.Endpoint:
		return fmt.Errorf("--backend is for targets aws and endpoint: target %s keeps its states in a folder, since its own S3 ends with it", o.target)
	case secrets == "" && uses.program:
		return fmt.Errorf("--backend needs --secrets-provider for %s: a passphrase made here would be lost with this machine", p.command)
	}
	p.bucketEnv = (&target.Target{Name: o.target, Endpoint: o.endpoint, Config: aws.Config{BaseEndpoint: &o.endpoint}}).Env()
	bucket, err := lifecycle.OpenBucket(ctx, lifecycle.BucketOptions{
		Project: lib.ProjectName, Backend: backend, SecretsProvider: secrets, Env: p.bucketEnv,
	})
	if err != nil {
		return err
	}
	p.states, p.bucket = bucket, bucket
	digest := sha256.Sum256([]byte(bucket.String()))
	p.home = fmt.Sprintf("%s-s3-%x", p.home, digest[:4])
	p.dir = filepath.Join(p.home, o.suffix)
	return nil
}
