//! What the chart renders, validated by a real API server that knows every kind in it, as a dry run.

use serde_json::json;

use crate::harness::helm::chart;
use crate::harness::world::World;
use crate::ways::ways;

pub(crate) async fn every_way_to_install_the_chart_is_valid_to_the_api_server(world: &'static World) {
    world.with_prometheus_operator().await;
    // Server-side dry run finds no namespace that is only in the same input.
    for namespace in ["dry-run", "team-a", "team-b", "clouds", "123", "1e3"] {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        world.plane.apply(&object.to_string()).await.unwrap();
    }
    let chart = chart().display().to_string();
    let mut checked = 0;
    for way in ways() {
        let mut words = vec!["template", "valid", &chart, "--namespace", "dry-run"];
        let file = way.as_ref().map(|file| file.display().to_string());
        if let Some(file) = &file {
            words.extend(["--values", file]);
        }
        let rendered = world.helm(&words, &json!({})).await;
        assert!(rendered.ok, "{way:?}: {}", rendered.stderr);
        let words = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            "-",
        ];
        let admin = world.plane.admin().unwrap();
        let applied = crate::control::kubectl::kubectl(&admin, &words, &rendered.stdout).await;
        assert!(applied.ok, "{way:?}: {}", applied.stderr);
        assert!(!applied.stderr.contains("Warning"), "{way:?}: {}", applied.stderr);
        checked += applied.stdout.lines().count();
    }
    println!("{checked} objects of {} ways are valid", ways().len());
    assert!(checked > 50, "{checked}");
}
