{{/*
Converts the original chart's values to this chart's, so that values files of the original still work. Every template
includes it first, but it runs only once: it changes the values that all templates share, and collects a sentence for each
converted name, which NOTES.txt prints.
*/}}
{{- define "camo-fleet.originals" -}}
{{- if not (hasKey . "originals") }}
{{- $_ := set . "originals" list }}
{{- $workers := list "worker" "workerVnc" }}
{{- $moves := list "global.imageRegistry image.registry" "control.config.workers control.workers" }}
{{- range list "ui" "control" "worker" "workerVnc" }}
{{- $moves = append $moves (printf "%s.replicas %s.replicaCount" . .) }}
{{- end }}
{{- range $workers }}
{{- $moves = append $moves (printf "%s.runnerImage %s.runner.image" . .) }}
{{- $moves = append $moves (printf "%s.runnerResources %s.runner.resources" . .) }}
{{- $moves = append $moves (printf "%s.runnerExtraEnv %s.runner.extraEnv" . .) }}
{{- end }}
{{- $moves = concat $moves (list "workerVnc.gatewayImage workerVnc.gateway.image" "workerVnc.gatewayPort workerVnc.gateway.port") }}
{{- range $moves }}
{{- $names := splitList " " . }}
{{- $from := include "camo-fleet.originals.find" (dict "values" $.Values "path" (index $names 0)) | fromJson }}
{{- if hasKey $from "value" }}
{{- include "camo-fleet.originals.put" (dict "root" $ "value" $from.value "from" (index $names 0) "to" (index $names 1)) }}
{{- end }}
{{- end }}
{{- $secrets := include "camo-fleet.originals.find" (dict "values" .Values "path" "global.imagePullSecrets") | fromJson }}
{{- if $secrets.value }}
{{- $named := list }}
{{- range $secrets.value }}
{{- $named = append $named (ternary (dict "name" .) . (kindIs "string" .)) }}
{{- end }}
{{- include "camo-fleet.originals.put" (dict "root" . "value" $named "from" "global.imagePullSecrets" "to" "image.pullSecrets") }}
{{- end }}
{{- range $workers }}
{{- include "camo-fleet.originals.settings" (dict "root" $ "component" .) }}
{{- end }}
{{- include "camo-fleet.originals.ports" . }}
{{- end }}
{{- end }}

{{/* The value at a path, as {"value": …}; {} where there is none. Takes values and path. */}}
{{- define "camo-fleet.originals.find" -}}
{{- $found := dict "value" .values }}
{{- range splitList "." .path }}
{{- if and (kindIs "map" $found.value) (hasKey (default dict $found.value) .) }}
{{- $found = dict "value" (get $found.value .) }}
{{- else }}
{{- $found = dict }}
{{- end }}
{{- end }}
{{- $found | toRawJson }}
{{- end }}

{{/*
Sets a value under this chart's name: maps are merged, lists appended, anything else replaced. Takes root, value, and the
names, from and to.
*/}}
{{- define "camo-fleet.originals.put" -}}
{{- $path := splitList "." .to }}
{{- $place := .root.Values }}
{{- range initial $path }}
{{- $place = get $place . }}
{{- end }}
{{- $value := .value }}
{{- $before := get $place (last $path) }}
{{- if kindIs "map" $value }}
{{- $value = mergeOverwrite (deepCopy (default dict $before)) $value }}
{{- else if kindIs "slice" $value }}
{{- $value = concat (default list $before) $value }}
{{- end }}
{{- $_ := set $place (last $path) $value }}
{{- include "camo-fleet.originals.say" (dict "root" .root "text" (printf "%s is read as %s" .from .to)) }}
{{- end }}

{{- define "camo-fleet.originals.say" -}}
{{- $_ := set .root "originals" (append .root.originals .text) }}
{{- end }}

{{/* Values of the original that are settings here. Takes root and component, the values' name. */}}
{{- define "camo-fleet.originals.settings" -}}
{{- $root := .root }}
{{- $component := .component }}
{{- $settings := dict
  "disableHttp3" "runner RUNNER_DISABLE_HTTP3"
  "disableIpv6" "runner RUNNER_DISABLE_IPV6"
  "disableWebrtc" "runner RUNNER_DISABLE_WEBRTC"
  "networkDiagnostics" "runner RUNNER_NETWORK_DIAGNOSTICS"
  "diagnosticsTimeoutSeconds" "runner RUNNER_DIAGNOSTICS_TIMEOUT_SECONDS"
  "sessionDefaults.headless" "worker WORKER_SESSION_DEFAULTS__HEADLESS"
  "sessionDefaults.idleTtlSeconds" "worker WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS"
  "sessionDefaults.idle_ttl_seconds" "worker WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS"
  "sessionDefaults.startUrl" "runner RUNNER_SESSION_DEFAULTS__START_URL"
  "sessionDefaults.start_url" "runner RUNNER_SESSION_DEFAULTS__START_URL"
  "sessionDefaults.startUrlWait" "runner RUNNER_START_URL_WAIT"
  "sessionDefaults.start_url_wait" "runner RUNNER_START_URL_WAIT"
}}
{{- range $name, $setting := $settings }}
{{- $found := include "camo-fleet.originals.find" (dict "values" $root.Values "path" (printf "%s.%s" $component $name)) | fromJson }}
{{- if and (hasKey $found "value") (not (kindIs "invalid" $found.value)) }}
{{- $words := splitList " " $setting }}
{{- $place := get $root.Values $component }}
{{- $extra := printf "%s.extraEnv" $component }}
{{- if eq (first $words) "runner" }}
{{- $place = $place.runner }}
{{- $extra = printf "%s.runner.extraEnv" $component }}
{{- end }}
{{- $text := ternary (toRawJson $found.value) (toString $found.value) (kindIs "slice" $found.value) }}
{{- $_ := set $place "extraEnv" (append (default list $place.extraEnv) (dict "name" (last $words) "value" $text)) }}
{{- include "camo-fleet.originals.say" (dict "root" $root "text" (printf "%s.%s is read as %s in %s" $component $name (last $words) $extra)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Converts the original's ranges of ids and raw VNC ports to the first one of each and the number of displays. */}}
{{- define "camo-fleet.originals.ports" -}}
{{- $vnc := .Values.workerVnc.vnc }}
{{- $ranges := default dict .Values.workerVnc.vncPortRange }}
{{- $slots := list }}
{{- range $kind, $first := dict "ws" "firstId" "raw" "firstPort" }}
{{- with get $ranges $kind }}
{{- if lt (int .max) (int .min) }}
{{- fail (printf "workerVnc.vncPortRange.%s.max is less than its min." $kind) }}
{{- end }}
{{- $_ := set $vnc $first .min }}
{{- $slots = append $slots (sub (add1 (int .max)) (int .min)) }}
{{- end }}
{{- end }}
{{- if $slots }}
{{- $fewest := first $slots }}
{{- range $slots }}{{ $fewest = min $fewest . }}{{ end }}
{{- $_ := set $vnc "slots" $fewest }}
{{- $text := printf "workerVnc.vncPortRange is read as workerVnc.vnc.slots=%d, firstId=%d and firstPort=%d" (int $fewest) (int $vnc.firstId) (int $vnc.firstPort) }}
{{- include "camo-fleet.originals.say" (dict "root" . "text" $text) }}
{{- end }}
{{- end }}
