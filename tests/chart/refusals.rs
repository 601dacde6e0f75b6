//! Values that the chart rejects, each with a message that names the value.

use crate::chart::{errors, template};

/// What is set, and what the message has to contain.
const REFUSED: [(&str, &[&str]); 68] = [
    ("replicaz=2", &["additional properties 'replicaz' not allowed"]),
    ("image.tagg=1", &["at '/image'", "'tagg' not allowed"]),
    ("clouds.allowedEndpoint=x", &["at '/clouds'", "'allowedEndpoint' not allowed"]),
    (
        "prometheusRule.alerts.CaasDown.enabled=true",
        &["at '/prometheusRule/alerts'", "'CaasDown' not allowed"],
    ),
    ("prometheusRule.alerts.CaasDataStale.minutes=5", &["CaasDataStale'", "'minutes' not allowed"]),
    ("serviceMonitor.enable=true", &["at '/serviceMonitor'", "'enable' not allowed"]),
    ("scrapeConfig.interval=30s", &["at '/scrapeConfig'", "'interval' not allowed"]),
    ("scrapeConfig.refreshInterval=0s", &["at '/scrapeConfig/refreshInterval'", "does not match pattern"]),
    ("resources.limit.cpu=1", &["at '/resources'", "'limit' not allowed"]),
    ("livenessProbe.period=1", &["at '/livenessProbe'", "'period' not allowed"]),
    ("networkPolicy.scrapers[0].namespace=x", &["at '/networkPolicy/scrapers/0'", "'namespace' not allowed"]),
    ("replicas=11", &["at '/replicas'", "want 10"]),
    (
        "replicas=2,terminationGracePeriodSeconds=5",
        &["terminationGracePeriodSeconds: 5 is too short to hand accounts over", "set at least 20"],
    ),
    ("replicas=-1", &["at '/replicas'", "want 0"]),
    (
        "global.compatibility.openshift.adaptSecurityContext=yes",
        &["at '/global/compatibility/openshift/adaptSecurityContext'", "'auto', 'force', 'disabled'"],
    ),
    ("extraContainers[0].image=a", &["at '/extraContainers/0'", "missing property 'name'"]),
    ("initContainers[0].image=a", &["at '/initContainers/0'", "missing property 'name'"]),
    ("service.port=80", &["at '/service/port'", "minimum"]),
    ("otlp.endpoint=http://c:4318,otlp.interval=10m", &["otlp.interval: 10m is out of range"]),
    ("service.port=8081", &["service.port and health.port: use two different ports"]),
    ("log.format=yaml", &["at '/log/format'", "'json', 'text'"]),
    ("log.level=verbose", &["log.level: \"verbose\" is not a level; use off, error, warn, info"]),
    ("log.level=info\\,kube=loud", &["log.level: \"info,kube=loud\" is not a level"]),
    ("namespaces[0]=Team_A", &["at '/namespaces/0'", "'Team_A' does not match pattern"]),
    ("namespaces=team-a", &["at '/namespaces'", "want array"]),
    ("commonLabels.cost=true", &["at '/commonLabels/cost'", "want null or string"]),
    ("extraEnv[0].value=x", &["at '/extraEnv/0'", "missing property 'name'"]),
    ("image.tag=latest", &["image.tag: set a version instead of latest"]),
    ("image.digest=0123", &["image.digest: \"0123\" is not a digest; use sha256:"]),
    ("image.repository=acme/caas:1", &["at '/image/repository'", "does not match pattern"]),
    (
        "clouds.allowedEndpoints[0]=caas.example.com",
        &["clouds.allowedEndpoints", "is not a URL prefix", "https://"],
    ),
    ("clouds.allowedEndpoints[0]=http://caas.example.com/", &["is plain http", "clouds.allowHttp"]),
    (
        "clouds.proxy.url=http://user:hunter2@proxy.example.com:3128",
        &[
            "clouds.proxy.url: the user and password in it would be visible",
            "clouds.proxy.existingSecret.name",
        ],
    ),
    (
        "clouds.proxy.url=proxy.example.com:3128",
        &["clouds.proxy.url", "is not the URL of a proxy", "http://host:port"],
    ),
    (
        "networkPolicy.enabled=true,clouds.proxy.url=http://proxy.example.com:3128",
        &["networkPolicy.clouds.ports: port 3128 of clouds.proxy.url is missing"],
    ),
    (
        "clouds.allowedCIDRs[0]=10.20.0.0",
        &["clouds.allowedCIDRs: \"10.20.0.0\" is not a network", "10.20.0.0/16"],
    ),
    ("prometheusRule.alerts.CaasInstanceMemoryHigh.ratio=90", &["CaasInstanceMemoryHigh/ratio'", "want 1"]),
    ("prometheusRule.alerts.CaasInstanceCpuHigh.ratio=0.9", &["CaasInstanceCpuHigh'", "'ratio' not allowed"]),
    ("prometheusRule.alerts.CaasInstanceCpuHigh.cores=0", &["CaasInstanceCpuHigh/cores'", "want 0"]),
    (
        "prometheusRule.alerts.CaasInstanceCpuHigh.cores=0.0",
        &["CaasInstanceCpuHigh/cores'", "does not match pattern"],
    ),
    (
        "prometheusRule.alerts.CaasOperatorDown.for=5 minutes",
        &["CaasOperatorDown/for'", "does not match pattern"],
    ),
    ("prometheusRule.accountSelector={job=\"caas\"}", &["at '/prometheusRule/accountSelector'"]),
    ("prometheusRule.grafanaUrl=grafana.example.com", &["at '/prometheusRule/grafanaUrl'"]),
    ("prometheusRule.enabled=true", &["prometheusRule.enabled", "serviceMonitor.enabled=true"]),
    (
        "networkPolicy.enabled=true,clouds.allowedEndpoints[0]=https://caas.example.com:8443/v1/",
        &["networkPolicy.clouds.ports: port 8443 of", "add it"],
    ),
    (
        "networkPolicy.enabled=true,clouds.allowedEndpoints[0]=https://[fd00::1]:444",
        &["networkPolicy.clouds.ports: port 444 of"],
    ),
    (
        "networkPolicy.enabled=true,clouds.allowHttp=true,clouds.allowedEndpoints[0]=http://caas.example.com/",
        &["networkPolicy.clouds.ports: port 80 of"],
    ),
    ("serviceMonitor.interval=5s", &["serviceMonitor.scrapeTimeout: 10s is longer than", "interval, 5s"]),
    (
        "serviceMonitor.interval=1m30s,serviceMonitor.scrapeTimeout=90001ms",
        &["serviceMonitor.scrapeTimeout: 90001ms is longer than"],
    ),
    (
        "prometheusRule.alerts.CaasCredentialsRejected.window=0m",
        &["CaasCredentialsRejected/window'", "does not match pattern '[1-9]'"],
    ),
    (
        "prometheusRule.alerts.CaasCloudThrottling.window=0s",
        &["CaasCloudThrottling/window'", "does not match pattern '[1-9]'"],
    ),
    (
        "prometheusRule.alerts.CaasSeriesDropped.window=0h0m",
        &["CaasSeriesDropped/window'", "does not match pattern '[1-9]'"],
    ),
    (
        "prometheusRule.alerts.CaasInstanceRestarting.window=00m",
        &["CaasInstanceRestarting/window'", "does not match pattern '[1-9]'"],
    ),
    (
        "prometheusRule.alerts.CaasInstanceCpuHigh.window=0ms",
        &["CaasInstanceCpuHigh/window'", "does not match pattern '[1-9]'"],
    ),
    ("serviceMonitor.interval=0s", &["/serviceMonitor/interval'", "does not match pattern '[1-9]'"]),
    (
        "serviceMonitor.scrapeTimeout=0s",
        &["/serviceMonitor/scrapeTimeout'", "does not match pattern '[1-9]'"],
    ),
    ("serviceMonitor.interval=0", &["/serviceMonitor/interval'", "want string"]),
    ("podSecurityContext.runAsUsr=1", &["at '/podSecurityContext'", "'runAsUsr' not allowed"]),
    (
        "securityContext.readOnlyRootFileSystem=true",
        &["at '/securityContext'", "'readOnlyRootFileSystem' not allowed"],
    ),
    ("dnsConfig.nameserver[0]=192.0.2.53", &["at '/dnsConfig'", "'nameserver' not allowed"]),
    ("hostAliases[0].host=a", &["at '/hostAliases/0'", "'host' not allowed"]),
    (
        "topologySpreadConstraints[0].maxskew=1",
        &["at '/topologySpreadConstraints/0'", "'maxskew' not allowed"],
    ),
    ("extraEnvFrom[0].configmapRef.name=a", &["at '/extraEnvFrom/0'", "'configmapRef' not allowed"]),
    ("extraVolumeMounts[0].subpath=a", &["at '/extraVolumeMounts/0'", "'subpath' not allowed"]),
    (
        "serviceMonitor.relabelings[0].sourceLabel=a",
        &["at '/serviceMonitor/relabelings/0'", "'sourceLabel' not allowed"],
    ),
    (
        "serviceMonitor.metricRelabelings[0].target_label=a",
        &["at '/serviceMonitor/metricRelabelings/0'", "'target_label' not allowed"],
    ),
    ("global.imagePullSecrets[0]=1", &["at '/global/imagePullSecrets/0'", "want string or object"]),
    ("listenAddress=::", &["at '/listenAddress'", "does not match pattern"]),
];

#[test]
#[ignore = "needs the real servers: run make test"]
fn an_invalid_value_is_rejected_by_name() {
    for (value, says) in REFUSED {
        // Text as it is: `--set` would take braces for a list.
        let flag = if value.contains('{') { "--set-literal" } else { "--set" };
        let output = template(&[flag, value]);
        let message = errors(&output);
        assert!(!output.status.success(), "{value} is accepted");
        for part in says {
            assert!(message.contains(part), "{value}: {part:?} is not in: {message}");
        }
    }
}

#[test]
#[ignore = "needs the real servers: run make test"]
fn a_parent_chart_may_pass_its_own_values() {
    let output = template(&["--set", "global.region=eu,enabled=true"]);
    assert!(output.status.success(), "{}", errors(&output));
}
