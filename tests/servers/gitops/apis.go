// Package gitops names the APIs of Flux whose definitions of custom resources controller-gen writes from their sources.
package gitops

import (
	_ "github.com/fluxcd/helm-controller/api/v2"
	_ "github.com/fluxcd/kustomize-controller/api/v1"
	_ "github.com/fluxcd/source-controller/api/v1"
)
