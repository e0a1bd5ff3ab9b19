{{- define "camo-fleet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The prefix of all names, short enough for the longest suffix, -worker-vnc-headless. */}}
{{- define "camo-fleet.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 43 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 43 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 43 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels that select the pods of a component. Takes root and component. */}}
{{- define "camo-fleet.selectorLabels" -}}
app.kubernetes.io/name: {{ include "camo-fleet.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- if .component }}
app.kubernetes.io/component: {{ .component }}
{{- end }}
{{- end }}

{{/* All labels of an object. Takes root and component. */}}
{{- define "camo-fleet.labels" -}}
{{ include "camo-fleet.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: camofleet
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Name, namespace and labels of an object. Takes root, component, and optionally suffix, where the name has another one. */}}
{{- define "camo-fleet.metadata" -}}
name: {{ include "camo-fleet.fullname" .root }}-{{ default .component .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "camo-fleet.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* An image. Takes root and image, one of the values of that name. */}}
{{- define "camo-fleet.image" -}}
{{- $repository := .image.repository }}
{{- with .root.Values.image.registry }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}
{{- end }}
{{- printf "%s:%s" $repository (coalesce .image.tag .root.Values.image.tag .root.Chart.AppVersion) | quote }}
{{- end }}

{{/* A Service's full name in DNS. Takes root and suffix. */}}
{{- define "camo-fleet.host" -}}
{{- printf "%s-%s.%s.svc.%s" (include "camo-fleet.fullname" .root) .suffix .root.Release.Namespace .root.Values.clusterDomain }}
{{- end }}

{{/* "true" where a worker component is autoscaled. */}}
{{- define "camo-fleet.autoscaled" -}}
{{- range list .Values.worker .Values.workerVnc }}
{{- if and .enabled .autoscaling.enabled }}true{{ end }}
{{- end }}
{{- end }}

{{/* The ServiceAccount of control; empty where it has none, and so no access to the API. */}}
{{- define "camo-fleet.mayAsk" -}}
{{- if .Values.rbac.create }}{{ include "camo-fleet.fullname" . }}-control{{ else }}{{ .Values.rbac.serviceAccountName }}{{ end }}
{{- end }}

{{/* "true" where live views are configured for a single pod: with public addresses that don't name the pod, or only behind its gateway. */}}
{{- define "camo-fleet.viewsOfOnePod" -}}
{{- with .Values.workerVnc }}
{{- if .enabled }}
{{- range .controlOverrides }}
{{- if and . (not (or (contains "{worker}" .) (contains "{host}" .))) }}true{{ end }}
{{- end }}
{{- if and (hasPrefix "127." .vnc.bind) (not .controlOverrides.ws) }}true{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* How control finds its workers: static, dns or kubernetes. */}}
{{- define "camo-fleet.discovery" -}}
{{- $many := include "camo-fleet.autoscaled" . }}
{{- range list .Values.worker .Values.workerVnc }}
{{- if and .enabled (gt (int .replicaCount) 1) }}{{ $many = "true" }}{{ end }}
{{- end }}
{{- if ne .Values.discovery.mode "auto" }}
{{- .Values.discovery.mode }}
{{- else if .Values.control.workers }}
{{- "static" }}
{{- else if and (not $many) (include "camo-fleet.viewsOfOnePod" .) }}
{{- "static" }}
{{- else if include "camo-fleet.mayAsk" . }}
{{- "kubernetes" }}
{{- else }}
{{- ternary "dns" "static" (ne $many "") }}
{{- end }}
{{- end }}

{{/*
How long a new worker pod has to be ready before an old one is removed, in seconds; empty without discovery. A name
server or cache may return an answer without the new pod until its records expire; after that, control has to look the
name up again and poll the pod. The API notifies of a pod at once; a watch that broke is resumed within 5 s.
*/}}
{{- define "camo-fleet.minReadySeconds" -}}
{{- $mode := include "camo-fleet.discovery" . }}
{{- if eq $mode "kubernetes" }}
{{- 10 }}
{{- else if eq $mode "dns" }}
{{- with .Values.discovery }}{{ add (int .dnsTtlSeconds) (int (ceil .intervalSeconds)) 3 }}{{ end }}
{{- end }}
{{- end }}

{{/* "true" where control writes pod deletion costs. */}}
{{- define "camo-fleet.deletionCost" -}}
{{- if or .Values.podDeletionCost.enabled (and (include "camo-fleet.autoscaled" .) (include "camo-fleet.mayAsk" .)) }}true{{ end }}
{{- end }}

{{/* The ServiceAccount of control where it uses the API. */}}
{{- define "camo-fleet.serviceAccount" -}}
{{- if or (include "camo-fleet.deletionCost" .) (eq (include "camo-fleet.discovery" .) "kubernetes") }}
{{- include "camo-fleet.mayAsk" . }}
{{- end }}
{{- end }}

{{/* The ids of live views, such as 6900-6904, and the last raw VNC port. */}}
{{- define "camo-fleet.lastVncId" -}}
{{- with .Values.workerVnc.vnc }}{{ add (int .firstId) (int .slots) -1 }}{{ end }}
{{- end }}
{{- define "camo-fleet.vncIds" -}}{{ int .Values.workerVnc.vnc.firstId }}-{{ include "camo-fleet.lastVncId" . }}{{- end }}
{{- define "camo-fleet.lastVncPort" -}}
{{- with .Values.workerVnc.vnc }}{{ add (int .firstPort) (int .slots) -1 }}{{ end }}
{{- end }}

{{/* The port of a component's Service, by the component's values. */}}
{{- define "camo-fleet.servicePort" -}}{{ int .service.port }}{{- end }}

{{/* The Service that serves live views, as suffix and port: the gateway, or control, which relays to the right pod. */}}
{{- define "camo-fleet.viewsService" -}}
{{- if and .Values.workerVnc.enabled (eq (include "camo-fleet.discovery" .) "static") }}worker-vnc{{ else }}control{{ end }}
{{- end }}
{{- define "camo-fleet.viewsPort" -}}
{{- if eq (include "camo-fleet.viewsService" .) "control" }}{{ include "camo-fleet.servicePort" .Values.control }}{{ else }}{{ int .Values.workerVnc.gateway.port }}{{ end }}
{{- end }}

{{/* The claim with the profiles of all workers; empty where each pod has its own. */}}
{{- define "camo-fleet.profilesClaim" -}}
{{- if .Values.profiles.enabled }}
{{- default (printf "%s-profiles" (include "camo-fleet.fullname" .)) .Values.profiles.existingClaim }}
{{- end }}
{{- end }}

{{/* "true" where the volume of the profiles can be used by one pod only. */}}
{{- define "camo-fleet.profilesOfOnePod" -}}
{{- if and .Values.profiles.enabled (not (has "ReadWriteMany" .Values.profiles.accessModes)) }}true{{ end }}
{{- end }}

{{/* The security context of every pod, and of every container. */}}
{{- define "camo-fleet.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- define "camo-fleet.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The settings that the pods of all components share. Takes root, component and values, the component's own. */}}
{{- define "camo-fleet.podSettings" -}}
# The variables for each Service of the namespace could collide with settings.
enableServiceLinks: false
# Avoids queries with each search domain for public names and full names of the cluster.
dnsConfig:
  options: [{name: ndots, value: "1"}]
securityContext:
  {{- include "camo-fleet.podSecurityContext" . | nindent 2 }}
  {{- if and .values.runner (include "camo-fleet.profilesClaim" .root) }}
  # Kubernetes gives the volume to the group above once, instead of visiting all files of all profiles at every start.
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .values.topologySpreadConstraints }}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "camo-fleet.selectorLabels" . | fromYaml)) }}
topologySpreadConstraints:
  {{- range .values.topologySpreadConstraints }}
  - {{- toYaml (merge (deepCopy .) (deepCopy $own)) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Labels and annotations of a component's pods. Takes root, component and values. */}}
{{- define "camo-fleet.podMetadata" -}}
labels:
  {{- include "camo-fleet.labels" . | nindent 2 }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The settings that all containers share. Takes root, and values: image, resources and extraEnvFrom. */}}
{{- define "camo-fleet.container" -}}
image: {{ include "camo-fleet.image" (dict "root" .root "image" .values.image) }}
imagePullPolicy: {{ default .root.Values.image.pullPolicy .values.image.pullPolicy }}
securityContext:
  {{- include "camo-fleet.containerSecurityContext" . | nindent 2 }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- with .values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The Secret with the tokens; empty where there are none. */}}
{{- define "camo-fleet.tokenSecret" -}}
{{- if .Values.apiToken.create }}
{{- include "camo-fleet.fullname" . }}-api-token
{{- else }}
{{- .Values.apiToken.existingSecret }}
{{- end }}
{{- end }}

{{/* The key of the workers' token in it; empty where they have none. */}}
{{- define "camo-fleet.workersKey" -}}
{{- if .Values.apiToken.create }}
{{- default "workers-token" .Values.apiToken.workersKey }}
{{- else if .Values.apiToken.existingSecret }}
{{- .Values.apiToken.workersKey }}
{{- end }}
{{- end }}

{{/* The token of clients as an element of env. Takes root and name, the setting. Empty where there is none. */}}
{{- define "camo-fleet.clientsToken" -}}
{{- with include "camo-fleet.tokenSecret" .root }}
- name: {{ $.name }}
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: {{ $.root.Values.apiToken.key }}}
{{- end }}
{{- end }}

{{/* The workers' token as elements of env. Takes root and names, the settings. Empty where there is none. */}}
{{- define "camo-fleet.workersToken" -}}
{{- $key := include "camo-fleet.workersKey" .root }}
{{- if $key }}
{{- range .names }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ include "camo-fleet.tokenSecret" $.root }}, key: {{ $key }}}
{{- end }}
{{- end }}
{{- end }}

{{/*
The kubelet stops all containers of a pod at once. So each of them has to wait for the runner's sessions, because clients
reach those through the worker, and viewers through the gateway.
*/}}
{{- define "camo-fleet.drainHook" -}}
lifecycle:
  preStop:
    exec:
      command: [camofleet, drain, --url, "http://127.0.0.1:8070", --timeout, {{ .Values.drain.graceSeconds | quote }}
        {{- if include "camo-fleet.workersKey" . }}, --token-env, RUNNER_API_TOKEN{{ end }}]
{{- end }}

{{/* Rejects contradictory values, with the remedy. */}}
{{- define "camo-fleet.validate" -}}
{{- $found := ne (include "camo-fleet.discovery" .) "static" }}
{{- if not (or .Values.worker.enabled .Values.workerVnc.enabled .Values.control.extraWorkers .Values.control.workers) }}
{{- fail "There is no worker: enable worker or workerVnc, or name some in control.extraWorkers." }}
{{- end }}
{{- if and $found .Values.control.workers }}
{{- fail "control.workers names all workers, so discovery must be off: set discovery.mode to auto or static, or use control.extraWorkers." }}
{{- end }}
{{- with .Values.workerVnc }}
{{- if has (int .gateway.port) (list 8070 8080) }}
{{- fail (printf "workerVnc.gateway.port is %d, which another container of the pod uses: choose another one." (int .gateway.port)) }}
{{- end }}
{{- if eq (int .gateway.port) (int .service.port) }}
{{- fail (printf "workerVnc.service.port and workerVnc.gateway.port are both %d, but belong to one Service: choose different ones." (int .gateway.port)) }}
{{- end }}
{{- range $port := list 8070 8080 (int .gateway.port) (int .service.port) }}
{{- if and (ge $port (int $.Values.workerVnc.vnc.firstPort)) (le $port (int (include "camo-fleet.lastVncPort" $))) }}
{{- fail (printf "workerVnc.vnc.firstPort and slots use the raw VNC ports from %d to %s, and %d is taken by another part: choose other ports." (int $.Values.workerVnc.vnc.firstPort) (include "camo-fleet.lastVncPort" $) $port) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.apiToken.create .Values.apiToken.existingSecret }}
{{- fail "apiToken has both create and an existingSecret: choose one of them." }}
{{- end }}
{{- if and .Values.apiToken.workersKey (not (include "camo-fleet.tokenSecret" .)) }}
{{- fail "apiToken.workersKey names a key of no Secret: set apiToken.create or apiToken.existingSecret." }}
{{- end }}
{{- if and .Values.apiToken.required (not (include "camo-fleet.tokenSecret" .)) }}
{{- fail "apiToken.required is set, and there is no token: set apiToken.create or apiToken.existingSecret." }}
{{- end }}
{{- range $name, $values := dict "worker" .Values.worker "workerVnc" .Values.workerVnc }}
{{- if and $values.enabled (not $found) (gt (int $values.replicaCount) 1) }}
{{- fail (printf "%s.replicaCount is %d, and discovery.mode static can address one pod only: set it to auto, kubernetes or dns." $name (int $values.replicaCount)) }}
{{- end }}
{{- if and $values.enabled $values.autoscaling.enabled }}
{{- if not $found }}
{{- fail (printf "%s.autoscaling needs discovery: set discovery.mode to auto, kubernetes or dns." $name) }}
{{- end }}
{{- if gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas) }}
{{- fail (printf "%s.autoscaling.minReplicas is more than maxReplicas." $name) }}
{{- end }}
{{- if gt (int $values.autoscaling.sessionsPerPod) (int $values.maxSessions) }}
{{- fail (printf "%s.autoscaling.sessionsPerPod is more than %s.maxSessions: pods would be full before another one starts." $name $name) }}
{{- end }}
{{- if and (eq $.Values.autoscaling.kind "hpa") (lt (int $values.autoscaling.minReplicas) 1) }}
{{- fail (printf "%s.autoscaling.minReplicas is 0, which autoscaling.kind hpa can't do: set it to 1, or the kind to keda." $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if include "camo-fleet.profilesOfOnePod" . }}
{{- $modes := join ", " .Values.profiles.accessModes }}
{{- if and .Values.worker.enabled .Values.workerVnc.enabled }}
{{- fail (printf "profiles.accessModes is %s, so only one worker pod can use the volume: disable worker or workerVnc (the latter also serves sessions without a live view), or use storage with ReadWriteMany." $modes) }}
{{- end }}
{{- range $name, $values := dict "worker" .Values.worker "workerVnc" .Values.workerVnc }}
{{- if and $values.enabled (or $values.autoscaling.enabled (gt (int $values.replicaCount) 1)) }}
{{- fail (printf "profiles.accessModes is %s, so only one worker pod can use the volume: set %s.replicaCount to 1 and %s.autoscaling.enabled to false, or use storage with ReadWriteMany." $modes $name $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.podDeletionCost.enabled (not $found) }}
{{- fail "podDeletionCost needs discovery: set discovery.mode to kubernetes or dns." }}
{{- end }}
{{- if and .Values.podDeletionCost.enabled (not (include "camo-fleet.mayAsk" .)) }}
{{- fail "podDeletionCost needs the right to patch pods: set rbac.create, or rbac.serviceAccountName." }}
{{- end }}
{{- if and (eq .Values.discovery.mode "kubernetes") (not (include "camo-fleet.mayAsk" .)) }}
{{- fail "discovery.mode kubernetes needs the right to watch endpointslices: set rbac.create, or rbac.serviceAccountName." }}
{{- end }}
{{- if and (include "camo-fleet.autoscaled" .) (eq .Values.autoscaling.kind "keda") (eq .Values.autoscaling.keda.trigger "prometheus") (not .Values.autoscaling.keda.prometheus.serverAddress) }}
{{- fail "autoscaling.keda.trigger prometheus needs autoscaling.keda.prometheus.serverAddress." }}
{{- end }}
{{- if and $found .Values.workerVnc.enabled }}
{{- $overrides := .Values.workerVnc.controlOverrides }}
{{- range $name, $value := $overrides }}
{{- if and $value (not (or (contains "{worker}" $value) (contains "{host}" $value))) }}
{{- fail (printf "workerVnc.controlOverrides.%s names no pod, and with discovery every pod has the same ids: put {worker} into it, or leave it empty to have control relay live views." $name) }}
{{- end }}
{{- end }}
{{- if and (hasPrefix "127." .Values.workerVnc.vnc.bind) (not $overrides.ws) }}
{{- fail "workerVnc.vnc.bind is loopback, where control can't reach live views: set it to 0.0.0.0, or workerVnc.controlOverrides." }}
{{- end }}
{{- end }}
{{- if and .Values.ingressRoute.enabled .Values.ingressRoute.tls.secretName .Values.ingressRoute.tls.certResolver }}
{{- fail "ingressRoute.tls has both a secretName and a certResolver: empty one of them." }}
{{- end }}
{{- end }}
