{{/*
The Deployment of a worker component: worker and runner, and with vnc the gateway, which talk over loopback.
Takes root, component, values and vnc.

A Deployment and not a StatefulSet, because only ReplicaSets use the pod deletion cost: a StatefulSet always removes the
pod with the highest number, even if it has sessions. Pods need no stable names, because sessions end with their pod, and
profiles are in one volume of all pods or end with their pod as well.
*/}}
{{- define "camo-fleet.workerDeployment" -}}
{{- $root := .root }}
{{- $values := .values }}
{{- $static := eq (include "camo-fleet.discovery" $root) "static" }}
{{- $grace := int $root.Values.drain.graceSeconds -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "camo-fleet.metadata" . | nindent 2 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicaCount }}
  {{- else }}
  {{- /*
  The current number, so that an upgrade does not change it: Kubernetes scales to one pod if `replicas` was in the
  manifest and no longer is, which also happens when autoscaling is enabled. Left out when rendered without a cluster.
  */}}
  {{- with lookup "apps/v1" "Deployment" $root.Release.Namespace (printf "%s-%s" (include "camo-fleet.fullname" $root) .component) }}
  replicas: {{ max (int .spec.replicas) (int $values.autoscaling.minReplicas) }}
  {{- end }}
  {{- end }}
  {{- with include "camo-fleet.minReadySeconds" $root }}
  # No old pod is removed until control has found the new one.
  minReadySeconds: {{ . }}
  {{- end }}
  # A rollout may have to wait for the sessions of the pods that it replaces.
  progressDeadlineSeconds: {{ add $grace 600 }}
  strategy:
    {{- if $static }}
    # Two pods behind one address would each get half of the requests for the other's sessions.
    type: Recreate
    {{- else if include "camo-fleet.profilesOfOnePod" $root }}
    # The volume of the profiles is used by one pod at a time.
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}
    {{- end }}
  selector:
    matchLabels:
      {{- include "camo-fleet.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- include "camo-fleet.podMetadata" . | nindent 6 }}
    spec:
      automountServiceAccountToken: false
      # Time for the drain, and after it for profiles to be stored and browsers to exit.
      terminationGracePeriodSeconds: {{ add $grace 30 }}
      {{- include "camo-fleet.podSettings" . | nindent 6 }}
      containers:
        {{- include "camo-fleet.workerContainer" . | nindent 8 }}
        {{- include "camo-fleet.runnerContainer" . | nindent 8 }}
        {{- if .vnc }}
        {{- include "camo-fleet.gatewayContainer" . | nindent 8 }}
        {{- end }}
      volumes:
        - name: shm
          emptyDir: {medium: Memory, sizeLimit: {{ $values.shmSize }}}
        - name: run
          emptyDir: {medium: Memory, sizeLimit: {{ $values.runDirSize }}}
        - name: tmp
          emptyDir: {}
        - name: profiles
          {{- with include "camo-fleet.profilesClaim" $root }}
          persistentVolumeClaim: {claimName: {{ . }}}
          {{- else }}
          emptyDir: {}
          {{- end }}
{{- end }}

{{- define "camo-fleet.workerContainer" -}}
- name: worker
  {{- include "camo-fleet.container" . | nindent 2 }}
  env:
    - name: WORKER_ID
      valueFrom:
        fieldRef: {fieldPath: metadata.name}
    - name: WORKER_RUNNER_BASE_URL
      value: http://127.0.0.1:8070
    - name: WORKER_SUPPORTS_VNC
      value: {{ .vnc | quote }}
    {{- with include "camo-fleet.workersToken" (dict "root" .root "names" (list "WORKER_API_TOKEN" "WORKER_RUNNER_TOKEN" "RUNNER_API_TOKEN")) }}
    {{- . | trim | nindent 4 }}
    {{- end }}
    {{- with .values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: http
      containerPort: 8080
  livenessProbe:
    httpGet: {path: /health, port: http}
    periodSeconds: 10
    timeoutSeconds: 5
  # /health also answers 200 when the runner is unhealthy, so the body has to be checked.
  readinessProbe:
    exec:
      command: [camofleet, health, --url, "http://127.0.0.1:8080"]
    periodSeconds: 5
    timeoutSeconds: 5
  {{- include "camo-fleet.drainHook" .root | nindent 2 }}
{{- end }}

{{- define "camo-fleet.runnerContainer" -}}
{{- $root := .root }}
{{- $container := dict "root" $root "values" .values.runner -}}
- name: runner
  {{- include "camo-fleet.container" $container | nindent 2 }}
  env:
    # Only the worker in this pod needs the runner's API, and Prometheus its metrics.
    - name: RUNNER_HOST
      value: {{ ternary "0.0.0.0" "127.0.0.1" $root.Values.podMonitor.enabled }}
    # The runner creates this directory, because the volume itself belongs to root, and it must be private.
    - name: RUNNER_RUN_DIR
      value: /run/camofleet
    - name: RUNNER_PROFILES_DIR
      value: /var/lib/camofleet/profiles
    {{- if $root.Values.profiles.enabled }}
    - name: RUNNER_PROFILES_SHARED
      value: "true"
    {{- end }}
    {{- with include "camo-fleet.workersToken" (dict "root" $root "names" (list "RUNNER_API_TOKEN")) }}
    {{- . | trim | nindent 4 }}
    {{- end }}
    - name: RUNNER_MAX_SESSIONS
      value: {{ .values.maxSessions | quote }}
    - name: RUNNER_PREWARM_HEADLESS
      value: {{ ternary "0" (toString .values.prewarm) .vnc | quote }}
    - name: RUNNER_PREWARM_VNC
      value: {{ ternary (toString .values.prewarm) "0" .vnc | quote }}
    {{- if .vnc }}
    # For clients that call the worker directly; control returns other addresses of the same views, with the same key.
    - name: RUNNER_VNC_WS_BASE
      value: ws://{{ include "camo-fleet.fullname" $root }}-worker-vnc:{{ int .values.gateway.port }}
    - name: RUNNER_VNC_HTTP_BASE
      value: http://{{ include "camo-fleet.fullname" $root }}-worker-vnc:{{ int .values.gateway.port }}
    - name: RUNNER_VNC_BIND
      value: {{ .values.vnc.bind }}
    - name: RUNNER_VNC_RESOLUTION
      value: {{ .values.vnc.resolution }}
    - name: RUNNER_VNC_DISPLAY_MIN
      value: "100"
    - name: RUNNER_VNC_DISPLAY_MAX
      value: {{ add 99 (int .values.vnc.slots) | quote }}
    - name: RUNNER_VNC_PORT_MIN
      value: {{ int .values.vnc.firstPort | quote }}
    - name: RUNNER_VNC_PORT_MAX
      value: {{ include "camo-fleet.lastVncPort" $root | quote }}
    - name: RUNNER_VNC_WS_PORT_MIN
      value: {{ int .values.vnc.firstId | quote }}
    - name: RUNNER_VNC_WS_PORT_MAX
      value: {{ include "camo-fleet.lastVncId" $root | quote }}
    {{- end }}
    {{- with .values.runner.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .vnc $root.Values.podMonitor.enabled }}
  ports:
    {{- if $root.Values.podMonitor.enabled }}
    - name: runner
      containerPort: 8070
    {{- end }}
    {{- if .vnc }}
    {{- range $slot := until (int .values.vnc.slots) }}
    - name: vnc-{{ $slot }}
      containerPort: {{ add (int $.values.vnc.firstPort) $slot }}
    {{- end }}
    {{- end }}
  {{- end }}
  startupProbe:
    exec:
      command: [camofleet, health, --url, "http://127.0.0.1:8070", --alive]
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: 60
  livenessProbe:
    exec:
      command: [camofleet, health, --url, "http://127.0.0.1:8070", --alive]
    periodSeconds: 10
    timeoutSeconds: 10
    failureThreshold: 6
  readinessProbe:
    exec:
      command: [camofleet, health, --url, "http://127.0.0.1:8070"]
    periodSeconds: 5
    timeoutSeconds: 5
  {{- include "camo-fleet.drainHook" $root | nindent 2 }}
  volumeMounts:
    - {name: shm, mountPath: /dev/shm}
    - {name: run, mountPath: /run}
    - {name: tmp, mountPath: /tmp}
    # Exactly where the image has a volume, which would otherwise be mounted over it.
    - {name: profiles, mountPath: /var/lib/camofleet/profiles}
{{- end }}

{{- define "camo-fleet.gatewayContainer" -}}
{{- $root := .root }}
{{- $container := dict "root" $root "values" .values.gateway -}}
- name: gateway
  {{- include "camo-fleet.container" $container | nindent 2 }}
  env:
    - name: HTTP_PORT
      value: {{ int .values.gateway.port | quote }}
    - name: VNC_WEB_RANGE
      value: {{ include "camo-fleet.vncIds" $root }}
    - name: VNC_BASE_PORT
      value: {{ int .values.vnc.firstPort | quote }}
    # No grace for viewers, because the hook below has already waited for their sessions.
    - name: SHUTDOWN_GRACE_MS
      value: "5000"
    {{- with include "camo-fleet.clientsToken" (dict "root" $root "name" "CONTROL_API_TOKEN") }}
    {{- . | trim | nindent 4 }}
    {{- end }}
    {{- with include "camo-fleet.workersToken" (dict "root" $root "names" (list "RUNNER_API_TOKEN")) }}
    # Used by the hook below.
    {{- . | trim | nindent 4 }}
    {{- end }}
    {{- with .values.gateway.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: views
      containerPort: {{ int .values.gateway.port }}
  livenessProbe:
    httpGet: {path: /health, port: views}
    periodSeconds: 10
    timeoutSeconds: 5
  readinessProbe:
    httpGet: {path: /health, port: views}
    periodSeconds: 5
  {{- include "camo-fleet.drainHook" $root | nindent 2 }}
{{- end }}

{{/*
The Services of a worker component. They include pods until those are gone, so that the sessions of a draining pod can be
reached; control itself decides which pods get new sessions. Takes root, component, values and vnc.
*/}}
{{- define "camo-fleet.workerServices" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "camo-fleet.metadata" . | nindent 2 }}
spec:
  type: {{ .values.service.type }}
  publishNotReadyAddresses: true
  selector:
    {{- include "camo-fleet.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: {{ include "camo-fleet.servicePort" .values }}
      targetPort: http
    {{- if .vnc }}
    - name: views
      port: {{ int .values.gateway.port }}
      targetPort: views
    {{- range $slot := until (int .values.vnc.slots) }}
    - name: vnc-{{ $slot }}
      port: {{ add (int $.values.vnc.firstPort) $slot }}
      targetPort: vnc-{{ $slot }}
    {{- end }}
    {{- end }}
{{- if eq (include "camo-fleet.discovery" .root) "dns" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "camo-fleet.metadata" (dict "root" .root "component" .component "suffix" (printf "%s-headless" .component)) | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "camo-fleet.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: 8080
      targetPort: http
{{- end }}
{{- end }}
