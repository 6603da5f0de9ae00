{{- define "moorage.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of a part: (list . "registry"). */}}
{{- define "moorage.selector" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: {{ default $top.Chart.Name $top.Values.nameOverride }}
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "moorage.labels" -}}
{{- $top := index . 0 -}}
{{ include "moorage.selector" . }}
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version }}
{{- end -}}

{{- define "moorage.registry.host" -}}
{{- default (printf "registry.%s" .Values.global.hosts.domain) .Values.global.hosts.registry.name -}}
{{- end -}}

{{- define "moorage.control.host" -}}
{{- default .Values.global.hosts.domain .Values.global.hosts.control.name -}}
{{- end -}}

{{- define "moorage.registry.image" -}}
{{- printf "%s:%s" .Values.registry.image.repository (default (printf "%s-registry" .Chart.AppVersion) .Values.registry.image.tag) -}}
{{- end -}}

{{- define "moorage.control.image" -}}
{{- printf "%s:%s" .Values.control.image.repository (default .Chart.AppVersion .Values.control.image.tag) -}}
{{- end -}}

{{/* Names of secrets: what is given, else what the documentation calls them: (list . "given" "suffix"). */}}
{{- define "moorage.secret" -}}
{{- $top := index . 0 -}}
{{- default (printf "%s-%s" (include "moorage.fullname" $top) (index . 2)) (index . 1) -}}
{{- end -}}

{{- define "moorage.pods" -}}
# Kubernetes' own variables for services (MOORAGE_CONTROL_PORT) would be taken for keys of the configuration.
enableServiceLinks: false
automountServiceAccountToken: {{ .Values.registry.serviceAccount.automountServiceAccountToken }}
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
  {{- toYaml .Values.registry.securityContext | nindent 2 }}
{{- end -}}

{{- define "moorage.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* A variable out of a secret: (list "NAME" "secret" "key"). */}}
{{- define "moorage.variable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ index . 2 }}
{{- end -}}

{{/* One kind of Redis of the registry, as config.yml has it: (list "cache" its-values the-values-of-redis). */}}
{{- define "moorage.registry.redis" -}}
{{- $name := index . 0 -}}
{{- $kind := index . 1 -}}
enabled: true
{{- if $kind.cluster }}
addr: {{ include "moorage.addresses" (list $kind.cluster 6379) | quote }}
{{- else if $kind.sentinels }}
addr: {{ include "moorage.addresses" (list $kind.sentinels 26379) | quote }}
mainname: {{ required (printf "registry.redis.%s.host has to be the name that its sentinels know the server by" $name) $kind.host | quote }}
{{- else if $kind.host }}
addr: {{ printf "%s:%d" $kind.host (int $kind.port) | quote }}
{{- else }}
addr: {{ required (printf "registry.redis.%s is on: name its server by registry.redis.%s.host, or one for all by registry.redis.addr" $name $name) (index . 2).addr | quote }}
{{- end }}
{{- range $key := list "username" "db" "dialtimeout" "readtimeout" "writetimeout" }}
{{- with get $kind $key }}
{{ $key }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- if $kind.tls.enabled }}
tls: {{ toJson $kind.tls }}
{{- end }}
{{- $pool := dict }}
{{- range $key, $value := $kind.pool }}{{ if $value }}{{ $_ := set $pool $key $value }}{{ end }}{{ end }}
{{- with $pool }}
pool: {{ toJson . }}
{{- end }}
{{- end -}}

{{/* Hosts and ports as one text: (list list-of-hosts-and-ports usual-port). */}}
{{- define "moorage.addresses" -}}
{{- $port := index . 1 -}}
{{- $found := list -}}
{{- range index . 0 }}{{ $found = append $found (printf "%s:%d" .host (int (default $port .port))) }}{{ end -}}
{{- join "," $found -}}
{{- end -}}

{{/* The passwords of the kinds of Redis: a server of its own has a password of its own, or none. */}}
{{- define "moorage.registry.redis.passwords" -}}
{{- $redis := .Values.registry.redis -}}
{{- range $name, $part := dict "cache" "CACHE" "rateLimiting" "RATELIMITER" "loadBalancing" "LOADBALANCING" }}
{{- $kind := index $redis $name }}
{{- $password := ternary $kind.password $redis.password (or (not (empty $kind.password.secret)) (not (empty $kind.host)) (not (empty $kind.cluster))) }}
{{- if and $kind.enabled $kind.password.enabled $password.secret }}
{{ include "moorage.variable" (list (printf "REGISTRY_REDIS_%s_PASSWORD" $part) $password.secret $password.key) }}
{{- end }}
{{- if and $kind.enabled $kind.sentinelpassword.enabled $kind.sentinelpassword.secret }}
{{ include "moorage.variable" (list (printf "REGISTRY_REDIS_%s_SENTINELPASSWORD" $part) $kind.sentinelpassword.secret $kind.sentinelpassword.key) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "moorage.registry.environment" -}}
{{- $registry := .Values.registry -}}
{{ include "moorage.variable" (list "REGISTRY_HTTP_SECRET" (include "moorage.secret" (list . .Values.global.registry.httpSecret.secret "http")) .Values.global.registry.httpSecret.key) }}
{{- if $registry.storage.secret }}
# The whole section; the keys below stand over it.
{{ include "moorage.variable" (list "REGISTRY_STORAGE" $registry.storage.secret $registry.storage.key) }}
{{- end }}
- name: REGISTRY_STORAGE_DELETE_ENABLED
  value: {{ $registry.storage.delete.enabled | quote }}
- name: REGISTRY_STORAGE_REDIRECT_DISABLE
  value: {{ $registry.storage.redirect.disable | quote }}
- name: REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED
  value: {{ $registry.maintenance.readonly.enabled | quote }}
- name: REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING
  value: {{ $registry.maintenance.uploadpurging | toJson | quote }}
{{- if $registry.database.enabled }}
{{ include "moorage.variable" (list "REGISTRY_DATABASE_PASSWORD" (include "moorage.secret" (list . $registry.database.password.secret "database")) $registry.database.password.key) }}
{{- end }}
{{- if and $registry.redis.addr $registry.redis.password.secret }}
{{ include "moorage.variable" (list "REGISTRY_REDIS_PASSWORD" $registry.redis.password.secret $registry.redis.password.key) }}
{{- end }}
{{- include "moorage.registry.redis.passwords" . }}
{{- if .Values.control.enabled }}
{{ include "moorage.variable" (list "NOTIFICATION_SECRET" (include "moorage.secret" (list . .Values.global.registry.notificationSecret.secret "notification")) .Values.global.registry.notificationSecret.key) }}
- name: REGISTRY_NOTIFICATIONS_ENDPOINTS
  value: {{ include "moorage.registry.endpoints" . | quote }}
{{- end }}
{{- range $name, $value := $registry.extraEnv }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* The control plane hears of pushes and deletions; Kubernetes puts the secret in. */}}
{{- define "moorage.registry.endpoints" -}}
{{- $url := printf "http://%s-control:%d/api/v4/container_registry_event/events" (include "moorage.fullname" .) (int .Values.control.service.externalPort) -}}
{{- $ignore := dict "mediatypes" (list "application/octet-stream") "actions" (list "pull") -}}
{{- $endpoint := dict "name" "control" "url" $url "headers" (dict "Authorization" (list "$(NOTIFICATION_SECRET)")) "ignore" $ignore "refusals" true -}}
{{- append (default (list) .Values.registry.notifications.endpoints) $endpoint | toJson -}}
{{- end -}}

{{- define "moorage.control.environment" -}}
{{ include "moorage.variable" (list "MOORAGE_CONTROL_SECRET" (include "moorage.secret" (list . .Values.control.secret.secret "control")) .Values.control.secret.key) }}
{{ include "moorage.variable" (list "MOORAGE_CONTROL_DATABASE_PASSWORD" (include "moorage.secret" (list . .Values.control.database.password.secret "control-database")) .Values.control.database.password.key) }}
{{ include "moorage.variable" (list "MOORAGE_CONTROL_REGISTRY_NOTIFICATIONSECRET" (include "moorage.secret" (list . .Values.global.registry.notificationSecret.secret "notification")) .Values.global.registry.notificationSecret.key) }}
{{- range $name, $value := .Values.control.extraEnv }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "moorage.control.mounts" -}}
- name: config
  mountPath: /etc/moorage/control.yml
  subPath: control.yml
  readOnly: true
- name: key
  mountPath: /etc/moorage/key
  readOnly: true
- name: scratch
  mountPath: /tmp
{{- end -}}

{{- define "moorage.registry.mounts" -}}
- name: config
  mountPath: /etc/docker/registry/config.yml
  subPath: config.yml
  readOnly: true
{{- if .Values.registry.authenticationEnabled }}
- name: certificate
  mountPath: /etc/docker/registry/certificate
  readOnly: true
{{- end }}
{{- if .Values.registry.storage.extraKey }}
- name: storage
  mountPath: /etc/docker/registry/storage
  readOnly: true
{{- end }}
{{- if .Values.registry.storage.persistence.enabled }}
- name: images
  mountPath: /var/lib/registry
{{- end }}
{{- if .Values.registry.tls.enabled }}
- name: tls
  mountPath: /etc/docker/registry/tls
  readOnly: true
{{- end }}
{{- with .Values.registry.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "moorage.registry.volumes" -}}
- name: config
  configMap:
    name: {{ include "moorage.fullname" . }}-registry
{{- if .Values.registry.authenticationEnabled }}
- name: certificate
  secret:
    secretName: {{ include "moorage.secret" (list . .Values.global.registry.certificate.secret "registry-secret") }}
    items:
      - key: registry-auth.crt
        path: registry-auth.crt
{{- end }}
{{- if .Values.registry.storage.extraKey }}
- name: storage
  secret:
    secretName: {{ .Values.registry.storage.secret }}
    items:
      - key: {{ .Values.registry.storage.extraKey }}
        path: {{ .Values.registry.storage.extraKey }}
{{- end }}
{{- if .Values.registry.storage.persistence.enabled }}
- name: images
  persistentVolumeClaim:
    claimName: {{ default (printf "%s-registry" (include "moorage.fullname" .)) .Values.registry.storage.persistence.existingClaim }}
{{- end }}
{{- if .Values.registry.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "moorage.secret" (list . .Values.registry.tls.secretName "registry-tls") }}
{{- end }}
{{- with .Values.registry.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What cannot go well stops the rendering, with what would. */}}
{{- define "moorage.check" -}}
{{- $registry := .Values.registry -}}
{{- if and (not $registry.storage.secret) (not $registry.storage.persistence.enabled) -}}
{{- fail "registry.storage: name a secret with the section `storage` of config.yml (registry.storage.secret), or take a volume (registry.storage.persistence.enabled)" -}}
{{- end -}}
{{- if and $registry.storage.secret $registry.storage.persistence.enabled -}}
{{- fail "registry.storage: a secret and a volume are two storages; take one of them" -}}
{{- end -}}
{{- if and $registry.storage.persistence.enabled (eq $registry.storage.persistence.accessMode "ReadWriteOnce") (gt (int $registry.hpa.maxReplicas) 1) -}}
{{- fail "registry.storage.persistence: a volume with ReadWriteOnce is for one node; set registry.hpa.minReplicas and maxReplicas to 1, or take ReadWriteMany or a bucket" -}}
{{- end -}}
{{- if and $registry.database.enabled (not $registry.database.host) -}}
{{- fail "registry.database.host: name PostgreSQL's host, or leave registry.database.enabled false" -}}
{{- end -}}
{{- if and .Values.control.enabled (not .Values.control.database.host) -}}
{{- fail "control.database.host: name PostgreSQL's host, or leave the control plane out (control.enabled: false, registry.authEndpoint: GitLab's URL)" -}}
{{- end -}}
{{- if and $registry.enabled $registry.authenticationEnabled (not .Values.control.enabled) (not $registry.authEndpoint) -}}
{{- fail "registry.authEndpoint: without the control plane, say whose tokens count, such as https://gitlab.example.com" -}}
{{- end -}}
{{- end -}}
