module caas-operator/tests/servers/gitops/unbuilt

go 1.26.3

// Their definitions of custom resources are files of these modules. Nothing of them is built, so `go mod tidy` would drop them.
require (
	github.com/argoproj/argo-cd/v3 v3.5.7
	github.com/external-secrets/external-secrets v1.3.2
)
