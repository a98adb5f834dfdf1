{{/* Names are fixed (operator/anchorline/api/naming.py spells the same ones): one Anchorline per cluster. */}}
{{- define "anchorline.operator" -}}anchorline-operator{{- end }}
{{- define "anchorline.webhook" -}}anchorline-webhook{{- end }}

{{- define "anchorline.selector" -}}
app.kubernetes.io/name: anchorline
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "anchorline.labels" -}}
{{ include "anchorline.selector" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Who the operator is, as the API server sees it. */}}
{{- define "anchorline.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "anchorline.operator" . }}
{{- end }}

{{- define "anchorline.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Two operators would fight over the same namespaces, so a second release says so before it touches anything. */}}
{{- define "anchorline.onlyOne" -}}
{{- $there := lookup "admissionregistration.k8s.io/v1" "MutatingWebhookConfiguration" "" "anchorline" }}
{{- if $there }}
{{- $notes := $there.metadata.annotations | default dict }}
{{- $name := get $notes "meta.helm.sh/release-name" }}
{{- $namespace := get $notes "meta.helm.sh/release-namespace" }}
{{- if and $name (or (ne $name .Release.Name) (ne $namespace .Release.Namespace)) }}
{{- fail (printf "Anchorline is already in this cluster, as release %q in namespace %q, and there can be only one: upgrade that release, or uninstall it first (PrivateCAs and Secrets stay)." $name $namespace) }}
{{- end }}
{{- end }}
{{- end }}

{{/* What both pods have in common; the pod conforms to the Pod Security Standard "restricted". */}}
{{- define "anchorline.podMetadata" -}}
labels:
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- include "anchorline.labels" . | nindent 2 }}
{{- with .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "anchorline.podSpec" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: true
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "anchorline.selector" . | nindent 14 }}
{{- end }}

{{- define "anchorline.container" -}}
image: {{ include "anchorline.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}
