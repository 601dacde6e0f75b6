"""The article's exporter of 2015, request by request: the peer that `cargo bench` measures the collector against.

A port to Python 3's standard library. Its shape is the exporter's: everything one after another, each request on a
connection of its own, and every object fetched again before each step that needs it. One cycle over S services of I
instances in all costs 1 + 3*S + 2*I requests. It sees the first page only, as the original does.

usage: article_loop.py ENDPOINT NAMESPACE USERNAME PASSWORD CYCLES
Prints, for all cycles together: requests, wall (seconds), cpu (user and system time, seconds), instances (of a cycle).
"""

import json
import sys
import time
import urllib.parse
import urllib.request

GAUGES = {"cpu_cumulative_usage": {}, "cpu_utilization": {}, "memory_usage": {}, "memory_utilization": {}}


class Api:
    def __init__(self, endpoint, namespace, username, password):
        self.endpoint = endpoint
        self.namespace = namespace
        self.requests = 0
        form = urllib.parse.urlencode({"username": username, "password": password}).encode()
        with urllib.request.urlopen(endpoint + "generate-api-token/", form) as response:
            self.token = json.load(response)["token"]

    def get(self, path):
        headers = {"Authorization": "Token " + self.token, "Content-Type": "application/json"}
        request = urllib.request.Request(self.endpoint + "services/" + self.namespace + "/" + path, headers=headers)
        self.requests += 1
        with urllib.request.urlopen(request) as response:
            body = response.read().decode()
        return json.loads(body) if body else None

    def services(self):
        return self.get("?page=1")["results"]

    def service(self, name):
        return self.get(name)

    def instances(self, name):
        service = self.service(name)
        return self.get(service["service_name"] + "/instances/")

    def instance(self, name, uuid):
        return self.get(name + "/instances/" + uuid)

    def metrics(self, name, uuid):
        end = int(time.time()) - 30
        window = {"start_time": end - 100, "end_time": end, "point_per_period": "1m"}
        return self.get(name + "/instances/" + uuid + "/metrics?" + urllib.parse.urlencode(window))


def cycle(api):
    seen = 0
    for listed in api.services():
        service = api.service(listed["service_name"])
        name = service["service_name"]
        for listed_instance in api.instances(name):
            instance = api.instance(name, listed_instance["uuid"])
            metrics = api.metrics(name, instance["uuid"])
            seen += 1
            if not metrics or not metrics["points"]:
                continue
            newest = max(metrics["points"], key=lambda point: point[0])
            for column, gauge in GAUGES.items():
                gauge[(name, instance["instance_name"])] = float(newest[metrics["columns"].index(column)])
    return seen


def main():
    endpoint, namespace, username, password, cycles = sys.argv[1:]
    api = Api(endpoint, namespace, username, password)
    wall, cpu = time.monotonic(), time.process_time()
    for _ in range(int(cycles)):
        instances = cycle(api)
    print("wall", time.monotonic() - wall)
    print("cpu", time.process_time() - cpu)
    print("requests", api.requests)
    print("instances", instances)


main()
