"""Lints manifests: what the chart renders, in all the ways in which people install it, those of examples, and those of pages, among
them what people give to Argo CD, Flux and External Secrets.

kubeconform holds them against the schemas of the Kubernetes that the tests run and of the definitions of custom resources,
without a server; kube-score against what is expected of a workload; promtool against mistakes in rules.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
SERVERS = Path(os.environ.get("CAAS_TEST_SERVERS", PROJECT / "target/servers"))
CHART = PROJECT / "charts/caas-operator"

# What kube-score asks for beyond its defaults, and what does not suit the operator.
SCORED = [
    "--enable-optional-test=container-ports-check",
    "--enable-optional-test=container-seccomp-profile",
    # Throttling delays scrapes.
    "--ignore-container-cpu-limit",
    # The image has a version or a digest: one that is present is the same.
    "--ignore-test=container-image-pull-policy",
    # A value, off by default: the chart does not know where the clouds are.
    "--ignore-test=pod-networkpolicy",
]


def run(*words, **more):
    """Runs a program and returns its output; ends with what it says where it fails."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{Path(words[0]).name}: {' '.join(map(str, words[1:4]))} …\n{done.stdout}{done.stderr}")
    return done.stdout


def strict(schema):
    """A schema that refuses fields that it does not name, as `kubectl --validate=strict` does."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {key: strict(value) for key, value in schema.items() if not key.startswith("x-")}
    if isinstance(made.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def module(folder, name):
    """The source of a Go module, in the version that the tests run: downloaded at most, not built."""
    return Path(json.loads(run("go", "mod", "download", "-json", name, cwd=PROJECT / "tests/servers" / folder))["Dir"])


def of_kubernetes(into):
    """Writes the schema of each kind that Kubernetes has, with the definitions that it refers to."""
    swagger = json.loads((module("kubernetes", "k8s.io/kubernetes") / "api/openapi-spec/swagger.json").read_text())
    definitions = {name: strict(definition) for name, definition in swagger["definitions"].items()}
    # A quantity may be a number in a manifest.
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["number", "string"]}
    texts = {name: json.dumps(definition) for name, definition in definitions.items()}
    refers = {name: set(re.findall(r'"#/definitions/([^"]+)"', text)) for name, text in texts.items()}
    for name, definition in swagger["definitions"].items():
        needed, new = set(), {name}
        while new:
            needed |= new
            new = set().union(*(refers[one] for one in new)) - needed
        schema = {"$ref": f"#/definitions/{name}", "definitions": {one: definitions[one] for one in needed}}
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            if len(definition["x-kubernetes-group-version-kind"]) == 1:
                put(into, kind["group"], kind["version"], kind["kind"], schema)


def of_custom_resources(into, files):
    """Writes the schemas of definitions of custom resources."""
    for file in files:
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            every = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
            schema["properties"].update(every)
            put(into, spec["group"], version["name"], spec["names"]["kind"], schema)


def put(into, group, version, kind, schema):
    """Writes a schema where kubeconform looks for it. To it, the group of Kubernetes' first kinds is their version."""
    (into / f"{kind.lower()}-{group or version}-{version}.json").write_text(json.dumps(schema))


def on_pages():
    """Each manifest in a block of a page, with the page and its line."""
    pages = run("git", "ls-files", "*.md", cwd=PROJECT).split()
    for page in pages:
        text = (PROJECT / page).read_text()
        for block in re.finditer(r"^( *)```yaml\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, block.start()) + 1
            for manifest in yaml.safe_load_all(textwrap.dedent(block[2])):
                if isinstance(manifest, dict) and manifest.keys() >= {"apiVersion", "kind"}:
                    yield f"{page}:{line}", manifest


def rendered(way):
    """What the chart renders with a values file, or with its defaults."""
    values = ["--values", way] if way else []
    return run(SERVERS / "helm", "template", "caas-operator", CHART, "--namespace", "caas-system", *values)


def main():
    with tempfile.TemporaryDirectory() as folder:
        schemas, manifests = Path(folder, "schemas"), Path(folder, "manifests")
        schemas.mkdir()
        manifests.mkdir()
        of_kubernetes(schemas)
        of_custom_resources(schemas, PROJECT.glob("crds/*.yaml"))
        monitoring = module("prometheus-operator", "github.com/prometheus-operator/prometheus-operator")
        definitions = monitoring / "example/prometheus-operator-crd"
        names = ("servicemonitors", "scrapeconfigs", "prometheusrules", "prometheuses", "prometheusagents")
        of_custom_resources(schemas, [definitions / f"monitoring.coreos.com_{name}.yaml" for name in names])
        of_custom_resources(schemas, SERVERS.glob("gitops-crds/*.yaml"))
        for way in [None, *sorted(PROJECT.glob("tests/chart/values/*.yaml"))]:
            name = way.stem if way else "default"
            text = rendered(way)
            (manifests / f"{name}.yaml").write_text(text)
            for rule in yaml.safe_load_all(text):
                if rule and rule["kind"] == "PrometheusRule":
                    rules = Path(folder, f"{name}.rules")
                    rules.write_text(yaml.safe_dump(rule["spec"]))
                    run(SERVERS / "promtool", "check", "rules", "--lint=all", "--lint-fatal", rules)
        for number, (place, manifest) in enumerate(on_pages()):
            name = f"{place.replace('/', '-')}-{number}.yaml"
            (manifests / name).write_text(yaml.safe_dump(manifest))
        written = [*PROJECT.glob("docs/install/*.yaml"), *PROJECT.glob("examples/**/*.yaml")]
        location = f"{schemas}/{{{{ .ResourceKind }}}}-{{{{ .Group }}}}-{{{{ .ResourceAPIVersion }}}}.json"
        # The schema of schemas refers to itself, and the API server checks the CRD when tests install it.
        words = ["-strict", "-summary", "-skip", "CustomResourceDefinition", "-schema-location", location]
        print(run(SERVERS / "kubeconform", *words, manifests, *written), end="")
        for name in ("default", "cluster", "namespaced"):
            run(SERVERS / "kube-score", "score", "--output-format=ci", *SCORED, manifests / f"{name}.yaml")


main()
