{{/*
Values as if lines with nothing behind them, and --set KEY=null, were not there. Helm takes a key away whose value is null,
its default included: it is put back from files/defaults.yaml, a copy of values.yaml, which templates cannot read. Every
template starts with this, because each may be rendered alone.
*/}}
{{- define "caas-operator.complete" -}}
{{- $defaults := .Files.Get "files/defaults.yaml" | fromYaml -}}
{{- include "caas-operator.fill" (dict "values" .Values "defaults" $defaults "path" "") -}}
{{- include "caas-operator.prune" .Values -}}
{{- end }}

{{/*
Fills values, a map, from defaults. What Kubernetes gets as it stands is not filled: `startupProbe: null` is no probe, and
`resources: {limits: null}` no limits.
*/}}
{{- define "caas-operator.fill" -}}
{{- $asTheyStand := list "podSecurityContext" "securityContext" "resources" "livenessProbe" "readinessProbe" "startupProbe" "strategy.rollingUpdate" "dashboards.labels" -}}
{{- range $key, $default := .defaults -}}
{{- $path := printf "%s%s" $.path $key -}}
{{- if not (has $path $asTheyStand) -}}
{{- if kindIs "invalid" (index $.values $key) -}}
{{- $_ := set $.values $key (deepCopy (dict "default" $default)).default -}}
{{- else if and (kindIs "map" $default) (kindIs "map" (index $.values $key)) -}}
{{- include "caas-operator.fill" (dict "values" (index $.values $key) "defaults" $default "path" (printf "%s." $path)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Takes nulls out of a map, at any depth. */}}
{{- define "caas-operator.prune" -}}
{{- range $key, $value := . -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $ $key -}}
{{- else if kindIs "map" $value -}}
{{- include "caas-operator.prune" $value -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
The API server writes its defaults into what it stores. Inside a list or a map that it compares as a whole, a default that
the manifest lacks is a difference for ever: a conflict for another field manager, never in sync for Argo CD and Flux. So
is a quantity that it writes in another way. These do the same to what people hand over: "pod" to parts of a pod, "rules" to
those of a NetworkPolicy, "relabelings" to those of a ServiceMonitor.
*/}}
{{- define "caas-operator.stored.pod" -}}
{{- $defaults := dict "fieldRef" (dict "apiVersion" "v1") "resourceFieldRef" (dict "divisor" "0") "serviceAccountToken" (dict "expirationSeconds" 3600) -}}
{{- if kindIs "map" . -}}
{{- range $key, $value := . -}}
{{- if kindIs "map" $value -}}
{{- if has $key (list "requests" "limits") -}}
{{- range $resource, $quantity := $value -}}
{{- $_ := set $value $resource (include "caas-operator.stored.quantity" $quantity) -}}
{{- end -}}
{{- end -}}
{{- range $name, $default := index $defaults $key -}}
{{- if not (hasKey $value $name) -}}
{{- $_ := set $value $name $default -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "caas-operator.stored.pod" $value -}}
{{- end -}}
{{- else if kindIs "slice" . -}}
{{- range . -}}
{{- include "caas-operator.stored.pod" . -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
A quantity as the API server writes it: 2 cores as "2", 0.5 as "500m", 1.5Gi as "1536Mi", 1024Mi as "1Gi". A fraction goes down by a
unit until it is whole, then a whole number goes up for as long as it stays one.
*/}}
{{- define "caas-operator.stored.quantity" -}}
{{- $text := toString . -}}
{{- if and (kindIs "float64" .) (eq (floor .) (float64 .)) -}}
{{- $text = printf "%.0f" . -}}
{{- end -}}
{{- range list (list "Ti" "Gi" 1024.0) (list "Gi" "Mi" 1024.0) (list "Mi" "Ki" 1024.0) (list "Ki" "" 1024.0) (list "T" "G" 1000.0) (list "G" "M" 1000.0) (list "M" "k" 1000.0) (list "k" "" 1000.0) (list "" "m" 1000.0) -}}
{{- if regexMatch (printf `^[0-9]*\.[0-9]+%s$` (index . 0)) $text -}}
{{- $count := mulf (trimSuffix (index . 0) $text | float64) (index . 2) -}}
{{- $is_whole := or (eq (index . 1) "m") (eq (floor $count) $count) -}}
{{- $text = printf (ternary "%.0f%s" "%.6f%s" $is_whole) $count (index . 1) -}}
{{- end -}}
{{- end -}}
{{- range list (list "m" "" 1000) (list "" "k" 1000) (list "k" "M" 1000) (list "M" "G" 1000) (list "G" "T" 1000) (list "Ki" "Mi" 1024) (list "Mi" "Gi" 1024) (list "Gi" "Ti" 1024) -}}
{{- if regexMatch (printf "^[1-9][0-9]*%s$" (index . 0)) $text -}}
{{- $count := trimSuffix (index . 0) $text | int64 -}}
{{- if eq (mod $count (index . 2)) 0 -}}
{{- $text = printf "%d%s" (div $count (index . 2)) (index . 1) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $text -}}
{{- end }}

{{- define "caas-operator.stored.relabelings" -}}
{{- range . -}}
{{- if not (hasKey . "action") -}}
{{- $_ := set . "action" "replace" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "caas-operator.stored.rules" -}}
{{- range . -}}
{{- range .ports -}}
{{- if not (hasKey . "protocol") -}}
{{- $_ := set . "protocol" "TCP" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
A security context without the users and groups that OpenShift chooses itself, where the cluster is one or people say so. Its
security context constraint restricted-v2 refuses others. Takes a dict: root, context.
*/}}
{{- define "caas-operator.securityContext" -}}
{{- $adapt := .root.Values.global.compatibility.openshift.adaptSecurityContext -}}
{{- if or (eq $adapt "force") (and (eq $adapt "auto") (.root.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
{{- toYaml (omit .context "runAsUser" "runAsGroup" "fsGroup") -}}
{{- else -}}
{{- toYaml .context -}}
{{- end -}}
{{- end }}

{{- define "caas-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Every object's name starts with it. Where a name is a whole value, toYaml quotes one that YAML would take for a number or a
truth, such as 123 or on. At most 52 characters, so that suffixes and the hashes of pods still fit.
*/}}
{{- define "caas-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- /* A release may have dots in its name, a Service may not. */}}
{{- $release := .Release.Name | replace "." "-" }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name $release }}
{{- $release | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" $release $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of everything that belongs to a namespace, unless a value of its own says otherwise. */}}
{{- define "caas-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "caas-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "caas-operator.name" . | toYaml }}
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{- define "caas-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "caas-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: caas-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/*
The labels and annotations of an object. Takes a dict: root; labels and annotations (maps of values, which win over the
common ones, but not over the chart's own labels); own (annotations that win over all).
*/}}
{{- define "caas-operator.metadata" -}}
{{- $own := include "caas-operator.labels" .root | fromYaml -}}
{{- $labels := merge dict $own (.ownLabels | default dict) (.labels | default dict) .root.Values.commonLabels -}}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with merge dict (.own | default dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "caas-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "caas-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* By digest where there is one, and never `latest`. */}}
{{- define "caas-operator.image" -}}
{{- $registry := default .Values.image.registry (.Values.global).imageRegistry -}}
{{- $repository := printf "%s/%s" $registry .Values.image.repository | trimPrefix "/" -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* Pull secrets, each given as {name: …} or by its name alone, as a list. */}}
{{- define "caas-operator.imagePullSecrets" -}}
{{- $all := list }}
{{- range concat ((.Values.global).imagePullSecrets | default list) (.Values.imagePullSecrets | default list) }}
{{- $all = append $all (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- with uniq $all }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Permissions of the operator in the namespaces it watches: each rule with its reason. */}}
{{- define "caas-operator.rules" -}}
# Which accounts there are, and their changes.
- apiGroups: [caas-operator.io]
  resources: [caasaccounts]
  verbs: [list, watch]
# Their conditions, counts and path of the metrics; never their spec.
- apiGroups: [caas-operator.io]
  resources: [caasaccounts/status]
  verbs: [patch]
{{- if .Values.watchSecrets }}
# The credentials that an account names, and (watchSecrets) the metadata of all Secrets, to see a change at once.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
{{- else }}
# The credentials that an account names. Without list and watch, a Secret has to be known by name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end }}
# Each account's ServiceMonitor: made and put back by server-side apply (patch, and create where it is new), watched to
# see edits, deleted where serviceMonitor.mode is Never.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
# An event when the state of an account changes, and its repetition (patch).
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* Selector of the accounts' series in alerts: the accounts that this release collects. */}}
{{- define "caas-operator.accountSelector" -}}
{{- if .Values.prometheusRule.accountSelector -}}
{{ .Values.prometheusRule.accountSelector }}
{{- else -}}
job="caas"{{ with .Values.namespaces }},namespace=~"{{ join "|" . }}"{{ end }}
{{- end }}
{{- end }}

{{/* The selector of the operator's own series in alerts. */}}
{{- define "caas-operator.operatorSelector" -}}
{{- if .Values.prometheusRule.operatorSelector -}}
{{ .Values.prometheusRule.operatorSelector }}
{{- else if .Values.serviceMonitor.enabled -}}
job="{{ include "caas-operator.fullname" . }}",namespace="{{ include "caas-operator.namespace" . }}"
{{- else -}}
{{- fail "prometheusRule.enabled: the alerts require the operator's own metrics: set serviceMonitor.enabled=true, or set prometheusRule.operatorSelector to a selector for these metrics in your Prometheus" }}
{{- end }}
{{- end }}

{{/* A duration of Prometheus, such as 1m30s, in milliseconds. */}}
{{- define "caas-operator.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+(ms|[smhdwy])" . -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- $sum = add $sum (mul (trimSuffix $unit .) (index $units $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/*
What the schema cannot say in a sentence: refused here, with one. Rendered with the Deployment, which every release has.
*/}}
{{- define "caas-operator.validate" -}}
{{- if and (gt (int .Values.replicas) 1) (lt (int .Values.terminationGracePeriodSeconds) 20) }}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short to hand accounts over to another pod, so scrapes would fail; set at least 20" (int .Values.terminationGracePeriodSeconds)) }}
{{- end }}
{{- if eq .Values.image.tag "latest" }}
{{- fail "image.tag: set a version instead of latest, so that every pod runs the same program; leave it empty for the chart's own version" }}
{{- end }}
{{- if and .Values.image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .Values.image.digest)) }}
{{- fail (printf "image.digest: %q is not a digest; use sha256: and 64 hexadecimal digits" .Values.image.digest) }}
{{- end }}
{{- $cloudPorts := list }}
{{- range .Values.networkPolicy.clouds.ports }}
{{- $cloudPorts = append $cloudPorts (int . | toString) }}
{{- end }}
{{- range .Values.clouds.allowedEndpoints }}
{{- if not (regexMatch `^https?://[^/?#@\s]+(/[^?#\s]*)?$` .) }}
{{- fail (printf "clouds.allowedEndpoints: %q is not a URL prefix; use a scheme and host, and optionally a path, such as https://caas.example.com/v1/" .) }}
{{- end }}
{{- if and (hasPrefix "http://" .) (not $.Values.clouds.allowHttp) }}
{{- fail (printf "clouds.allowedEndpoints: %q is plain http, which requires clouds.allowHttp=true" .) }}
{{- end }}
{{- $port := regexReplaceAll `^https?://[^/]*?(:([0-9]+))?(/.*)?$` . "${2}" | default (ternary "80" "443" (hasPrefix "http://" .)) }}
{{- if and $.Values.networkPolicy.enabled (not $.Values.clouds.proxy.url) (not $.Values.clouds.proxy.existingSecret.name) (not (has $port $cloudPorts)) }}
{{- fail (printf "networkPolicy.clouds.ports: port %s of %q in clouds.allowedEndpoints is missing, so accounts there could not be collected; add it" $port .) }}
{{- end }}
{{- end }}
{{- with .Values.clouds.proxy }}
{{- if and .url .existingSecret.name }}
{{- fail "clouds.proxy: set url or existingSecret.name, not both" }}
{{- end }}
{{- if contains "@" .url }}
{{- fail "clouds.proxy.url: the user and password in it would be visible in the Deployment; put the URL into a Secret and set clouds.proxy.existingSecret.name to that Secret" }}
{{- end }}
{{- if and .url (not (regexMatch `^https?://[^/?#\s]+/?$` .url)) }}
{{- fail (printf "clouds.proxy.url: %q is not the URL of a proxy; use http://host:port or https://host:port" .url) }}
{{- end }}
{{- $port := regexReplaceAll `^https?://.*?(:([0-9]+))?/?$` .url "${2}" | default (ternary "80" "443" (hasPrefix "http://" .url)) }}
{{- if and .url $.Values.networkPolicy.enabled (not (has $port $cloudPorts)) }}
{{- fail (printf "networkPolicy.clouds.ports: port %s of clouds.proxy.url is missing, so no cloud could be reached; add it" $port) }}
{{- end }}
{{- end }}
{{- with .Values.otlp.endpoint }}
{{- $interval := include "caas-operator.milliseconds" $.Values.otlp.interval | int64 }}
{{- if or (lt $interval 1000) (gt $interval 300000) }}
{{- fail (printf "otlp.interval: %s is out of range; use a duration from 1s to 5m" $.Values.otlp.interval) }}
{{- end }}
{{- if or (not (regexMatch `^https?://[^/?#@\s]+(/[^?#\s]*)?$` .)) (regexMatch `/v1/metrics/?$` .) }}
{{- fail (printf "otlp.endpoint: %q is not a base URL; use a scheme and host, and optionally a path, such as http://collector.monitoring.svc:4318, without /v1/metrics" .) }}
{{- end }}
{{- $port := regexReplaceAll `^https?://[^/]*?(:([0-9]+))?(/.*)?$` . "${2}" | default (ternary "80" "443" (hasPrefix "http://" .)) }}
{{- $ports := list }}
{{- range $.Values.networkPolicy.otlp.ports }}
{{- $ports = append $ports (int . | toString) }}
{{- end }}
{{- if and $.Values.networkPolicy.enabled (not (has $port $ports)) }}
{{- fail (printf "networkPolicy.otlp.ports: port %s of %q in otlp.endpoint is missing, so nothing could be pushed; add it, or the port of the pods if the Service maps to another port" $port .) }}
{{- end }}
{{- end }}
{{- range .Values.clouds.allowedCIDRs }}
{{- if not (regexMatch `^([0-9]{1,3}(\.[0-9]{1,3}){3}/([0-9]|[12][0-9]|3[0-2])|[0-9a-fA-F:]*:[0-9a-fA-F:.]*/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))$` .) }}
{{- fail (printf "clouds.allowedCIDRs: %q is not a network; use an address with a prefix length, such as 10.20.0.0/16, or 10.20.3.4/32 for one address" .) }}
{{- end }}
{{- end }}
{{- $level := "(?i:off|err|error|warn|warning|info|debug|trace)" }}
{{- $directive := printf `(%s|[A-Za-z0-9_:]+=%s|caas_operator[A-Za-z0-9_:]*)` $level $level }}
{{- if not (or (contains "[" .Values.log.level) (regexMatch (printf `^%s(,%s)*$` $directive $directive) .Values.log.level)) }}
{{- fail (printf "log.level: %q is not a level; use off, error, warn, info, debug or trace, or a filter such as info,caas_operator::collector=debug" .Values.log.level) }}
{{- end }}
{{- if eq (int .Values.service.port) (int .Values.health.port) }}
{{- fail "service.port and health.port: use two different ports" }}
{{- end }}
{{- with .Values.serviceMonitor }}
{{- if gt (include "caas-operator.milliseconds" .scrapeTimeout | int64) (include "caas-operator.milliseconds" .interval | int64) }}
{{- fail (printf "serviceMonitor.scrapeTimeout: %s is longer than serviceMonitor.interval, %s, which Prometheus rejects" .scrapeTimeout .interval) }}
{{- end }}
{{- end }}
{{- end }}
